"""Record types: how the payloads of a family are taken apart, and put together again.

Three shapes cover all families: content that stays whole, text with a title
line, and JSON objects. Canonical JSON is what ``msgspec`` writes with sorted
keys: no spaces, keys by code point, shortest numbers, non-ASCII characters as
they are.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

import msgspec

from deduplab.record import Field, FieldType, Record, RecordType, Value

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def canonical_json(document: object) -> bytes:
    """Return the canonical form of a decoded JSON document."""
    return msgspec.json.encode(document, order="sorted")


def content_record(name: str, content_type: str) -> RecordType:
    """Return the record type of payloads that stay whole: one field ``content`` of bytes."""
    return RecordType(
        name,
        (Field("content", FieldType.BYTES),),
        content_type,
        parse=lambda payload: (payload,),
        serialise=lambda record: bytes(cast("bytes", record[0])),
    )


def document_record(name: str) -> RecordType:
    """Return the record type of UTF-8 text: the first line is the ``title``, the rest ``body``."""

    def parse(payload: bytes) -> Record:
        title, feed, body = payload.decode().partition("\n")
        return (title, body if feed else None)

    def serialise(record: Record) -> bytes:
        title, body = cast("tuple[str, str | None]", record)
        return (title if body is None else f"{title}\n{body}").encode()

    fields = (Field("title", FieldType.TEXT), Field("body", FieldType.TEXT, nullable=True))
    return RecordType(name, fields, "text/plain", parse, serialise)


def json_record(name: str, fields: tuple[Field, ...]) -> RecordType:
    """Return the record type of JSON objects that have these members, in canonical form.

    In JSON a ``DECIMAL`` is a string with exactly ``scale`` digits behind the
    point, a ``TIMESTAMP`` a string as ``2024-05-06T07:08:09.000000Z``, ``BYTES``
    a string in base64; the others are what JSON has for them.
    """
    reads = [(field.name, _READ.get(field.type)) for field in fields]
    writes = [(field.name, _WRITE.get(field.type), field) for field in fields]

    def parse(payload: bytes) -> Record:
        document = msgspec.json.decode(payload)
        members = ((document[member], read) for member, read in reads)
        return tuple(
            value if read is None or value is None else read(value) for value, read in members
        )

    def serialise(record: Record) -> bytes:
        document = {
            member: value if write is None or value is None else write(value, field)
            for (member, write, field), value in zip(writes, record, strict=True)
        }
        return canonical_json(document)

    return RecordType(name, fields, "application/json", parse, serialise)


def json_document(name: str) -> RecordType:
    """Return the record type of JSON without fixed members: one field ``document`` of JSON."""
    return RecordType(
        name,
        (Field("document", FieldType.JSON),),
        "application/json",
        parse=lambda payload: (payload.decode(),),
        serialise=lambda record: canonical_json(msgspec.json.decode(cast("str", record[0]))),
    )


def timestamp_text(microseconds: int) -> str:
    """Return microseconds since 1970, one of ``MOMENTS``, as ``2024-05-06T07:08:09.000000Z``."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    # Not by strftime, which leaves out the zeros before a short year on some machines.
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def timestamp_of(text: str) -> int:
    """Return the microseconds since 1970 of such a text."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


MOMENTS: Final = range(
    timestamp_of("0001-01-01T00:00:00.000000Z"), timestamp_of("9999-12-31T23:59:59.999999Z") + 1
)
"""What can be written as a timestamp, in microseconds since 1970."""


def _decimal_text(value: Any, field: Field) -> str:
    return f"{value:.{field.scale}f}"


_READ: Final[dict[FieldType, Callable[[Any], Value]]] = {
    FieldType.JSON: lambda value: canonical_json(value).decode(),
    FieldType.DECIMAL: Decimal,
    FieldType.TIMESTAMP: timestamp_of,
    FieldType.BYTES: base64.b64decode,
    FieldType.FLOAT: float,
}
_WRITE: Final[dict[FieldType, Callable[[Any, Field], object]]] = {
    FieldType.JSON: lambda value, field: msgspec.json.decode(value),
    FieldType.DECIMAL: _decimal_text,
    FieldType.TIMESTAMP: lambda value, field: timestamp_text(value),
    FieldType.BYTES: lambda value, field: base64.b64encode(value).decode(),
}
