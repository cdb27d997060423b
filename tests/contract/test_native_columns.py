"""What the native layout really stores, seen with the raw drivers and the raw files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias
from uuid import UUID

import msgspec
import pytest
import zstandard

from deduplab.errors import SystemUnavailable
from deduplab.record import Field, FieldType, Record, RecordType
from deduplab.registry import system
from deduplab.server import Endpoint
from deduplab.testing import SAMPLE_RECORDS, batch_of
from tests.contract.raw_looks import PostgresqlLook

KEY: Final = "the-key"
AT: Final = datetime(1969, 12, 31, 23, 59, 58, 765433, UTC)
ID: Final = "01234567-89ab-cdef-fedc-ba9876543210"
DOCUMENT: Final = '{"a":[1,2.5,null],"b":"ä𝄞"}'
_VALUES: Final[dict[FieldType, Any]] = {
    FieldType.TEXT: "it's ä𝄞",
    FieldType.BYTES: b"\x00\xff",
    FieldType.INTEGER: -(2**63),
    FieldType.FLOAT: -2.5,
    FieldType.DECIMAL: Decimal("-12345.6000"),
    FieldType.BOOLEAN: True,
    FieldType.TIMESTAMP: -1_234_567,
    FieldType.UUID: ID,
    FieldType.JSON: DOCUMENT,
}
RECORD: Final[Record] = (*_VALUES.values(), *(None for _ in _VALUES))
NAMES: Final = {field.type: field.name for field in SAMPLE_RECORDS.fields if not field.nullable}
NULLABLE: Final = {field.type: field.name for field in SAMPLE_RECORDS.fields if field.nullable}

Fill: TypeAlias = Callable[..., Endpoint]


@pytest.fixture
def filled(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Fill]:
    """Puts the record into a system, alone and in bulk, and closes the adapter."""
    # Not pytest's own directory: some servers give up root and must enter theirs.
    root = Path(tempfile.mkdtemp(prefix="deduplab-native-"))
    root.chmod(0o755)
    stops: list[Callable[[], None]] = []

    def fill(name: str, variant: str | None = None, kind: RecordType = SAMPLE_RECORDS) -> Endpoint:
        entry = system(name)
        offers = entry.capabilities()
        variant = variant or offers.variant_names()[0]
        server = entry.server_class()(root, variant=variant, durability="fsync")
        stops.append(server.stop)
        adapter = entry.adapter_class()()
        try:
            endpoint = server.start()
            adapter.open(endpoint)
        except SystemUnavailable as error:
            not_brought_up(name, error)
        try:
            adapter.create(
                "typed", layout="native", variant=variant, durability="fsync", record_type=kind
            )
            record = kind.parse(SAMPLE_RECORDS.serialise(RECORD))
            adapter.put(KEY, record)
            adapter.put_many(batch_of({"in-bulk": record}, kind))
            adapter.flush()
            for key in (KEY, "in-bulk"):
                found = adapter.get(key)
                assert found is not None
                assert kind.canonical(found) == kind.serialise(record)
        finally:
            adapter.close()
        return endpoint

    yield fill
    for stop in stops:
        stop()
    shutil.rmtree(root)


def _by_type(row: Mapping[str, Any] | Any) -> dict[FieldType, Any]:
    return {field_type: row[name] for field_type, name in NAMES.items()}


def _directory(endpoint: Endpoint) -> Path:
    assert endpoint.directory is not None
    return endpoint.directory / "typed"


@pytest.mark.parametrize("key", [KEY, "in-bulk"])
def test_sqlite_has_typed_columns(filled: Fill, key: str) -> None:
    path = _directory(filled("sqlite")) / "objects.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        columns = connection.execute("PRAGMA table_info(objects)").fetchall()
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM objects WHERE key = ?", (key,)).fetchone()
        kinds = ", ".join(f'typeof("{name}") AS "{name}"' for name in NAMES.values())
        stored = connection.execute(f"SELECT {kinds} FROM objects").fetchone()
    assert columns[0][1:3] + columns[0][5:] == ("key", "TEXT", 1)
    types = _by_type({name: declared for _, name, declared, *_ in columns})
    assert types == {
        FieldType.TEXT: "TEXT",
        FieldType.BYTES: "BLOB",
        FieldType.INTEGER: "INTEGER",
        FieldType.FLOAT: "REAL",
        FieldType.DECIMAL: "INTEGER",
        FieldType.BOOLEAN: "INTEGER",
        FieldType.TIMESTAMP: "INTEGER",
        FieldType.UUID: "TEXT",
        FieldType.JSON: "TEXT",
    }
    assert {t: kind.upper() for t, kind in _by_type(stored).items()} == types
    assert _by_type(row) == _VALUES | {FieldType.DECIMAL: -123_456_000, FieldType.BOOLEAN: 1}
    assert all(row[name] is None for name in NULLABLE.values())
    assert {name for _, name, _, required, *_ in columns if required} == set(NAMES.values())


@pytest.mark.parametrize("key", [KEY, "in-bulk"])
def test_duckdb_has_typed_columns(filled: Fill, key: str) -> None:
    endpoint = filled("duckdb")
    import duckdb

    path = _directory(endpoint) / "objects.duckdb"
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        described = connection.execute("DESCRIBE objects").fetchall()
        cursor = connection.execute("SELECT * FROM objects WHERE key = ?", (key,))
        names = [column[0] for column in cursor.description or ()]
        (row,) = cursor.fetchall()
    assert _by_type({name: kind for name, kind, *_ in described}) == {
        FieldType.TEXT: "VARCHAR",
        FieldType.BYTES: "BLOB",
        FieldType.INTEGER: "BIGINT",
        FieldType.FLOAT: "DOUBLE",
        FieldType.DECIMAL: "DECIMAL(18,4)",
        FieldType.BOOLEAN: "BOOLEAN",
        FieldType.TIMESTAMP: "TIMESTAMP",
        FieldType.UUID: "UUID",
        FieldType.JSON: "JSON",
    }
    values = dict(zip(names, row, strict=True))
    typed = {FieldType.TIMESTAMP: AT.replace(tzinfo=None), FieldType.UUID: UUID(ID)}
    assert _by_type(values) == _VALUES | typed
    assert all(values[name] is None for name in NULLABLE.values())


def test_postgresql_has_typed_columns(filled: Fill) -> None:
    endpoint = filled("postgresql")
    from psycopg.rows import dict_row

    with PostgresqlLook()._opened(endpoint) as connection:
        described = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = 'typed.objects'::regclass AND attnum > 0"
        ).fetchall()
        connection.row_factory = dict_row
        connection.execute("SET timezone = 'UTC'")
        rows = connection.execute("SELECT * FROM typed.objects").fetchall()
    assert _by_type({name: kind for name, kind, _ in described}) == {
        FieldType.TEXT: "text",
        FieldType.BYTES: "bytea",
        FieldType.INTEGER: "bigint",
        FieldType.FLOAT: "double precision",
        FieldType.DECIMAL: "numeric(18,4)",
        FieldType.BOOLEAN: "boolean",
        FieldType.TIMESTAMP: "timestamp with time zone",
        FieldType.UUID: "uuid",
        FieldType.JSON: "jsonb",
    }
    assert {name for name, _, required in described if required} == {"key", *NAMES.values()}
    typed = {
        FieldType.TIMESTAMP: AT,
        FieldType.UUID: UUID(ID),
        FieldType.JSON: json.loads(DOCUMENT),
    }
    assert {row["key"] for row in rows} == {KEY, "in-bulk"}
    for row in rows:
        assert _by_type(row) == _VALUES | typed
        assert str(row[NAMES[FieldType.DECIMAL]]) == "-12345.6000"
        assert all(row[name] is None for name in NULLABLE.values())


@pytest.mark.parametrize(
    ("variant", "codec"), [("mergetree", "LZ4"), ("mergetree-zstd", "ZSTD(1)")]
)
def test_clickhouse_has_typed_columns_with_codecs(filled: Fill, variant: str, codec: str) -> None:
    endpoint = filled("clickhouse", variant)
    import chdb

    connect: Any = chdb.connect
    with closing(connect(str(endpoint.directory))) as connection:
        columns = json.loads(
            connection.query(
                "SELECT name, type, compression_codec FROM system.columns"
                " WHERE database = 'typed' AND table = 'objects'",
                "JSONCompact",
            ).data()
        )["data"]
        names = ", ".join(f"hex({n})" if t is FieldType.BYTES else n for t, n in NAMES.items())
        rows = connection.query(f"SELECT {names} FROM typed.objects", "TSVRaw").data().split("\n")
    types = {name: kind for name, kind, _ in columns}
    expected = {
        FieldType.TEXT: "String",
        FieldType.BYTES: "String",
        FieldType.INTEGER: "Int64",
        FieldType.FLOAT: "Float64",
        FieldType.DECIMAL: "Decimal(18, 4)",
        FieldType.BOOLEAN: "Bool",
        FieldType.TIMESTAMP: "DateTime64(6, 'UTC')",
        FieldType.UUID: "UUID",
        FieldType.JSON: "String",
    }
    assert _by_type(types) == expected
    nullable = {t: types[name] for t, name in NULLABLE.items()}
    expected[FieldType.DECIMAL] = "Decimal(18, 2)"
    assert nullable == {t: f"Nullable({kind})" for t, kind in expected.items()}
    codecs = {name: found for name, _, found in columns}
    assert codecs[NAMES[FieldType.TIMESTAMP]] == f"CODEC(Delta(8), {codec})"
    text = codecs[NAMES[FieldType.TEXT]]
    assert text == ("" if codec == "LZ4" else f"CODEC({codec})")
    row = [
        "it's ä𝄞", "00FF", str(-(2**63)), "-2.5", "-12345.6", "true",
        "1969-12-31 23:59:58.765433", ID, DOCUMENT,
    ]  # fmt: skip
    assert rows == ["\t".join(row)] * 2 + [""]


def test_rocksdb_has_messagepack_arrays(filled: Fill) -> None:
    path = _directory(filled("rocksdb")) / "db"
    import rocksdict

    access = rocksdict.AccessType.read_only(False)
    database = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True), access_type=access)
    found = {key: msgspec.msgpack.decode(value) for key, value in database.items()}
    database.close()
    as_text = {FieldType.DECIMAL: "-12345.6000"}
    expected = [*(_VALUES | as_text).values(), *(None for _ in _VALUES)]
    assert found == {KEY.encode(): expected, b"in-bulk": expected}


@pytest.mark.parametrize(
    ("name", "container", "ending"),
    [
        ("plain", "objects", ".json"),
        ("compressed", "objects", ".json.zst"),
        ("single_instance", "payloads", ".json"),
    ],
)
def test_files_hold_canonical_bytes_and_end_as_their_type(
    filled: Fill, name: str, container: str, ending: str
) -> None:
    files = list((_directory(filled(name)) / container).glob("??/*"))
    assert len(files) == (1 if name == "single_instance" else 2)
    for file in files:
        assert file.name.endswith(ending)
        content = file.read_bytes()
        raw = zstandard.decompress(content) if ending.endswith(".zst") else content
        assert raw == SAMPLE_RECORDS.serialise(RECORD)


@pytest.mark.parametrize("name", ["sqlite", "duckdb", "postgresql", "clickhouse"])
def test_names_that_are_reserved_words_are_columns(filled: Fill, name: str) -> None:
    fields = (Field("order", FieldType.TEXT), Field("select", FieldType.INTEGER, nullable=True))

    def parse(payload: bytes) -> Record:
        return (payload.decode(), None)

    kind = RecordType("words", fields, "text/csv", parse, lambda record: str(record[0]).encode())
    filled(name, None, kind)


def test_a_marker_tells_layout_and_fields(filled: Fill) -> None:
    marker = json.loads((_directory(filled("plain")) / "deduplab-marker.json").read_text())
    assert marker["layout"] == "native"
    assert "a_decimal decimal(4), " in marker["record"]
    assert "order_decimal decimal(2)?" in marker["record"]
