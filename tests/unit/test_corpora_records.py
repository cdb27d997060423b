import datetime as dt
import gzip
import json
import os
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.corpora.field_names import field_names
from deduplab.datasets.corpora.records import open_records
from deduplab.datasets.files import UserFiles
from deduplab.errors import DatasetError, PlanError
from deduplab.record import Field, FieldType
from tests.unit.real_data import written


def records(source: Path, *, vary: bool = False, logical_bytes: int = 1 << 30) -> UserFiles:
    spec = DatasetSpec(
        "files",
        logical_bytes,
        4096,
        0,
        "none",
        source=str(source),
        sizes=SizeSpec("natural"),
        vary=vary,
    )
    return UserFiles(spec)


def documents(payloads: UserFiles) -> list[Any]:
    contents = written(payloads, range(payloads.found))
    for content in contents:
        record = payloads.record_type.parse(content)
        assert payloads.record_type.serialise(record) == content
    return [json.loads(content) for content in contents]


def parquet(path: Path, columns: dict[str, Any], schema: Any = None) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    module = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(columns, schema=schema)
    module.write_table(table, path)
    return path


def test_rows_of_a_table_have_the_types_of_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "Key,Full Name,Age,Height,Member,Since,Code,Nothing\n"
        'k1,"Ada, Countess",36,1.65,true,2024-05-06T07:08:09Z,007,\n'
        "k2,Bob,,2,false,2024-05-06 07:08:09.5+01:00,42,\n"
        "\n"
        'k1,"Ada, Countess",36,1.65,true,2024-05-06T07:08:09,007,\n',
        "utf-8-sig",
    )
    payloads = records(path)
    assert payloads.record_type.fields == (
        Field("key_", FieldType.TEXT),
        Field("full_name", FieldType.TEXT),
        Field("age", FieldType.INTEGER, nullable=True),
        Field("height", FieldType.FLOAT),
        Field("member", FieldType.BOOLEAN),
        Field("since", FieldType.TIMESTAMP),
        Field("code", FieldType.TEXT),
        Field("nothing", FieldType.TEXT, nullable=True),
    )
    first, second = documents(payloads)
    assert first == {
        "key_": "k1",
        "full_name": "Ada, Countess",
        "age": 36,
        "height": 1.65,
        "member": True,
        "since": "2024-05-06T07:08:09.000000Z",
        "code": "007",
        "nothing": None,
    }
    assert (second["age"], second["height"]) == (None, 2.0)
    assert second["since"] == "2024-05-06T06:08:09.500000Z"


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["1", "-20"], FieldType.INTEGER),
        (["1", "2.5"], FieldType.FLOAT),
        (["1234567890123456", "2.5"], FieldType.TEXT),
        (["12345678901234567890"], FieldType.TEXT),
        (["true", "1"], FieldType.TEXT),
        (["2024-05-06T07:08:09Z", "1"], FieldType.TEXT),
        (["2024-13-06T07:08:09Z"], FieldType.TEXT),
        (["2.5", "1e99", "x"], FieldType.TEXT),
        (["nan"], FieldType.TEXT),
        (["False"], FieldType.TEXT),
        (["0999-05-06T07:08:09Z"], FieldType.TIMESTAMP),
        (["0001-01-01T00:00:00+23:59"], FieldType.TEXT),
        (["9999-12-31T23:59:59-23:59"], FieldType.TEXT),
        (["1٢"], FieldType.TEXT),
        (['"12\n"'], FieldType.TEXT),
        (['"1.5\n"'], FieldType.TEXT),
        (['"2024-05-06T07:08:09Z\n"'], FieldType.TEXT),
    ],
)
def test_a_type_takes_all_values_of_a_column(
    tmp_path: Path, values: list[str], type_: FieldType
) -> None:
    path = tmp_path / "one.tsv"
    path.write_text("v\tn\n" + "".join(f"{value}\t{n}\n" for n, value in enumerate(values)))
    payloads = records(path)
    assert payloads.record_type.fields[0].type is type_
    assert payloads.found == len(values)
    assert len(documents(payloads)) == len(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: a table has a line of names"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 fields, the first line has 2"),
        (b'a\n"x', "line 2 is no row of a table"),
        (b"a\nx\xff\n", "is not UTF-8"),
        (b"a,b\n", "has nothing of 1 to"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"bad\.csv'.* {message}"):
        records(tmp_path / "bad.csv")


