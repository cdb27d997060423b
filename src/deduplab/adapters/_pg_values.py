"""Values in PostgreSQL's binary formats, and batches of records as binary COPY.

The formats are those of the types' send and receive functions. ``numeric`` is
four numbers of 16 bits (digits, weight of the first, sign, digits behind the
point) and then digits to the base 10000; ``timestamptz`` is microseconds since
2000-01-01 UTC; ``jsonb`` is its version, 1, and the document as text. Sources:
PostgreSQL documentation, "COPY", section "Binary Format", which refers to the
server's sources for each type (``numeric.c``, ``timestamp.c``, ``jsonb.c``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from deduplab.adapters._pg_binary import CHUNK_BYTES, COPY_HEADER, COPY_TRAILER
from deduplab.batch import Batch
from deduplab.record import Field, FieldType

_LENGTH: Final = struct.Struct(">i")
_INT64: Final = struct.Struct(">q")
_FLOAT64: Final = struct.Struct(">d")
_NUMERIC: Final = struct.Struct(">hhHh")
_NULL: Final = _LENGTH.pack(-1)
_NEGATIVE: Final = 0x4000
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01 UTC, in microseconds since 1970
_MOST_DIGITS: Final = 6  # to the base 10000, of 18 decimal ones and the zeros beside them
_SIZED_NUMERIC: Final = [struct.Struct(f">ihhHh{n}h") for n in range(_MOST_DIGITS + 1)]
_SIZED_INT64: Final = struct.Struct(">iq")
_SIZED_JSONB: Final = struct.Struct(">iB")
_ENCODED_ROWS: Final = 256
_LENGTH_OF_UUID: Final = _LENGTH.pack(16)

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


def encoder(field: Field) -> Encode:
    """Return what encodes a field's values that are not NULL."""
    copied = _copied(replace(field, nullable=False))
    return lambda value: copied(value)[_LENGTH.size :]


def decoder(field: Field) -> Decode:
    """Return what decodes a field's values that are not NULL."""
    return _DECODERS[field.type]


def record_chunks(
    batch: Batch, fields: tuple[Field, ...], chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """Yield a batch's records as binary COPY of rows (key text, fields), in pieces.

    Header, trailer and lengths of pieces are as in
    :func:`deduplab.adapters._pg_binary.copy_chunks`.
    """
    parts = [COPY_HEADER]
    filled_bytes = 0
    for row in _rows(batch, fields):
        parts.append(row)
        filled_bytes += len(row)
        if filled_bytes >= chunk_bytes:
            yield b"".join(parts)
            parts = []
            filled_bytes = 0
    parts.append(COPY_TRAILER)
    yield b"".join(parts)


def _rows(batch: Batch, fields: tuple[Field, ...]) -> Iterator[bytes]:
    """Yield framed rows, encoded column by column.

    A few hundred at a time, so that the server works on some while others are encoded.
    """
    head = struct.pack(">h", len(fields) + 1)
    encoders = [_copied(field) for field in fields]
    for start in range(0, len(batch), _ENCODED_ROWS):
        part = slice(start, start + _ENCODED_ROWS)
        keys = [head + _text_sized(key) for key in batch.keys[part]]
        columns = [
            map(encode, values[part])
            for encode, values in zip(encoders, batch.columns, strict=True)
        ]
        yield from map(b"".join, zip(keys, *columns, strict=True))


def _copied(field: Field) -> Encode:
    """Return what encodes a field's values with their length before them.

    It is called for every value of a load, so each type has one function of its own.
    """
    if field.type is FieldType.DECIMAL:
        whole: Encode = partial(_numeric_sized, field.scale, -field.scale % 4)
    else:
        whole = _COPIED[field.type]
    if not field.nullable:
        return whole
    return lambda value: _NULL if value is None else whole(value)


def _sized(raw: bytes) -> bytes:
    return _LENGTH.pack(len(raw)) + raw


def _numeric_sized(scale: int, padding: int, value: Decimal) -> bytes:
    """Return a numeric with its length; the padding fills up the last digit to the base 10000."""
    rest = int(value.scaleb(scale + padding))
    sign = 0
    if rest < 0:
        sign, rest = _NEGATIVE, -rest
    digits: list[int] = []
    while rest:
        rest, digit = divmod(rest, 10_000)
        digits.append(digit)
    digits.reverse()
    count = len(digits)
    weight = count - (scale + padding) // 4 - 1 if count else 0
    return _SIZED_NUMERIC[count].pack(8 + 2 * count, count, weight, sign, scale, *digits)


def _text_sized(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH.pack(len(raw)) + raw


def _json_sized(value: str) -> bytes:
    raw = value.encode()
    return _SIZED_JSONB.pack(len(raw) + 1, 1) + raw


def _uuid_sized(value: str) -> bytes:
    return _LENGTH_OF_UUID + bytes.fromhex(value.replace("-", ""))


def _timestamp_sized(value: int) -> bytes:
    return _SIZED_INT64.pack(8, value - _EPOCH_US)


def _numeric_of(raw: bytes) -> Decimal:
    count, weight, sign, scale = _NUMERIC.unpack_from(raw)
    number = 0
    for digit in struct.unpack_from(f">{count}h", raw, _NUMERIC.size):
        number = number * 10_000 + digit
    places = 4 * (weight - count + 1) + scale
    units = number * 10**places if places >= 0 else number // 10**-places
    return Decimal(-units if sign == _NEGATIVE else units).scaleb(-scale)


def _timestamp_of(raw: bytes) -> int:
    return int(_INT64.unpack(raw)[0]) + _EPOCH_US


def _uuid_of(raw: bytes) -> str:
    return str(UUID(bytes=raw))


_COPIED: Final[Mapping[FieldType, Encode]] = {
    FieldType.TEXT: _text_sized,
    FieldType.BYTES: _sized,
    FieldType.INTEGER: partial(_SIZED_INT64.pack, 8),
    FieldType.FLOAT: partial(struct.Struct(">id").pack, 8),
    FieldType.BOOLEAN: partial(struct.Struct(">i?").pack, 1),
    FieldType.TIMESTAMP: _timestamp_sized,
    FieldType.UUID: _uuid_sized,
    FieldType.JSON: _json_sized,
}
_DECODERS: Final[Mapping[FieldType, Decode]] = {
    FieldType.TEXT: bytes.decode,
    FieldType.BYTES: bytes,
    FieldType.INTEGER: lambda raw: _INT64.unpack(raw)[0],
    FieldType.FLOAT: lambda raw: _FLOAT64.unpack(raw)[0],
    FieldType.DECIMAL: _numeric_of,
    FieldType.BOOLEAN: lambda raw: raw == b"\x01",
    FieldType.TIMESTAMP: _timestamp_of,
    FieldType.UUID: _uuid_of,
    FieldType.JSON: lambda raw: raw[1:].decode(),
}
