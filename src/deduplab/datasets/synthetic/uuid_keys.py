"""The family ``uuid_keys``: random UUIDs (version 4), one a line.

An object is the beginning of an endless list of lines of 37 bytes, so its last UUID may
be cut short; an object of 36 bytes is one UUID. ``zstd -1`` takes away 44 % of objects
of 1 KiB, 47 % of 4 KiB, 47 % of 8 KiB, 48 % of 64 KiB and 48 % of 1 MiB.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.synthetic.columns import Uuid
from deduplab.datasets.synthetic.row_template import RowTemplate
from deduplab.record import Field, FieldType, Record, RecordType

_LINE_BYTES: Final = 37


class UuidKeys(Payloads):
    """Payload ``id`` is a list of UUIDs; its record is the first one, and the rest as text."""

    least_object_bytes = 36

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        lines = -(-self.sizes.greatest_bytes // _LINE_BYTES)
        self._lines = RowTemplate((Uuid(), "\n"), spec.seed, "uuid_keys", lines)
        fields = (Field("id", FieldType.UUID), Field("others", FieldType.TEXT, nullable=True))
        self.record_type = RecordType(spec.payload, fields, "text/plain", _parse, _serialise)

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        lengths = self.lengths(ids)
        self._lines.place(out, ids, np.cumsum(lengths) - lengths, lengths)


def _parse(payload: bytes) -> Record:
    first, feed, others = payload.decode("ascii").partition("\n")
    return (first, others if feed else None)


def _serialise(record: Record) -> bytes:
    first, others = record
    return (str(first) if others is None else f"{first!s}\n{others!s}").encode("ascii")