def test_lines_of_json_become_canonical(tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson.gz"
    lines = ['{"b": 1, "a": ["é", null, 1.50]}', '{"a":["\\u00e9",null,1.5],"b":1}', "", "7"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    payloads = records(path)
    assert written(payloads, range(payloads.found)) == ['{"a":["é",null,1.5],"b":1}'.encode(), b"7"]
    assert payloads.record_type.fields == (Field("document", FieldType.JSON),)
    assert payloads.record_type.parse(b"7") == ("7",)


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "is not JSON"), ('"\\u0000"', "holds a NUL"), (b"\xff".decode("latin-1"), "is not")],
)
def test_a_bad_line_of_json_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b"1\n" + line.encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"bad\.jsonl', line 2 {message}"):
        records(tmp_path / "bad.jsonl")


def test_records_are_not_varied(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("1\n")
    with pytest.raises(PlanError, match="records of your own are not varied"):
        records(tmp_path / "a.jsonl", vary=True)


def test_only_as_many_records_are_kept_as_are_needed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(f'"{number:08d}"' for number in range(1000)))
    assert records(tmp_path / "a.jsonl", logical_bytes=101).found == 11


def test_parquet_columns_become_fields(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    moment = dt.datetime(2024, 5, 6, 7, 8, 9, 123456)
    columns = {
        "flag": pyarrow.array([True, None]),
        "number": pyarrow.array([-5, 2**63 - 1], pyarrow.int64()),
        "big": pyarrow.array([1, 2], pyarrow.uint64()),
        "real": pyarrow.array([0.5, float("nan")], pyarrow.float32()),
        "name": pyarrow.array(["é", "b"]).dictionary_encode(),
        "raw": pyarrow.array([b"\x00\xff", b""]),
        "price": pyarrow.array([Decimal("1.50"), None], pyarrow.decimal128(18, 2)),
        "huge": pyarrow.array([Decimal("1.5"), None], pyarrow.decimal128(38, 3)),
        "local": pyarrow.array([moment, None], pyarrow.timestamp("ns")),
        "day": pyarrow.array([moment.date(), None]),
        "hour": pyarrow.array([moment.time(), None]),
        "id": pyarrow.array([uuid.UUID(int=7).bytes, None], pyarrow.binary(16)).cast(pyarrow.uuid())
        if hasattr(pyarrow, "uuid")
        else pyarrow.array(["x", None]),
        "list": pyarrow.array([[1, 2], []]),
        "struct": pyarrow.array([{"z": 1.5, "a": "x"}, None]),
        "map": pyarrow.array([[("k", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    }
    payloads = records(parquet(tmp_path / "rows.parquet", columns))
    types = {field.name: field.type.value for field in payloads.record_type.fields}
    assert types == {
        "flag": "boolean",
        "number": "integer",
        "big": "integer",
        "real": "float",
        "name": "text",
        "raw": "bytes",
        "price": "decimal",
        "huge": "text",
        "local": "timestamp",
        "day": "text",
        "hour": "text",
        "id": "uuid" if hasattr(pyarrow, "uuid") else "text",
        "list": "json",
        "struct": "json",
        "map": "json",
    }
    first, second = documents(payloads)
    assert first["price"] == "1.50"
    assert first["huge"] == "1.500"
    assert first["local"] == "2024-05-06T07:08:09.123456Z"
    assert (first["day"], first["hour"]) == ("2024-05-06", "07:08:09.123456")
    assert first["raw"] == "AP8="
    assert first["struct"] == {"a": "x", "z": 1.5}
    assert (first["list"], first["map"]) == ([1, 2], [["k", 1]])
    assert (second["flag"], second["real"], second["price"]) == (None, None, None)
    assert second["number"] == 2**63 - 1


@pytest.mark.parametrize(
    ("values", "type_name", "message"),
    [
        ([dt.timedelta(1)], "duration[us]", "is of type duration"),
        ([float("inf")], "float64", "holds an infinite number"),
        (["a\0b"], "string", "holds a NUL character"),
        ([2**63], "uint64", "holds 9223372036854775808"),
        ([253_402_300_800_000_000], "timestamp[us]", "holds a moment before the year 1"),
        ([-62_135_596_800_000_001], "timestamp[us]", "holds a moment before the year 1"),
        ([2**31 - 1], "date32", "holds a moment before the year 1"),
        ([["a\0b"]], "list<string>", "holds a NUL character"),
        ([[float("inf")]], "list<double>", "holds an infinite number"),
    ],
)
def test_what_no_record_holds_is_refused(
    tmp_path: Path, values: list[object], type_name: str, message: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    kinds = {
        "duration[us]": lambda: pyarrow.duration("us"),
        "timestamp[us]": lambda: pyarrow.timestamp("us"),
        "list<string>": lambda: pyarrow.list_(pyarrow.string()),
        "list<double>": lambda: pyarrow.list_(pyarrow.float64()),
    }
    kind = kinds[type_name]() if type_name in kinds else getattr(pyarrow, type_name)()
    path = parquet(tmp_path / "bad.parquet", {"odd": pyarrow.array(values, kind)})
    with pytest.raises(DatasetError, match=rf"bad\.parquet', column 'odd' {message}"):
        records(path)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DatasetError, match=r"bad\.parquet' can't be read"):
        records(tmp_path / "bad.parquet")
    with pytest.raises(DatasetError, match=r"none\.parquet' can't be read"):
        records(tmp_path / "none.parquet")


def test_many_rows_of_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path / "many.parquet", {"n": [number // 2 for number in range(5000)]})
    assert documents(records(path)) == [{"n": number} for number in range(2500)]


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".jsonl", ".ndjson.gz", ".parquet", ".tar", ".tar.gz", ""]
)
@pytest.mark.timeout(30)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, ending: str) -> None:
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    with pytest.raises(DatasetError, match="neither a regular file nor a folder"):
        records(pipe)


def test_names_of_fields() -> None:
    columns = ["Key", "key_", "a b", "A-B", "1st", "é", "", "_x_", "x" * 99]
    assert field_names(columns) == [
        "key_",
        "key__2",
        "a_b",
        "a_b_2",
        "c_1st",
        "column_6",
        "column_7",
        "x",
        "x" * 48,
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=12))
def test_names_are_distinct_identifiers(columns: list[str]) -> None:
    names = field_names(columns)
    assert len(set(names)) == len(columns)
    for name in names:
        assert name.isidentifier()
        assert name.isascii()
        assert name == name.lower() != "key"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "jsonl.gz", "parquet"])
def test_names_need_not_be_utf_8(tmp_path: Path, ending: str) -> None:
    contents = {"csv": b"n\n1\n", "jsonl": b'{"n":1}\n', "jsonl.gz": gzip.compress(b'{"n":1}\n')}
    if ending == "parquet":
        contents[ending] = parquet(tmp_path / "plain", {"n": [1]}).read_bytes()
    path = Path(f"{tmp_path}/\udcff.{ending}")
    path.write_bytes(contents[ending])
    assert documents(records(path)) == [{"n": 1}]
    path.write_bytes(b"{\xff")
    with pytest.raises(DatasetError, match=r"udcff\."):
        records(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_that_is_replaced_while_it_is_read(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_text("1\n2\n")

    def replacing(name: bytes) -> Any:
        found = open_records(name)
        (tmp_path / "new").write_text("1\n3\n")
        (tmp_path / "new").rename(path)
        return found

    monkeypatch.setattr("deduplab.datasets.files.open_records", replacing)
    with pytest.raises(DatasetError, match=r"rows\.[a-z]+' changed while it was in use"):
        records(path)
