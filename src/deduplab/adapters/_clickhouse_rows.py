"""Rows of ClickHouse: one put as an expression of its values, one read from RowBinary.

RowBinary is told in ClickHouse's documentation, "Formats", section "RowBinary";
the layout of values in "Data types binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from deduplab.adapters._clickhouse_tables import type_of
from deduplab.adapters._clickhouse_words import quoted
from deduplab.adapters._layout import Layout
from deduplab.record import Field, FieldType, Record, Value

_INT64: Final = struct.Struct("<q")
_FLOAT64: Final = struct.Struct("<d")
_TEXTS: Final = (FieldType.TEXT, FieldType.JSON, FieldType.BYTES)

Read: TypeAlias = tuple[Any, int]


def source_of(key: str, row: Record, layout: Layout) -> tuple[str, dict[str, str]]:
    """Return one row as something to select from, and the parameters of it.

    Text and bytes are parameters, as hexadecimal digits: parameters are text.
    Floats are given by their bits, because numbers that are read from text are
    rounded by default (setting ``precise_float_parsing``).
    """
    parameters: dict[str, str] = {}
    columns = [f"{quoted(key)} AS key"]
    for field, value in zip(layout.fields, row, strict=True):
        if field.type in _TEXTS and value is not None:
            raw = value.encode() if isinstance(value, str) else value
            assert isinstance(raw, bytes)
            parameters[field.name] = raw.hex()
            expression = f"unhex({{{field.name}:String}})"
        else:
            expression = _expression(field, value)
        columns.append(f"{expression} AS `{field.name}`")
    return f"(SELECT {', '.join(columns)})", parameters


def _expression(field: Field, value: Any) -> str:
    """Return a value as an expression of its column's type."""
    match field.type:
        case _ if value is None:
            return f"CAST(NULL AS {type_of(field)})"
        case FieldType.FLOAT:
            return f"reinterpretAsFloat64(unhex('{_FLOAT64.pack(value).hex()}'))"
        case FieldType.DECIMAL:
            return f"toDecimal64('{value:f}', {field.scale})"
        case FieldType.TIMESTAMP:
            return f"fromUnixTimestamp64Micro(toInt64('{value}'), 'UTC')"
        case FieldType.BOOLEAN:
            return "true" if value else "false"
        case FieldType.UUID:
            return f"toUUID({quoted(str(value))})"
        case _:
            return f"toInt64('{value}')"


def row_of(raw: bytes, layout: Layout) -> Record | None:
    """Return the one row of a RowBinary answer; None if it has no row."""
    if not raw:
        return None
    values: list[Value] = []
    position = 0
    for field in layout.fields:
        if field.nullable:
            position += 1
            if raw[position - 1]:
                values.append(None)
                continue
        value, position = _READERS[field.type](raw, position)
        values.append(
            Decimal(value).scaleb(-field.scale) if field.type is FieldType.DECIMAL else value
        )
    return tuple(values)


def _bytes_at(raw: bytes, position: int) -> Read:
    length_bytes = shift = 0
    while True:
        byte = raw[position]
        position += 1
        length_bytes |= (byte & 0x7F) << shift
        if byte < 0x80:
            return raw[position : position + length_bytes], position + length_bytes
        shift += 7


def _text_at(raw: bytes, position: int) -> Read:
    content, end = _bytes_at(raw, position)
    return content.decode(), end


def _int64_at(raw: bytes, position: int) -> Read:
    return _INT64.unpack_from(raw, position)[0], position + 8


def _float64_at(raw: bytes, position: int) -> Read:
    return _FLOAT64.unpack_from(raw, position)[0], position + 8


def _boolean_at(raw: bytes, position: int) -> Read:
    return bool(raw[position]), position + 1


def _uuid_at(raw: bytes, position: int) -> Read:
    """Two numbers of 64 bits, little-endian each, the first half first."""
    high, low = raw[position : position + 8], raw[position + 8 : position + 16]
    return str(UUID(bytes=high[::-1] + low[::-1])), position + 16


_READERS: Final[Mapping[FieldType, Callable[[bytes, int], Read]]] = {
    FieldType.TEXT: _text_at,
    FieldType.BYTES: _bytes_at,
    FieldType.INTEGER: _int64_at,
    FieldType.FLOAT: _float64_at,
    FieldType.DECIMAL: _int64_at,
    FieldType.BOOLEAN: _boolean_at,
    FieldType.TIMESTAMP: _int64_at,
    FieldType.UUID: _uuid_at,
    FieldType.JSON: _text_at,
}
