"""A histogram of counts over whole numbers of any magnitude, in about a thousand bins."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.results import Bin

_STEPS: Final = 16
_STEP_BITS: Final = 4
BINS: Final = _STEPS + (53 - _STEP_BITS) * _STEPS
_GREATEST: Final = 2**53 - 1


class LogHistogram:
    """Values up to 15 are told apart, above them 16 bins cover each octave.

    Values above 2^53 - 1 count as that: a double tells no more apart, and no data is so long.
    """

    def __init__(self, counts: npt.NDArray[np.uint64] | None = None) -> None:
        self.counts = np.zeros(BINS, dtype=np.uint64) if counts is None else counts

    def add(self, values: npt.NDArray[np.uint64], weight: int = 1) -> None:
        """Count values, each ``weight`` times."""
        if len(values):
            found = np.bincount(_bins(values), minlength=BINS).astype(np.uint64)
            self.counts += found * np.uint64(weight)

    def copy(self) -> LogHistogram:
        """Return one that can be counted on apart."""
        return LogHistogram(self.counts.copy())

    def merged(self, other: LogHistogram) -> LogHistogram:
        """Return the histogram of both."""
        return LogHistogram(self.counts + other.counts)

    @property
    def total(self) -> int:
        """How many values were counted, by their weights."""
        return int(self.counts.sum())

    def median(self) -> int | None:
        """Return the middle of the bin that the lower median lies in; None if it is empty."""
        total = self.total
        if not total:
            return None
        reached = np.cumsum(self.counts)
        index = int(np.searchsorted(reached, np.uint64((total + 1) // 2)))
        least, greatest = _limits(index)
        return (least + greatest) // 2

    def octaves(self) -> list[Bin]:
        """Return the bins 0, 1, 2 to 3, 4 to 7 and so on that are not empty."""
        found: dict[int, int] = {}
        for index in np.flatnonzero(self.counts).tolist():
            octave = _limits(index)[0].bit_length()
            found[octave] = found.get(octave, 0) + int(self.counts[index])
        return [
            Bin(least=1 << octave >> 1, greatest=(1 << octave) - 1, count=count)
            for octave, count in sorted(found.items())
        ]


def octaves(values: npt.NDArray[np.uint64], weight: int = 1) -> list[Bin]:
    """Return how many values there are in 0, 1, 2 to 3, 4 to 7 and so on, without empty bins."""
    histogram = LogHistogram()
    histogram.add(values, weight)
    return histogram.octaves()


def _bins(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    kept = np.minimum(values, np.uint64(_GREATEST))
    exponents = np.maximum(np.frexp(kept.astype(np.float64))[1].astype(np.int64) - 1, _STEP_BITS)
    shifts = (exponents - _STEP_BITS).astype(np.uint64)
    # From 16 on, the five highest bits are 16 to 31: the step within the octave, and 16.
    places = (kept >> shifts).astype(np.int64)
    bins: npt.NDArray[np.int64] = places + (exponents - _STEP_BITS) * _STEPS
    return bins


def _limits(index: int) -> tuple[int, int]:
    """Return the least and the greatest value of a bin."""
    if index < 2 * _STEPS:
        return index, index
    shift = index // _STEPS - 1
    least = (index % _STEPS + _STEPS) << shift
    return least, least + (1 << shift) - 1
