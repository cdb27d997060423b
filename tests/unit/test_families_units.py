"""What the families are made of: draws, columns, rows, prose; and those without JSON."""

import re
import uuid

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.synthetic.cells import digits
from deduplab.datasets.synthetic.columns import (
    Column,
    Digits,
    Hex,
    Iban,
    Timestamp,
    Uuid,
    fraction,
)
from deduplab.datasets.synthetic.draws import Draws
from deduplab.datasets.synthetic.keystream import Keystream
from deduplab.datasets.synthetic.language import FRAGMENT_BYTES, Prose, fragments, words
from deduplab.datasets.synthetic.random_binary import CompressibleUnits
from deduplab.datasets.synthetic.row_template import RowTemplate
from deduplab.datasets.synthetic.units_stream import blocks, scatter
from deduplab.units import KIB, MIB
from tests.unit.families import family, made

ROWS = np.arange(3000, dtype=np.uint64)


def texts(*columns: Column) -> list[str]:
    rows = RowTemplate((*columns, "\n"), 1, "test").units(ROWS)
    return rows.tobytes().decode().splitlines()


def splitmix(value: int) -> int:
    """Return SplitMix64's output for a state, by the book (S. Vigna, public domain)."""
    most = 2**64 - 1
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & most
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & most
    return value ^ (value >> 31)


@given(counter=st.integers(0, 2**63), each=st.integers(1, 5))
def test_draws_are_splitmix_of_the_counter(counter: int, each: int) -> None:
    draws = Draws(3, "test")
    found = draws.numbers(np.array([counter], dtype=np.uint64), each)[:, 0].tolist()
    key = int(draws._key)
    wanted = [
        splitmix(((counter * each + place) * 0x9E3779B97F4A7C15 + key) % 2**64)
        for place in range(each)
    ]
    assert found == wanted


def test_draws_never_repeat() -> None:
    found = Draws(1, "test").numbers(np.arange(50_000, dtype=np.uint64), 4)
    assert len(np.unique(found)) == found.size
    other = Draws(2, "test").numbers(np.arange(50_000, dtype=np.uint64), 4)
    assert not np.isin(found, other).any()


@given(value=st.integers(0, 2**64 - 1), width=st.integers(1, 20))
def test_digits_are_those_of_the_number(value: int, width: int) -> None:
    (cell,) = digits(np.array([value], dtype=np.uint64), width)
    assert bytes(cell).decode() == f"{value:020d}"[-width:]


@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_digits_keep_zeros_where_they_belong(width: int) -> None:
    head = texts(Digits(width, head=True))
    tail = texts(Digits(width, tail=True))
    assert all(len(one) == width and one[0] != "0" for one in head)
    assert all(len(one) == width and one[-1] != "0" for one in tail)
    for place in range(width):
        assert len({one[place] for one in head}) >= 9
        assert len({one[place] for one in tail}) >= 9


@pytest.mark.parametrize("width", [7, 8, 9, 10])
def test_a_fraction_is_the_shortest_form_of_its_value(width: int) -> None:
    for text in texts(*fraction(width)):
        assert msgspec.json.encode(msgspec.json.decode(text)).decode() == text
        assert repr(float(text)) == text


def test_uuids_are_random_ones() -> None:
    found = texts(Uuid())
    assert len(set(found)) == len(found)
    for text in found:
        number = uuid.UUID(text)
        assert str(number) == text
        assert number.version == 4
        assert number.variant == uuid.RFC_4122


def test_columns_have_their_widths() -> None:
    for column in (Hex(4), Hex(16), Uuid(), Iban(), Timestamp(), Timestamp(microseconds=True)):
        assert {len(text) for text in texts(column)} == {column.width}


def test_a_row_is_its_constants_and_columns() -> None:
    rows = RowTemplate(("<", Digits(3), "|", Hex(8), ">\n"), 1, "test").units(ROWS)
    lines = rows.tobytes().decode().splitlines()
    assert len(lines) == len(ROWS)
    assert all(re.fullmatch(r"<\d{3}\|[0-9a-f]{8}>", line) for line in lines)
    assert len(set(lines)) > len(ROWS) - 3


