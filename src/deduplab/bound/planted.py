"""How many copies of known payloads lie in other bytes, wherever they begin.

From each payload up to five windows of 64 bytes are chosen that occur in no other one,
spread over it, and every position of what is searched is compared with them, so that a copy
is found at any alignment and across the boundaries of pages. The number of copies of a payload
is the lower median of what its windows were found: a page's header or the end of
a row may cut one or two of them in two, but not most.

What is compressed, encrypted or encoded in another form is not found, and neither
are payloads of less than 64 bytes, or those that have no window of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_intdigest

from deduplab.units import MIB

PROBE_BYTES: Final = 64
PROBES: Final = 5
_CANDIDATES: Final = 128
"""Windows of a payload that are looked at: of near duplicates, few are theirs alone."""
MOST_PAYLOADS: Final = 4096
"""Payloads that are followed at most; of more, a sample by their fingerprints."""

_WORDS: Final = PROBE_BYTES // 8
_FILTER_BITS: Final = 22
_FEED_BYTES: Final = MIB
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_FACTORS: Final = np.array(
    [0x9E3779B97F4A7C15 * odd % 2**64 for odd in range(7, 23, 2)], dtype=np.uint64
)

Payloads = Callable[[], Iterable[bytes | memoryview]]
"""Gives all objects' payloads, copies too, in any order; may be called twice."""

_Words = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PlantedCopies:
    """How many physical copies of planted payloads were found.

    Attributes
    ----------
    payloads
        Distinct payloads that were followed.
    share
        The share of all distinct payloads that was taken, by fingerprint: 1, or 2^-k.
    planted
        How often those payloads were stored: the objects that have them.
    found
        How many whole copies of them were found.
    copies
        Pairs (copies, payloads): how many payloads were found so often. 0 copies:
        compressed, encrypted, encoded, or not there.
    stored
        Pairs (occurrences, payloads): how often the payloads were stored.
    uneven
        Payloads whose windows were not all found equally often: a copy in parts.
    too_short, not_told_apart
        Distinct payloads that could not be followed: of less than 64 bytes, or without a
        window that is theirs alone.
    """

    payloads: int
    share: float
    planted: int
    found: int
    copies: list[tuple[int, int]]
    stored: list[tuple[int, int]]
    uneven: int
    too_short: int
    not_told_apart: int


