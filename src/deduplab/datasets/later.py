"""The payloads of a source behind those that another dataset takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deduplab.datasets.multiplicity import Lengths
from deduplab.datasets.payloads import Payloads


class Later(Payloads):
    """Other payloads without the first ones: about ``skip_bytes`` of them are left out.

    ``fixed_bytes`` is the one length of all payloads, None if lengths differ.
    """

    def __init__(self, inner: Payloads, fixed_bytes: int | None) -> None:
        self.spec = inner.spec
        self.sizes = inner.sizes
        self.record_type = inner.record_type
        self._inner = inner
        skip_bytes = inner.spec.skip_bytes
        before = Lengths(fixed_bytes, inner.lengths, skip_bytes, inner.available)
        self._skipped = before.within(skip_bytes)
        if inner.available is not None:
            self.available = inner.available - self._skipped

    def lengths(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the length in bytes of the payload with each id; int64, same shape."""
        return self._inner.lengths(ids + self._skipped)

    def varied(self, unique: int) -> int:
        """Return how many of the first payloads are variations that a real corpus did not hold."""
        return self._inner.varied(unique + self._skipped) - self._inner.varied(self._skipped)

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        self._inner.write(ids + self._skipped, out)
