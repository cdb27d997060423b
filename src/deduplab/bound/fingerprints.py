"""Fingerprints: 128-bit XXH3 of pieces of data, and a compact set of them.

XXH3 is not cryptographic: it tells pieces apart that nobody forged (chance of
one mistake among 2^32 pieces: below 2^-64), and is used for counting only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

Fingerprints = npt.NDArray[np.uint64]
"""Shape (pieces, 2): the two halves of each 128-bit fingerprint."""

_INITIAL_SLOTS: Final = 1 << 12


def fingerprints(data: memoryview, starts: Iterable[int], ends: Iterable[int]) -> Fingerprints:
    """Return the fingerprints of the pieces of ``data`` that begin and end at these offsets."""
    digests = [xxh3_128_digest(data[a:b]) for a, b in zip(starts, ends, strict=True)]
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2).astype(np.uint64)


class FingerprintSet:
    """A set of fingerprints in one array: open addressing, 24 to 48 bytes an entry."""

    def __init__(self) -> None:
        self._table = np.zeros((_INITIAL_SLOTS, 2), dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pieces: Fingerprints) -> npt.NDArray[np.bool_]:
        """Add fingerprints, and tell for each whether it was new.

        Of equal ones in the same call the first is the new one.
        """
        needed = 3 * (self._count + len(pieces)) // 2
        if needed > len(self._table):
            self._grow(needed)
        new = self._insert(_without_zero(pieces))
        self._count += int(np.count_nonzero(new))
        return new

    def _insert(self, pieces: Fingerprints) -> npt.NDArray[np.bool_]:
        table, mask = self._table, np.uint64(len(self._table) - 1)
        new = np.zeros(len(pieces), dtype=np.bool_)
        waiting = np.arange(len(pieces))
        slots = pieces[:, 0] & mask
        while len(waiting):
            free = waiting[table[slots[waiting], 0] == 0]
            # Several may want one free slot: the first gets it, and its equals find it there.
            first = free[np.unique(slots[free], return_index=True)[1]]
            table[slots[first]] = pieces[first]
            new[first] = True
            placed = (table[slots[waiting]] == pieces[waiting]).all(axis=1)
            waiting = waiting[~placed]
            slots[waiting] = (slots[waiting] + np.uint64(1)) & mask
        return new

    def _grow(self, needed: int) -> None:
        old = self._table[self._table[:, 0] != 0]
        self._table = np.zeros((1 << needed.bit_length(), 2), dtype=np.uint64)
        self._insert(old)


def _without_zero(pieces: Fingerprints) -> Fingerprints:
    """Return the pieces with a first half of 0 moved to 1: 0 marks a free slot."""
    if pieces[:, 0].all():
        return pieces
    moved = pieces.copy()
    np.maximum(moved[:, 0], np.uint64(1), out=moved[:, 0])
    return moved