class PlantedProbes:
    """Windows of payloads, and how often each was found.

    Parameters
    ----------
    payloads
        What was planted. It is read twice: to choose windows, and to drop those
        that occur elsewhere in the payloads too.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._halvings = 0
        self._chosen: dict[int, tuple[int, list[bytes]]] = {}
        for payload in payloads():
            self._choose(payload)
        self._too_short = sum(not windows for _, windows in self._chosen.values())
        self._stored = np.array(
            [count for count, windows in self._chosen.values() if windows], dtype=np.int64
        )
        windows = [windows for _, windows in self._chosen.values() if windows]
        self._chosen = {}
        lengths = np.array([len(each) for each in windows], dtype=np.int64)
        owners = np.repeat(np.arange(len(windows)), lengths)
        ranks = np.concatenate([np.zeros(0, np.int64), *map(np.arange, lengths)])
        words = np.frombuffer(b"".join(window for each in windows for window in each), "<u8")
        words = words.reshape(-1, _WORDS)
        self._carry = b""
        self._watch(owners, ranks, _keys(words.T), words[:, 0])
        self._keep_own(payloads)

    def feed(self, data: memoryview | bytes) -> None:
        """Search the next bytes; windows across the border to the bytes before are found too."""
        for at in range(0, len(data), _FEED_BYTES):
            piece = self._carry + bytes(data[at : at + _FEED_BYTES])
            self._carry = piece[-(PROBE_BYTES - 1) :]
            self._search(piece)

    def result(self) -> PlantedCopies:
        """Return what was found so far."""
        payloads = len(self._stored)
        found = np.full((payloads, PROBES), -1, dtype=np.int64)
        order = np.argsort(self._owners, kind="stable")
        owners = self._owners[order]
        places = np.arange(len(owners)) - np.searchsorted(owners, owners)
        found[owners, places] = self._counts[order]
        found.sort(axis=1)
        windows = (found >= 0).sum(axis=1)
        followed = windows > 0
        middle = PROBES - windows[followed] + (windows[followed] - 1) // 2
        copies = found[followed, middle]
        least = found[followed, PROBES - windows[followed]]
        stored = self._stored[followed]
        return PlantedCopies(
            payloads=int(followed.sum()),
            share=2.0**-self._halvings,
            planted=int(stored.sum()),
            found=int(copies.sum()),
            copies=_pairs(copies),
            stored=_pairs(stored),
            uneven=int((least != found[followed, -1]).sum()),
            too_short=self._too_short,
            not_told_apart=int((~followed).sum()),
        )

    def _choose(self, payload: bytes | memoryview) -> None:
        mark = xxh3_128_intdigest(payload)
        if mark >> (128 - self._halvings):
            return
        known = self._chosen.get(mark)
        if known is not None:
            self._chosen[mark] = (known[0] + 1, known[1])
            return
        self._chosen[mark] = (1, list(_windows(payload, mark)))
        while len(self._chosen) > MOST_PAYLOADS:
            self._halvings += 1
            self._chosen = {
                mark: one
                for mark, one in self._chosen.items()
                if not mark >> (128 - self._halvings)
            }

    def _watch(self, owners: _Places, ranks: _Places, keys: _Words, heads: _Words) -> None:
        """Search for these windows from now on; those whose key is not theirs alone are dropped."""
        self._keys, first, times = np.unique(keys, return_index=True, return_counts=True)
        first, self._keys = first[times == 1], self._keys[times == 1]
        self._owners, self._ranks, self._heads = owners[first], ranks[first], heads[first]
        self._counts = np.zeros(len(self._keys), dtype=np.int64)
        # Asked at every position, it lets few pass whose key must be made.
        self._filter = np.zeros(1 << _FILTER_BITS, dtype=np.bool_)
        self._filter[_filter_places(self._heads)] = True

    def _keep_own(self, payloads: Payloads) -> None:
        """Drop windows that are found another number of times than their payload is stored."""
        waiting = bytearray()
        for payload in payloads():
            waiting += payload
            if len(waiting) >= _FEED_BYTES:
                self.feed(bytes(waiting))
                waiting.clear()
        self.feed(bytes(waiting))
        own = self._counts == self._stored[self._owners]
        chosen = _spread(self._owners[own], self._ranks[own])
        self._carry = b""
        self._watch(
            self._owners[own][chosen],
            self._ranks[own][chosen],
            self._keys[own][chosen],
            self._heads[own][chosen],
        )

    def _search(self, piece: bytes) -> None:
        """Count the windows that begin and end in these bytes."""
        if not len(self._keys):
            return
        for shift in range(8):
            count = (len(piece) - shift) // 8
            if count < _WORDS:
                return
            words = np.frombuffer(piece, "<u8", count, shift)
            begins = words[: count - _WORDS + 1]
            passed = np.flatnonzero(self._filter[_filter_places(begins)])
            if not len(passed):
                continue
            keys = _keys([words[passed + place] for place in range(_WORDS)])
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            np.add.at(self._counts, places[self._keys[places] == keys], 1)


def _windows(payload: bytes | memoryview, mark: int) -> Iterator[bytes]:
    """Yield windows of a payload, at a place in each part of it that its fingerprint chooses."""
    parts = min(_CANDIDATES, len(payload) // PROBE_BYTES)
    for part in range(parts):
        begin, end = part * len(payload) // parts, (part + 1) * len(payload) // parts
        at = begin + (mark >> part % 64) % (end - begin - PROBE_BYTES + 1)
        yield bytes(payload[at : at + PROBE_BYTES])


def _spread(owners: _Places, ranks: _Places) -> _Places:
    """Return the places of at most five windows of each owner, evenly over those that it has."""
    order = np.lexsort((ranks, owners))
    chosen: list[int] = []
    for places in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
        count = min(PROBES, len(places))
        chosen += [int(places[(2 * i + 1) * len(places) // (2 * count)]) for i in range(count)]
    return np.array(chosen, dtype=np.int64)


def _keys(words: Iterable[_Words]) -> _Words:
    """Return a 64-bit fingerprint of windows, given their first words, their second ones, ..."""
    keys: _Words | None = None
    for column, factor in zip(words, _FACTORS, strict=True):
        # Shifted into itself, so that high bits of a word reach low ones of the key.
        part = (column ^ (column >> np.uint64(29))) * factor
        keys = part if keys is None else keys + part
    assert keys is not None
    return keys


def _filter_places(heads: _Words) -> _Places:
    return ((heads * _SPREAD) >> np.uint64(64 - _FILTER_BITS)).view(np.int64)


def _pairs(values: _Places) -> list[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    return [(int(value), int(count)) for value, count in zip(found, counts, strict=True)]
