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
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from deduplab.adapters._pgwire import CHUNK_BYTES, COPY_HEADER, COPY_TRAILER
from deduplab.batch import Batch
from deduplab.record import Field, FieldType

_LENGTH: Final = struct.Struct(">i")
_INT64: Final = struct.Struct(">q")
_FLOAT64: Final = struct.Struct(">d")
_NUMERIC: Final = struct.Struct(">hhHh")
_NULL: Final = _LENGTH.pack(-1)
_NEGATIVE: Final = 0x4000
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01 UTC, in microseconds since 1970
_JSONB_VERSION: Final = b"\x01"

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


def encoder(field: Field) -> Encode:
    """Return what encodes a field's values that are not NULL."""
    if field.type is FieldType.DECIMAL:
        return partial(_numeric, field.scale)
    return _ENCODERS[field.type]


def decoder(field: Field) -> Decode:
    """Return what decodes a field's values that are not NULL."""
    return _DECODERS[field.type]


def record_chunks(
    batch: Batch, fields: tuple[Field, ...], chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """Yield a batch's records as binary COPY of rows (key text, fields), in pieces.

    Header, trailer and lengths of pieces are as in
    :func:`deduplab.adapters._pgwire.copy_chunks`.
    """
    head = struct.pack(">h", len(fields) + 1)
    keys = [head + _sized(key.encode()) for key in batch.keys]
    columns = [
        list(map(_copied(field), values))
        for field, values in zip(fields, batch.columns, strict=True)
    ]
    parts = [COPY_HEADER]
    filled_bytes = 0
    for row in map(b"".join, zip(keys, *columns, strict=True)):
        parts.append(row)
        filled_bytes += len(row)
        if filled_bytes >= chunk_bytes:
            yield b"".join(parts)
            parts = []
            filled_bytes = 0
    parts.append(COPY_TRAILER)
    yield b"".join(parts)


def _copied(field: Field) -> Encode:
    """Return what encodes a field's values with their length before them."""
    whole = _FIXED.get(field.type)
    if whole is None:
        encode = encoder(field)

        def whole(value: Any) -> bytes:
            return _sized(encode(value))

    if not field.nullable:
        return whole
    return lambda value: _NULL if value is None else whole(value)


def _sized(raw: bytes) -> bytes:
    return _LENGTH.pack(len(raw)) + raw


def _numeric(scale: int, value: Decimal) -> bytes:
    units = int(value.scaleb(scale))
    padding = -scale % 4
    rest = abs(units) * 10**padding
    weight = -(scale + padding) // 4 - 1
    digits: list[int] = []
    while rest:
        rest, digit = divmod(rest, 10_000)
        digits.append(digit)
        weight += 1
    digits.reverse()
    sign = _NEGATIVE if units < 0 else 0
    head = _NUMERIC.pack(len(digits), weight if digits else 0, sign, scale)
    return head + struct.pack(f">{len(digits)}h", *digits)


def _numeric_of(raw: bytes) -> Decimal:
    count, weight, sign, scale = _NUMERIC.unpack_from(raw)
    number = 0
    for digit in struct.unpack_from(f">{count}h", raw, _NUMERIC.size):
        number = number * 10_000 + digit
    places = 4 * (weight - count + 1) + scale
    units = number * 10**places if places >= 0 else number // 10**-places
    return Decimal(-units if sign == _NEGATIVE else units).scaleb(-scale)


def _timestamp(value: int) -> bytes:
    return _INT64.pack(value - _EPOCH_US)


def _timestamp_of(raw: bytes) -> int:
    return int(_INT64.unpack(raw)[0]) + _EPOCH_US


def _uuid(value: str) -> bytes:
    return bytes.fromhex(value.replace("-", ""))


def _uuid_of(raw: bytes) -> str:
    return str(UUID(bytes=raw))


def _jsonb(value: str) -> bytes:
    return _JSONB_VERSION + value.encode()


_ENCODERS: Final[Mapping[FieldType, Encode]] = {
    FieldType.TEXT: str.encode,
    FieldType.BYTES: bytes,
    FieldType.INTEGER: _INT64.pack,
    FieldType.FLOAT: _FLOAT64.pack,
    FieldType.BOOLEAN: lambda value: b"\x01" if value else b"\x00",
    FieldType.TIMESTAMP: _timestamp,
    FieldType.UUID: _uuid,
    FieldType.JSON: _jsonb,
}
# Of fixed length, so that length and value are packed by one call.
_FIXED: Final[dict[FieldType, Encode]] = {
    FieldType.INTEGER: partial(struct.Struct(">iq").pack, 8),
    FieldType.FLOAT: partial(struct.Struct(">id").pack, 8),
    FieldType.BOOLEAN: partial(struct.Struct(">i?").pack, 1),
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
