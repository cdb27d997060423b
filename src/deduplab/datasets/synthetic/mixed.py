"""The family ``mixed``: a blend of four families, payload by payload, as shared storage has it.

Of 10 payloads 4 are text_document, 3 structured_json, 2 random_binary and 1 uuid_keys;
which one a payload is follows from its id. All have lengths from the same distribution.

The record has the family's name and the payload as bytes: whoever keeps contents of
unlike kinds in one container has a column for the kind and one for the bytes, since no
type of any database holds texts, documents and images alike. The name is not stored in
the payload; it is told from how the payload begins. ``zstd -1`` takes away 34 % of
objects of 1 KiB, 41 % of 4 KiB, 43 % of 8 KiB, 51 % of 64 KiB and 51 % of 1 MiB.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.synthetic.draws import Draws
from deduplab.datasets.synthetic.random_binary import RandomBinary
from deduplab.datasets.synthetic.structured_json import StructuredJson
from deduplab.datasets.synthetic.text_document import TextDocument
from deduplab.datasets.synthetic.units_stream import Integers, blocks, scatter
from deduplab.datasets.synthetic.uuid_keys import UuidKeys
from deduplab.record import Field, FieldType, Record, RecordType
from deduplab.units import MIB

# Out of ten payloads, so many are of each family.
_WEIGHTS: Final = (
    ("text_document", TextDocument, 4),
    ("structured_json", StructuredJson, 3),
    ("random_binary", RandomBinary, 2),
    ("uuid_keys", UuidKeys, 1),
)
_BEGINNINGS: Final = (
    ("text_document", re.compile(rb"No \d{12} [A-Z]")),
    ("structured_json", re.compile(rb'\{"address":"')),
    ("uuid_keys", re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\n|$)")),
)
# Payloads are made side by side in a buffer and then dealt out; longer ones are made in place.
_BUFFER_BYTES: Final = MIB


class Mixed(Payloads):
    """Payload ``id`` is the payload with the same id of one of four families."""

    least_object_bytes = max(family.least_object_bytes for _, family, _ in _WEIGHTS)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        fields = (Field("family", FieldType.TEXT), Field("content", FieldType.BYTES))
        self.record_type = RecordType(
            spec.payload, fields, "application/octet-stream", _parse, _serialise
        )
        self._families: list[Payloads] = [
            family(dataclasses.replace(spec, payload=name)) for name, family, _ in _WEIGHTS
        ]
        weights = [weight for _, _, weight in _WEIGHTS]
        self._kinds = np.repeat(np.arange(len(weights)), weights)
        self._draws = Draws(spec.seed, "mixed family")
        self._buffer = np.empty(0, dtype=np.uint8)

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        lengths = self.lengths(ids)
        starts = np.cumsum(lengths) - lengths
        draws = self._draws.numbers(ids.astype(np.uint64))[0]
        kinds = self._kinds[draws % np.uint64(len(self._kinds))]
        for number, family in enumerate(self._families):
            chosen = np.flatnonzero(kinds == number)
            for begin, end in blocks(lengths[chosen], _BUFFER_BYTES):
                part = chosen[begin:end]
                self._write_part(family, ids[part], starts[part], lengths[part], out)

    def _write_part(
        self, family: Payloads, ids: Integers, starts: Integers, lengths: Integers, out: memoryview
    ) -> None:
        if len(ids) == 1:
            start = int(starts[0])
            family.write(ids, out[start : start + int(lengths[0])])
            return
        if not len(self._buffer):
            self._buffer = np.empty(_BUFFER_BYTES, dtype=np.uint8)
        made = self._buffer[: int(lengths.sum())]
        family.write(ids, made.data)
        scatter(out, starts, lengths, made, np.cumsum(lengths) - lengths)


def _parse(payload: bytes) -> Record:
    for name, beginning in _BEGINNINGS:
        if beginning.match(payload):
            return (name, payload)
    return ("random_binary", payload)


def _serialise(record: Record) -> bytes:
    return bytes(cast("bytes", record[1]))