def test_fragments_are_distinct_and_of_one_width() -> None:
    found = [bytes(one) for one in fragments()]
    assert len(set(found)) == 1 << 16
    pattern = re.compile(rb"[a-z]+(,? [a-z]+|\. [A-Z][a-z]*)( [a-z]+)? ")
    assert all(len(one) == FRAGMENT_BYTES and pattern.fullmatch(one) for one in found)
    assert len(set(words())) == len(words())


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_part_of_a_stream_is_the_beginning_of_the_whole(data: st.DataObject) -> None:
    prose = Prose(1, "test", MIB)
    whole = bytearray(600_000)
    one = np.array([5], dtype=np.int64)
    prose.place(memoryview(whole), one, one * 0, one * 0 + len(whole))
    lengths = np.array(data.draw(st.lists(st.integers(0, 700), min_size=1, max_size=6)))
    gaps = np.array([data.draw(st.integers(0, 9)) for _ in lengths])
    starts = np.cumsum(lengths + gaps) - lengths
    out = bytearray(int((lengths + gaps).sum()))
    prose.place(memoryview(out), np.full(len(lengths), 5), starts, lengths)
    wanted = b"".join(
        bytes(int(gap)) + whole[: int(length)] for gap, length in zip(gaps, lengths, strict=True)
    )
    assert out == wanted


@given(
    lengths=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    limit=st.integers(1, 100),
)
def test_blocks_cover_everything_within_the_limit(lengths: list[int], limit: int) -> None:
    found = list(blocks(np.array(lengths), limit))
    assert [place for start, stop in found for place in range(start, stop)] == list(
        range(len(lengths))
    )
    assert all(stop - start == 1 or sum(lengths[start:stop]) <= limit for start, stop in found)


@given(data=st.data())
def test_scatter_copies_each_piece(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    same = data.draw(st.booleans())
    draw = st.integers(0, 9)
    lengths = np.array(
        [data.draw(draw)] * count if same else [data.draw(draw) for _ in range(count)]
    )
    begins = np.cumsum(lengths) - lengths
    source = np.arange(int(lengths.sum()), dtype=np.uint8)
    starts = begins + np.arange(count)
    out = bytearray(b"\xff" * (int(lengths.sum()) + count))
    scatter(memoryview(out), starts, lengths, source, begins)
    wanted = b"".join(
        bytes(source[begin : begin + length]) + b"\xff"
        for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True)
    )
    assert bytes(out) == wanted


@pytest.mark.parametrize("size", [4 * KIB, 1000])
def test_random_binary_is_the_keystream(size: int) -> None:
    found = made(family("random_binary", size, seed=9), [0, 1, 2, 7])
    stream = Keystream(9, "random_binary")
    for number, payload in zip([0, 1, 2, 7], found, strict=True):
        wanted = bytearray(-(-size // 16) * 16)
        stream.read_into(number * (len(wanted) // 16), memoryview(wanted))
        assert payload == wanted[:size]


def test_compressible_objects_made_together_are_those_made_of_single_units() -> None:
    spec = DatasetSpec("random_binary", MIB, 4 * KIB, 0, "none", compressibility_percent=40)
    stream = CompressibleUnits(spec, 4 * KIB, 40)
    ids = np.array([5, 6, 7, 3, 900, *range(20, 400)])
    out = bytearray(len(ids) * 4 * KIB)
    lengths = np.full_like(ids, 4 * KIB)
    stream.place(memoryview(out), ids, np.cumsum(lengths) - lengths, lengths)
    counters = (ids[:, None] * 8 + np.arange(8)).reshape(-1).astype(np.uint64)
    assert out == stream.units(counters).tobytes()


def test_random_binary_of_unlike_lengths_shares_nothing() -> None:
    payloads = family("random_binary", KIB, sizes=SizeSpec("uniform", 100, 3000))
    found = made(payloads, list(range(300)))
    windows = [one[at : at + 16] for one in found for at in range(len(one) - 15)]
    assert len(set(windows)) == len(windows)


@pytest.mark.parametrize("size", [36, 37, 38, 73, 74, 75, 1000])
def test_uuid_keys_are_a_uuid_a_line(size: int) -> None:
    payloads = family("uuid_keys", size)
    for payload in made(payloads, list(range(50))):
        first, others = payloads.record_type.parse(payload)
        assert uuid.UUID(str(first)).version == 4
        assert (others is None) == (size == 36)
        *whole, last = payload.decode().split("\n")
        assert all(uuid.UUID(line).version == 4 for line in whole)
        assert len(last) == size % 37
        assert payloads.record_type.serialise((first, others)) == payload


def test_mixed_is_blended_as_documented() -> None:
    payloads = family("mixed", KIB)
    found = made(payloads, list(range(4000)))
    families = [str(payloads.record_type.parse(one)[0]) for one in found]
    wanted = {"text_document": 40, "structured_json": 30, "random_binary": 20, "uuid_keys": 10}
    assert set(families) == set(wanted)
    for name, percent in wanted.items():
        assert 100 * families.count(name) / len(families) == pytest.approx(percent, abs=3)
    for number in range(50):
        (alone,) = made(family(families[number], KIB), [number])
        assert found[number] == alone
