"""What is published of unique chunks, each counted once: sums, histograms and percentiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from deduplab.bound.results import Bin

PERCENTS: Final = (1, 10, 25, 50, 75, 90, 99)
COUNTED_APART: Final = 16
"""Occurrences below this are told apart, others by octave."""
OCTAVES: Final = 65


class Figures(NamedTuple):
    """Numbers over the rows of a table of unique chunks.

    Attributes
    ----------
    unique_chunks, unique_bytes
        How many rows there are, and the sum of their lengths.
    squares
        The sum of the squares of their lengths.
    copies
        How many chunks occur so often: 0 to 15 times, then by the bit length of the number.
    lengths
        How many chunks have a length of so many bits.
    percentiles_bytes
        Lengths, by :data:`PERCENTS`: the least that at least so many percent are not above.
    """

    unique_chunks: int
    unique_bytes: int
    squares: int
    copies: Sequence[int]
    lengths: Sequence[int]
    percentiles_bytes: Sequence[int]

    @property
    def effective_chunks(self) -> float:
        """N / (1 + cv^2): as many chunks of equal length would vary as much."""
        return self.unique_bytes**2 / self.squares if self.squares else 0.0

    def copies_bins(self, weight: int) -> list[Bin]:
        """Return the occurrences as bins: 1 to 15 apart, then octaves."""
        apart = self.copies[:COUNTED_APART]
        bins = [Bin(count, count, one * weight) for count, one in enumerate(apart) if one]
        return bins + octaves(self.copies[COUNTED_APART:], weight)


def octaves(by_bits: Iterable[int], weight: int = 1) -> list[Bin]:
    """Return the bins 0, 1, 2 to 3, 4 to 7 and so on, by bit length, without the empty ones."""
    return [
        Bin(least=1 << bits >> 1, greatest=(1 << bits) - 1, count=count * weight)
        for bits, count in enumerate(by_bits)
        if count
    ]
