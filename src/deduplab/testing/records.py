"""Records for contract tests: one record type with every type of field, and awkward values."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from deduplab.record import Field, FieldType, Record, RecordType

_SCALE: Final = 4
_TYPES: Final = tuple(FieldType)

FIELDS: Final = (
    *(Field(f"a_{t}", t, scale=_SCALE if t is FieldType.DECIMAL else 0) for t in _TYPES),
    *(Field(f"order {t}".replace(" ", "_"), t, True, 2 * (t is FieldType.DECIMAL)) for t in _TYPES),
)
"""Every type of field twice: never NULL, and nullable."""

_TO_JSON: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    FieldType.BYTES: lambda value: base64.b64encode(value).decode(),
    FieldType.DECIMAL: str,
    FieldType.JSON: json.loads,
}
_FROM_JSON: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    FieldType.BYTES: base64.b64decode,
    FieldType.DECIMAL: Decimal,
    FieldType.JSON: lambda document: _canonical(document).decode(),
}


def _canonical(document: object) -> bytes:
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _serialise(record: Record) -> bytes:
    named = {}
    for field, value in zip(FIELDS, record, strict=True):
        convert = _TO_JSON.get(field.type)
        named[field.name] = value if value is None or convert is None else convert(value)
    return _canonical(named)


def _parse(payload: bytes) -> Record:
    document = json.loads(payload)
    values = []
    for field in FIELDS:
        value = document[field.name]
        convert = _FROM_JSON.get(field.type)
        values.append(value if value is None or convert is None else convert(value))
    return tuple(values)


SAMPLE_RECORDS: Final = RecordType("sample", FIELDS, "application/json", _parse, _serialise)
"""A record type with every field of :data:`FIELDS`; canonical bytes are one JSON object."""

_PLAIN: Final[Record] = (
    "text",
    b"bytes",
    1,
    1.5,
    Decimal("1.5000"),
    True,
    1_700_000_000_123_456,
    "00112233-4455-6677-8899-aabbccddeeff",
    "{}",
)
_NULLS: Final[Record] = (None,) * len(_TYPES)
_UNICODE: Final = "ä 中 \U0001d11e \u200d \ufeff \u2028 e\u0301"
_NESTED: Final = _canonical(
    {
        "z": [1, -2.5, 1e-07, 0.1, 2**63, 10**30, True, False, None, [], {}],
        "a.b": {"": "", "null": None, _UNICODE: {"deep": [[[{"x": '"quoted" \\ \'\n\t'}]]]}},
        "A": 0,
    }
).decode()
_AWKWARD: Final[tuple[tuple[Any, ...], ...]] = (
    ("", b"", 0, 0.0, Decimal("0.0000"), False, 0, "0" * 8 + "-0000-0000-0000-" + "0" * 12, '""'),
    (
        _UNICODE,
        bytes(range(256)),
        2**63 - 1,
        -0.0,
        Decimal("99999999999999.9999"),
        True,
        -1,
        "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12,
        _NESTED,
    ),
    (
        'it\'s "quoted" \\ \\N {} %s $1 ?\r\n\t,;|--',
        b"\\x00\x00'\"",
        -(2**63),
        1.7976931348623157e308,
        Decimal("-99999999999999.9999"),
        False,
        -2_208_988_799_999_999,
        "01234567-89ab-cdef-fedc-ba9876543210",
        "false",
    ),
    (
        "NULL",
        b"NULL",
        -1,
        5e-324,
        Decimal("-0.0001"),
        True,
        4_102_444_800_000_001,
        "01234567-89ab-4def-8edc-ba9876543210",
        "[]",
    ),
    (
        "x" * 100_000,
        bytes(100_000),
        1 << 53,
        -1.0 / 3.0,
        Decimal("12345.6000"),
        True,
        -86_400_000_000,
        "89abcdef-0123-4567-89ab-cdef01234567",
        _canonical({"long": "y" * 50_000}).decode(),
    ),
)


def _nullable(values: tuple[Any, ...]) -> Record:
    """Return the same values for the nullable fields, whose decimals have two digits."""
    return tuple(
        # Adding 0 makes a negative zero positive: SQL has no other.
        value.quantize(Decimal("0.01")) + 0 if isinstance(value, Decimal) else value
        for value in values
    )


AWKWARD_RECORDS: Final[dict[str, Record]] = {
    "plain": _PLAIN + _nullable(_PLAIN),
    "nulls": _PLAIN + _NULLS,
    **{f"awkward-{n}": values + _nullable(values) for n, values in enumerate(_AWKWARD)},
    **{
        f"only-{field_type}": _PLAIN
        + tuple(value if at == place else None for at, value in enumerate(_nullable(_PLAIN)))
        for place, field_type in enumerate(_TYPES)
    },
}
"""Records (no two alike) whose values drivers and encodings stumble over."""


def distinct_records(count: int, prefix: str = "r") -> dict[str, Record]:
    """Return records that differ in all fields that can; their keys begin with the prefix."""
    return {
        f"{prefix}{number:08d}": _numbered(number) + _nullable(_numbered(number))
        for number in range(count)
    }


def _numbered(number: int) -> Record:
    return (
        f"record {number}",
        number.to_bytes(4) * 8,
        number,
        number + 0.25,
        Decimal(number).scaleb(-_SCALE).quantize(Decimal("0.0001")),
        number % 2 == 0,
        1_700_000_000_000_000 + 60_000_000 * number,
        f"{number:08x}-0000-4000-8000-000000000000",
        _canonical({"number": number, "tags": ["a", "b"]}).decode(),
    )
