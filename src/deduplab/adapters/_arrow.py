"""Batches as Arrow tables, for systems that load columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deduplab.adapters._layout import Layout
from deduplab.batch import Batch
from deduplab.record import Field, FieldType, Record

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_table(batch: Batch, layout: Layout) -> pa.Table:
    """Return a batch as a table of ``key`` and the layout's fields.

    Payloads of the layout blob share the batch's memory. UUIDs and JSON
    documents are text, timestamps count microseconds without a zone.
    """
    import pyarrow as pa

    keys = pa.array(batch.keys, pa.large_string())
    if layout.is_native:
        columns = [
            pa.array(values, _arrow_type(field))
            for field, values in zip(layout.fields, batch.columns, strict=True)
        ]
    else:
        buffers = [None, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)]
        columns = [pa.Array.from_buffers(pa.large_binary(), len(batch), buffers)]
    return pa.Table.from_arrays([keys, *columns], ["key", *(f.name for f in layout.fields)])


def arrow_row(key: str, row: Record, layout: Layout) -> pa.Table:
    """Return one row as a table of ``key`` and the layout's fields."""
    import pyarrow as pa

    columns = [
        pa.array([value], _arrow_type(field))
        for field, value in zip(layout.fields, row, strict=True)
    ]
    keys = pa.array([key], pa.large_string())
    return pa.Table.from_arrays([keys, *columns], ["key", *(f.name for f in layout.fields)])


def _arrow_type(field: Field) -> Any:
    import pyarrow as pa

    if field.type is FieldType.DECIMAL:
        return pa.decimal128(18, field.scale)
    types = {
        FieldType.BYTES: pa.large_binary(),
        FieldType.INTEGER: pa.int64(),
        FieldType.FLOAT: pa.float64(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.TIMESTAMP: pa.timestamp("us"),
    }
    return types.get(field.type, pa.large_string())
