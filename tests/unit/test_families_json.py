"""The families that are JSON: valid and canonical by a second parser, and typed as they say."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.record import Field, FieldType, Value
from deduplab.units import KIB
from tests.unit.families import JSON, TYPED, family, made

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_YEARS = (datetime(2016, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def canonical(text: str) -> str:
    return json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def documents(name: str, size: int, count: int) -> list[dict[str, Any]]:
    return [json.loads(one) for one in made(family(name, size), list(range(count)))]


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_it_is_canonical_json_by_a_second_parser(name: str, data: st.DataObject) -> None:
    least = family(name, KIB).least_object_bytes
    payloads = family(name, data.draw(st.integers(least, 5000)), seed=data.draw(st.integers(0, 99)))
    ids = data.draw(st.lists(st.integers(0, 10**12 - 1), min_size=1, max_size=10))
    for payload in made(payloads, ids):
        text = payload.decode("ascii")
        assert canonical(text) == text


@pytest.mark.parametrize("percent", [25, 50, 65])
def test_it_is_canonical_json_at_any_compressibility(percent: int) -> None:
    for payload in made(family("structured_json", KIB, percent=percent), list(range(50))):
        assert canonical(payload.decode()) == payload.decode()


def matches(value: Value, field: Field) -> bool:
    if value is None:
        return field.nullable
    checks = {
        FieldType.TEXT: lambda: isinstance(value, str) and "\0" not in value,
        FieldType.INTEGER: lambda: type(value) is int and abs(value) < 2**63,
        FieldType.FLOAT: lambda: type(value) is float,
        FieldType.BOOLEAN: lambda: type(value) is bool,
        FieldType.DECIMAL: lambda: (
            isinstance(value, Decimal)
            and value.as_tuple().exponent == -field.scale
            and len(value.as_tuple().digits) <= 18
        ),
        FieldType.TIMESTAMP: lambda: (
            type(value) is int
            and _YEARS[0] <= datetime.fromtimestamp(value / 10**6, UTC) < _YEARS[1]
        ),
        FieldType.UUID: lambda: isinstance(value, str) and _UUID.fullmatch(value) is not None,
        FieldType.JSON: lambda: isinstance(value, str) and canonical(value) == value,
    }
    return checks[field.type]()


@pytest.mark.parametrize("name", TYPED)
def test_every_field_has_its_type(name: str) -> None:
    record_type = family(name, KIB).record_type
    names = [field.name for field in record_type.fields]
    assert names == sorted(names)
    for payload in made(family(name, KIB), list(range(200))):
        record = record_type.parse(payload)
        assert list(json.loads(payload)) == names
        for value, field in zip(record, record_type.fields, strict=True):
            assert matches(value, field), (field.name, value)


@pytest.mark.parametrize("name", TYPED)
def test_what_may_be_null_sometimes_is_and_sometimes_is_not(name: str) -> None:
    record_type = family(name, KIB).record_type
    records = [record_type.parse(one) for one in made(family(name, KIB), list(range(100)))]
    for place, field in enumerate(record_type.fields):
        kinds = {record[place] is None for record in records}
        assert kinds == ({True, False} if field.nullable else {False}), field.name


@pytest.mark.parametrize("name", TYPED)
def test_fields_vary(name: str) -> None:
    found = documents(name, KIB, 300)
    constant = {member for member in found[0] if len({str(one[member]) for one in found}) == 1}
    assert not constant


def test_account_numbers_have_valid_check_digits() -> None:
    for found in documents("bank_transactions", 500, 300):
        for member in ("account", "counterpart_account"):
            account = found[member]
            turned = account[4:] + account[:4]
            assert int("".join(str(int(one, 36)) for one in turned)) % 97 == 1
            assert account.startswith("XD")


def test_amounts_have_either_sign_and_unlike_magnitudes() -> None:
    amounts = [Decimal(one["amount"]) for one in documents("bank_transactions", 500, 300)]
    assert min(amounts) < 0 < max(amounts)
    assert len({len(str(abs(amount))) for amount in amounts}) >= 4


def test_orders_have_items_and_one_customer() -> None:
    found = documents("structured_json", 8 * KIB, 20)
    assert all(len(one["items"]) > 20 for one in found)
    assert all(len(one["note"]) > 3 * KIB for one in found)
    items = [json.dumps(item) for one in found for item in one["items"]]
    assert len(set(items)) == len(items)
    for one in found:
        assert one["email"].startswith(one["customer"].lower().replace(" ", "."))
        assert one["email"].split("@")[1].startswith("example.")


def test_order_numbers_are_the_ids() -> None:
    numbers = [json.loads(one)["id"] for one in made(family("structured_json", KIB), [0, 5, 10**9])]
    assert numbers == [10**12, 10**12 + 5, 10**12 + 10**9]


def test_half_of_the_posts_are_replies() -> None:
    parents = [one["parent"] for one in documents("text_corpus", 500, 400)]
    assert 120 < sum(parent is None for parent in parents) < 280


def test_jsonb_documents_have_no_common_schema() -> None:
    found = documents("jsonb_documents", KIB, 300)
    schemas = Counter(tuple(one) for one in found)
    assert len(schemas) == 6
    assert min(schemas.values()) > 20
    assert not set.intersection(*(set(schema) for schema in schemas))
    types = {type(value) for one in found for value in walk(one)}
    assert types == {dict, list, str, int, float, bool, type(None)}


def walk(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for one in inner for found in walk(one))]


def test_a_series_runs_forward_in_equal_steps() -> None:
    for number, found in enumerate(documents("time_series", 4 * KIB, 20)):
        times = [point[0] for point in found["points"]]
        assert len(times) > 90
        assert {later - earlier for earlier, later in pairwise(times)} == {250_000}
        begin = datetime.fromisoformat(found["timestamp"])
        assert times[0] == round(begin.timestamp() * 10**6)
        assert times[0] == round(_YEARS[0].timestamp() * 10**6) + number * 10**6
        assert len(found["remark"]) < 40


def test_numbers_of_every_kind_fill_a_numeric_dataset() -> None:
    found = documents("numeric_dataset", 8 * KIB, 20)
    rows = [row for one in found for row in one["rows"]]
    assert {tuple(type(cell) for cell in row) for row in rows} == {(int, float, float, str)}
    floats = [row[1] for row in rows]
    assert min(floats) < -10
    assert max(floats) > 100
    assert any(abs(value) < 0.1 for value in floats)
    assert max(len(one["tag"]) for one in found) < 60


def test_a_small_object_is_one_measurement() -> None:
    least = family("time_series", KIB).least_object_bytes
    assert all(len(one["points"]) == 1 for one in documents("time_series", least, 50))
