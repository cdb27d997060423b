"""A batch: objects that lie in memory, one after another, before the clock starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from deduplab.record import Record, RecordType, Value


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
    record_type
        How to take the payloads apart for the native layout; None for blob alone.
    """

    keys: list[str]
    data: memoryview
    offsets: npt.NDArray[np.int64]
    record_type: RecordType | None = None
    _payloads: list[bytes] | None = field(default=None, repr=False)
    _records: list[Record] | None = field(default=None, repr=False)
    _columns: list[tuple[Value, ...]] | None = field(default=None, repr=False)

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

    @property
    def records(self) -> list[Record]:
        """The payloads taken apart into their records; parsed at the first use, then kept."""
        if self._records is None:
            assert self.record_type is not None
            parse = self.record_type.parse
            self._records = [parse(payload) for payload in self.payloads]
        return self._records

    @property
    def columns(self) -> list[tuple[Value, ...]]:
        """The records by field: one tuple of values a field; made at the first use, then kept."""
        if self._columns is None:
            self._columns = list(zip(*self.records, strict=True))
        return self._columns
