"""A made-up language: words of syllables, and prose of fragments of words.

Words occur with frequencies after Zipf (the n-th word in proportion to
1 / (n + 4)). Prose is a sequence of fragments of exactly 16 bytes, drawn from a
table of 65,536 different ones: two or three words each, with a space, a comma
or the end of a sentence between them. Four fragments come from one draw, so no
64 bytes of prose that begin at a multiple of 64 ever occur twice in one family.
Only integers are used, so the bytes are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from deduplab.datasets.synthetic.draws import Draws, Numbers
from deduplab.datasets.synthetic.units_stream import Bytes, UnitStream

FRAGMENT_BYTES: Final = 16
UNIT_BYTES: Final = 64

_LANGUAGE_SEED: Final = 1  # all texts share one language, whatever the seed of a dataset
_WORDS: Final = 4000
_FRAGMENTS: Final = 1 << 16
_DRAWN_AT_ONCE: Final = 1 << 18
# Repeated syllable parts are the more frequent ones.
_ONSETS: Final = (
    *"bcdfghlmnprstv",
    *("br", "ch", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "st", "th", "tr"),
)
_VOWELS: Final = (*"aaaeeeeiiiooouu", "ai", "ea", "ee", "ou")
_CODAS: Final = (*[""] * 12, *"lmnnrrssttd", "nd", "nt", "rs", "st")
# What stands between the first two words of a fragment, so often out of 16.
_BREAKS: Final = (*[" "] * 13, ", ", ". ", ". ")


class Prose(UnitStream):
    """Prose for every id: lower-case words, commas and sentences, in ASCII.

    A unit begins with a small letter and ends with a space.
    """

    def __init__(self, seed: int, purpose: str, greatest_bytes: int) -> None:
        super().__init__(UNIT_BYTES, greatest_bytes)
        self._draws = Draws(seed, purpose)
        self._table = fragments()

    def units(self, counters: Numbers) -> Bytes:
        """Return the units with these counters, back to back."""
        choices = self._draws.numbers(counters)[0].view("<u2")
        return cast("Bytes", self._table.take(choices).view(np.uint8))


@cache
def words() -> tuple[str, ...]:
    """Return 4,000 different words, the most frequent first; frequent ones are short."""
    found: dict[str, None] = {}
    numbers = _endless("words")
    while len(found) < _WORDS:
        most = 1 if len(found) < 40 else 2 if len(found) < 800 else 3
        syllables = most if most < 3 else 2 + next(numbers) % 2
        word = "".join(_syllable(numbers) for _ in range(syllables))
        if len(word) <= FRAGMENT_BYTES - 5:
            found[word] = None
    return tuple(found)


def _syllable(numbers: Iterator[int]) -> str:
    parts = (_ONSETS, _VOWELS, _CODAS)
    return "".join(part[next(numbers) % len(part)] for part in parts)


def _endless(purpose: str) -> Iterator[int]:
    draws = Draws(_LANGUAGE_SEED, f"language {purpose}")
    first = 0
    while True:
        counters = np.arange(first, first + 4096, dtype=np.uint64)
        yield from draws.numbers(counters)[0].tolist()
        first += 4096


@cache
def fragments() -> npt.NDArray[np.void]:
    """Return the 65,536 fragments; each ends with a space and fills its 16 bytes."""
    found: dict[bytes, None] = {}
    draws = Draws(_LANGUAGE_SEED, "language fragments")
    first = 0
    while len(found) < _FRAGMENTS:
        counters = np.arange(first, first + _DRAWN_AT_ONCE, dtype=np.uint64)
        for row in _rows(draws.numbers(counters, 4)):
            found[row] = None
        first += _DRAWN_AT_ONCE
    table = b"".join(list(found)[:_FRAGMENTS])
    return np.frombuffer(table, dtype=f"V{FRAGMENT_BYTES}")


def _rows(numbers: Numbers) -> Iterator[bytes]:
    """Put words together as the numbers say, and keep what has the length of a fragment."""
    vocabulary = words()
    lengths = np.array([len(word) for word in vocabulary])
    bounds = np.cumsum([10**9 // (rank + 4) for rank in range(len(vocabulary))]).astype(np.uint64)
    picks = np.searchsorted(bounds, numbers[:3] % bounds[-1], side="right")
    kinds = numbers[3] % np.uint64(len(_BREAKS))
    between = np.array([len(one) for one in _BREAKS])[kinds]
    two = lengths[picks[0]] + between + lengths[picks[1]] + 1
    three = two + lengths[picks[2]] + 1
    for count, widths in ((2, two), (3, three)):
        fits = np.flatnonzero(widths == FRAGMENT_BYTES)
        for (left, right, last), kind in zip(
            picks[:, fits].T.tolist(), kinds[fits].tolist(), strict=True
        ):
            yield _fragment([vocabulary[place] for place in (left, right, last)[:count]], kind)


def _fragment(parts: list[str], kind: int) -> bytes:
    left, right, *rest = parts
    if _BREAKS[kind] == ". ":
        right = right.capitalize()
    return " ".join([f"{left}{_BREAKS[kind]}{right}", *rest, ""]).encode()


@cache
def plain_fragments() -> npt.NDArray[np.void]:
    """Return those fragments that have neither a comma nor the end of a sentence."""
    table = fragments()
    letters = table.view(np.uint8).reshape(len(table), FRAGMENT_BYTES)
    kept = ((letters != ord(",")) & (letters != ord("."))).all(axis=1)
    return cast("npt.NDArray[np.void]", table[kept])


@cache
def capital_fragments() -> npt.NDArray[np.void]:
    """Return the plain fragments with a capital at their beginning."""
    letters = plain_fragments().view(np.uint8).reshape(-1, FRAGMENT_BYTES).copy()
    letters[:, 0] -= ord("a") - ord("A")
    return letters.view(f"V{FRAGMENT_BYTES}").reshape(-1)


@cache
def plain_endings() -> npt.NDArray[np.void]:
    """Return the plain fragments without the space at their end: 15 bytes each."""
    letters = plain_fragments().view(np.uint8).reshape(-1, FRAGMENT_BYTES)
    last = FRAGMENT_BYTES - 1
    return np.ascontiguousarray(letters[:, :last]).view(f"V{last}").reshape(-1)
