"""Draws: random 64-bit numbers by place, for many objects at once and in any order.

A number is a counter sent through a bijection of 64-bit numbers, so two draws of
one purpose are never equal unless their counters are. That is what keeps unlike
objects from sharing content by chance: a unit made from a draw of its own can't repeat.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from blake3 import blake3

Numbers: TypeAlias = npt.NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT: Final = np.uint64(31)


class Draws:
    """The numbers of a seed and a purpose; other seeds or purposes give unrelated ones."""

    def __init__(self, seed: int, purpose: str) -> None:
        key = blake3(f"deduplab draws {purpose} {seed}".encode()).digest(8)
        self._key = np.uint64(int.from_bytes(key, "big"))

    def numbers(self, counters: Numbers, each: int = 1) -> Numbers:
        """Return ``each`` numbers for every counter, shape (each, counters), little-endian.

        SplitMix64 as a function of its counter (Steele, Lea, Flood 2014; constants
        of S. Vigna's public-domain version).
        """
        mixed = np.empty((each, len(counters)), dtype=np.uint64)
        np.multiply(counters, np.uint64(each), out=mixed[0])
        for place in range(1, each):
            np.add(mixed[0], np.uint64(place), out=mixed[place])
        mixed *= _GOLDEN
        mixed += self._key
        shifted = np.empty_like(mixed)
        for shift, factor in _ROUNDS:
            np.right_shift(mixed, shift, out=shifted)
            mixed ^= shifted
            mixed *= factor
        np.right_shift(mixed, _LAST_SHIFT, out=shifted)
        mixed ^= shifted
        return mixed.astype("<u8", copy=False)
