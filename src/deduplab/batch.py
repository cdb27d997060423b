"""A batch: objects that lie in memory, one after another, before the clock starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(slots=True)
class Batch:
    """Objects in insertion order.

    Parameters
    ----------
    keys
        One ASCII key an object, unique in the dataset.
    data
        All payloads back to back; the buffer belongs to this batch until the
        next one is asked for, so an adapter must not keep it.
    offsets
        int64, shape (objects + 1,): payload i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    keys: list[str]
    data: memoryview
    offsets: npt.NDArray[np.int64]
    _payloads: list[bytes] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def logical_bytes(self) -> int:
        """Sum of the payloads' lengths in bytes; keys are not included."""
        return int(self.offsets[-1] - self.offsets[0])

    @property
    def payloads(self) -> list[bytes]:
        """The payloads as separate ``bytes``; copied at the first use, then kept."""
        if self._payloads is None:
            bounds = self.offsets.tolist()
            data = self.data
            self._payloads = [bytes(data[start:stop]) for start, stop in pairwise(bounds)]
        return self._payloads
