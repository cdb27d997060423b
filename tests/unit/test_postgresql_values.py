"""PostgreSQL's binary values: known encodings, and every value back as it was."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deduplab.adapters._pg_binary import COPY_HEADER, COPY_TRAILER
from deduplab.adapters._pg_values import decoder, encoder, record_chunks
from deduplab.record import Field, FieldType
from deduplab.testing import AWKWARD_RECORDS, SAMPLE_RECORDS, batch_of


def decimal_field(scale: int) -> Field:
    return Field("amount", FieldType.DECIMAL, scale=scale)


# As the server's numeric_send writes them.
KNOWN = [
    ("0", 0, [0, 0, 0, 0]),
    ("0.00", 2, [0, 0, 0, 2]),
    ("1", 0, [1, 0, 0, 0, 1]),
    ("-12345.6000", 4, [3, 1, 0x4000, 4, 1, 2345, 6000]),
    ("0.0001", 4, [1, -1, 0, 4, 1]),
    ("0.05", 2, [1, -1, 0, 2, 500]),
    ("10000", 0, [2, 1, 0, 0, 1, 0]),
    ("99999999999999.9999", 4, [5, 3, 0, 4, 99, 9999, 9999, 9999, 9999]),
]


@pytest.mark.parametrize(("text", "scale", "numbers"), KNOWN)
def test_numeric_is_encoded_to_the_base_10000(text: str, scale: int, numbers: list[int]) -> None:
    count, weight, sign, places, *digits = numbers
    expected = struct.pack(">hhHh", count, weight, sign, places) + b"".join(
        struct.pack(">h", digit) for digit in digits
    )
    assert encoder(decimal_field(scale))(Decimal(text)) == expected


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 18))
def test_every_decimal_comes_back(units: int, scale: int) -> None:
    value = Decimal(units).scaleb(-scale)
    field = decimal_field(scale)
    assert str(decoder(field)(encoder(field)(value))) == str(value)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        # The server leaves out zeros at either end of the digits.
        ([1, 1, 0, 4, 5], "50000.0000"),
        ([1, -2, 0, 8, 7], "0.00000007"),
        ([2, 0, 0x4000, 2, 1, 2300], "-1.23"),
    ],
)
def test_numeric_is_decoded_without_its_outer_zeros(numbers: list[int], expected: str) -> None:
    raw = struct.pack(">hhHh", *numbers[:4]) + b"".join(struct.pack(">h", n) for n in numbers[4:])
    assert f"{decoder(decimal_field(0))(raw):f}" == expected


def test_the_year_2000_is_zero() -> None:
    field = Field("at", FieldType.TIMESTAMP)
    assert encoder(field)(946_684_800_000_000) == bytes(8)
    assert decoder(field)(b"\xff" * 8) == 946_684_799_999_999


def test_jsonb_has_its_version_first() -> None:
    field = Field("document", FieldType.JSON)
    assert encoder(field)('{"a":"ä"}') == b"\x01" + '{"a":"ä"}'.encode()


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 1 << 20])
def test_records_are_framed_for_binary_copy(chunk_bytes: int) -> None:
    batch = batch_of(AWKWARD_RECORDS, SAMPLE_RECORDS)
    fields = SAMPLE_RECORDS.fields
    chunks = list(record_chunks(batch, fields, chunk_bytes))
    assert len(chunks) <= len(batch) + 1
    raw = b"".join(chunks)
    assert raw.startswith(COPY_HEADER)
    position = len(COPY_HEADER)
    found = {}
    for _ in batch.keys:
        (count,) = struct.unpack_from(">h", raw, position)
        assert count == len(fields) + 1
        position += 2
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", raw, position)
            position += 4
            values.append(None if length < 0 else raw[position : position + length])
            position += max(length, 0)
        key, *row = values
        assert key is not None
        found[key.decode()] = tuple(
            None if value is None else decoder(field)(value)
            for field, value in zip(fields, row, strict=True)
        )
    assert raw[position:] == COPY_TRAILER
    assert repr(found) == repr(AWKWARD_RECORDS)
