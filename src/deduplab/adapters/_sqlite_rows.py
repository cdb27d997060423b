"""SQLite's types for fields, the inserts of each shape, and rows as the driver has them.

SQLite has four storage classes. JSON and UUIDs are TEXT, booleans and
timestamps (microseconds) are INTEGER, and decimals are INTEGER as well, in
units of their last digit: 18 digits fit into 64 bits, sums and comparisons stay
exact, while REAL would round and NUMERIC turns text into REAL where it can.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from deduplab.adapters._layout import Conversion, Convert, Layout
from deduplab.adapters._sql_tables import Dialect, Tables, tables_of
from deduplab.record import Field, FieldType, Stored

DIALECT: Final = Dialect(
    types={
        FieldType.TEXT: "TEXT",
        FieldType.BYTES: "BLOB",
        FieldType.INTEGER: "INTEGER",
        FieldType.FLOAT: "REAL",
        FieldType.DECIMAL: "INTEGER",
        FieldType.BOOLEAN: "INTEGER",
        FieldType.TIMESTAMP: "INTEGER",
        FieldType.UUID: "TEXT",
        FieldType.JSON: "TEXT",
    },
)
_DOUBLE: Final = struct.Struct(">d")
_NEGATIVE_ZERO: Final = _DOUBLE.pack(-0.0)


@dataclass(frozen=True, slots=True)
class Rows:
    """How a namespace's rows are written and read.

    Parameters
    ----------
    layout, tables
        What is stored, and where.
    insert
        Of an object: its key and the values, or its key and its content's hash.
    insert_content
        Of a content: its hash and the values; None where content is in the objects.
    written, read
        From a row of values to the driver's, and back.
    """

    layout: Layout
    tables: Tables
    insert: str
    insert_content: str | None
    written: Conversion
    read: Conversion

    def stored(self, row: Sequence[Any]) -> Stored:
        """Return what ``get`` returns for a row of the driver's."""
        return self.layout.stored(self.read(row))


def rows_of(variant: str, layout: Layout) -> Rows:
    """Return how the rows of a variant and a layout are written and read."""
    tables = tables_of(variant, layout.fields, DIALECT)
    row = f"VALUES (?{', ?' * len(layout.fields)})"
    insert, insert_content = f"INSERT INTO objects {row}", None
    if tables.sweep is not None:
        insert_content = f"INSERT INTO contents {row} ON CONFLICT DO NOTHING"
        insert = "INSERT INTO objects VALUES (?, ?)"
    written, read = (Conversion.of(layout.fields, of) for of in (_writer, _reader))
    return Rows(layout, tables, insert, insert_content, written, read)


def _writer(field: Field) -> Convert | None:
    """Return what makes a driver's value of a field's, None where it is one already."""
    if field.type is FieldType.DECIMAL:
        scale = field.scale
        return lambda value: int(value.scaleb(scale))
    return _float_written if field.type is FieldType.FLOAT else None


def _reader(field: Field) -> Convert | None:
    """Return what makes a field's value of the driver's, None where it is one already."""
    if field.type is FieldType.DECIMAL:
        scale = field.scale
        return lambda units: Decimal(units).scaleb(-scale)
    if field.type is FieldType.BOOLEAN:
        return bool
    return _float_read if field.type is FieldType.FLOAT else None


def _float_written(value: float) -> float | bytes:
    # A REAL column keeps whole numbers as integers, which have no negative zero.
    return _NEGATIVE_ZERO if value == 0 and math.copysign(1, value) < 0 else value


def _float_read(value: float | bytes) -> float:
    return float(_DOUBLE.unpack(value)[0]) if isinstance(value, bytes) else value
