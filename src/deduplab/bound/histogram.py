"""A histogram of counts over whole numbers of any magnitude, in about a thousand bins."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from deduplab.bound.figures import OCTAVES, octaves
from deduplab.bound.results import Bin

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_STEPS: Final = 16
_STEP_BITS: Final = 4
BINS: Final = _STEPS + (53 - _STEP_BITS) * _STEPS
_GREATEST: Final = 2**53 - 1


class LogHistogram:
    """Values up to 15 are told apart, above them 16 bins cover each octave.

    Values above 2^53 - 1 count as that: a double tells no more apart, and no data is so long.

    Attributes
    ----------
    counts
        Of each bin, as uint64.
    """

    def __init__(self, counts: array[int] | None = None) -> None:
        self.counts = array("Q", bytes(8 * BINS)) if counts is None else counts

    def add(self, values: npt.NDArray[np.uint64], weight: int = 1) -> None:
        """Count values, each ``weight`` times."""
        if not len(values):
            return
        import numpy as np  # late, as only what has arrays comes here

        found = np.bincount(_bins(values), minlength=BINS).astype(np.uint64) * np.uint64(weight)
        counts = np.frombuffer(self.counts, dtype=np.uint64)
        counts += found

    def copy(self) -> LogHistogram:
        """Return one that can be counted on apart."""
        return LogHistogram(self.counts[:])

    def merged(self, other: LogHistogram) -> LogHistogram:
        """Return the histogram of both."""
        pairs = zip(self.counts, other.counts, strict=True)
        return LogHistogram(array("Q", [one + two for one, two in pairs]))

    @property
    def total(self) -> int:
        """How many values were counted, by their weights."""
        return sum(self.counts)

    def median(self) -> int | None:
        """Return the middle of the bin that the lower median lies in; None if it is empty."""
        middle = (self.total + 1) // 2
        for index, reached in enumerate(accumulate(self.counts)):
            if reached >= middle > 0:
                least, greatest = _limits(index)
                return (least + greatest) // 2
        return None

    def octaves(self) -> list[Bin]:
        """Return the bins 0, 1, 2 to 3, 4 to 7 and so on that are not empty."""
        by_bits = [0] * OCTAVES
        for index, count in enumerate(self.counts):
            if count:
                by_bits[_limits(index)[0].bit_length()] += count
        return octaves(by_bits)


def _bins(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    import numpy as np

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
