"""A seeded permutation of 0 to N - 1 without a table.

A Feistel network over just enough bits is a bijection of a range that is less
than twice too large; values that fall outside are put through again until they
are inside (cycle walking), which keeps it a bijection of the range itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

_ROUNDS: Final = 8
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_FOLD: Final = np.uint64(32)


class Permutation:
    """A bijection of 0 to ``length - 1``; equal seeds and lengths give equal ones everywhere."""

    def __init__(self, length: int, seed: int) -> None:
        bits = (length - 1).bit_length()
        self._length = np.uint64(length)
        self._low_bits = np.uint64(bits // 2)
        self._low_mask = np.uint64((1 << (bits // 2)) - 1)
        self._high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
        material = blake3(f"deduplab order {seed}".encode()).digest(8 * _ROUNDS)
        self._round_keys = np.frombuffer(material, dtype="<u8").astype(np.uint64)

    def __call__(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where each position is sent; positions lie in 0 to ``length - 1``."""
        values = self._once(positions.astype(np.uint64))
        outside = np.flatnonzero(values >= self._length)
        while len(outside):
            values[outside] = self._once(values[outside])
            outside = outside[values[outside] >= self._length]
        return values.astype(np.int64)

    def _once(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        low = values & self._low_mask
        high = values >> self._low_bits
        for number, key in enumerate(self._round_keys):
            if number % 2:
                low ^= _mixed(high, key) & self._low_mask
            else:
                high ^= _mixed(low, key) & self._high_mask
        return (high << self._low_bits) | low


def _mixed(values: npt.NDArray[np.uint64], key: np.uint64) -> npt.NDArray[np.uint64]:
    """Spread every bit of the values over 64 bits, differently for each key."""
    mixed = (values ^ key) * _MULTIPLIER
    mixed ^= mixed >> _FOLD
    mixed *= _MULTIPLIER
    mixed ^= mixed >> _FOLD
    return mixed
