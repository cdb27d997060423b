"""What of MariaDB's adapter needs no server: errors, tables, packets, columns, programs."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from deduplab.adapters import _mariadb_bulk
from deduplab.adapters._layout import Layout
from deduplab.adapters._mariadb_bulk import BulkColumn, Kind
from deduplab.adapters._mariadb_connector import translated
from deduplab.adapters._mariadb_status import file_name
from deduplab.adapters._mariadb_tables import VARIANTS, Shape
from deduplab.adapters._row_hash import row_hash
from deduplab.adapters.mariadb import MariadbAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.record import Field, FieldType, Record, RecordType
from deduplab.servers import _mariadb_binaries
from deduplab.servers.mariadb import MariadbServer
from deduplab.testing import batch_of


@pytest.mark.parametrize("number", [1040, 1053, 2002, 2006, 2013])
def test_what_may_pass_on_a_fresh_instance_is_unavailable(number: int) -> None:
    assert isinstance(translated(number, "HY000", "gone"), SystemUnavailable)


@pytest.mark.parametrize("number", [1062, 1142, 1064])
def test_what_will_not_pass_is_a_failure(number: int) -> None:
    error = translated(number, "23000", "Duplicate\n entry")
    assert isinstance(error, OperationFailed)
    assert f"Duplicate entry (error {number}, SQLSTATE 23000)" in str(error)
    assert isinstance(translated(number, "23000", "x", connecting=True), SystemUnavailable)


def test_every_variant_has_its_engine_and_unique_content_two_tables() -> None:
    texts = {v.name: " ".join(Shape(v.name, Layout()).creates("lab")) for v in VARIANTS}
    assert "ENGINE=ROCKSDB" in texts["myrocks"]
    assert "PAGE_COMPRESSED=1" in texts["page-compressed"]
    assert "KEY_BLOCK_SIZE=8" in texts["row-compressed"]
    assert all(text.count("CREATE TABLE") == 1 for n, text in texts.items() if n[0] != "u")
    assert texts["unique-content"].count("CREATE TABLE") == 2


def records(*fields: Field) -> Layout:
    def parse(payload: bytes) -> Record:
        raise NotImplementedError

    def serialise(record: Record) -> bytes:
        raise NotImplementedError

    return Layout.of("mariadb", "native", RecordType("r", fields, "x/y", parse, serialise))


def test_native_columns_and_nulls() -> None:
    layout = records(
        Field("order", FieldType.TIMESTAMP),
        Field("price", FieldType.DECIMAL, True, 2),
        Field("id", FieldType.UUID),
    )
    (created,) = Shape("default", layout).creates("lab")
    assert "`order` DATETIME(6) NOT NULL" in created
    assert "`price` DECIMAL(18,2) NULL" in created
    assert "`id` UUID NOT NULL" in created


def test_timestamps_travel_as_text_with_microseconds() -> None:
    shape = Shape("default", records(Field("at", FieldType.TIMESTAMP)))
    moment = datetime(1899, 12, 31, 23, 59, 59, 1, tzinfo=UTC)
    microseconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)
    assert list(shape.written((microseconds,))) == [b"1899-12-31 23:59:59.000001"]


def test_a_negative_zero_is_refused_and_others_pass() -> None:
    shape = Shape("default", records(Field("x", FieldType.FLOAT)))
    assert list(shape.written((0.0,))) == [0.0]
    with pytest.raises(OperationFailed, match="negative zero"):
        shape.written((-0.0,))


def test_hashes_tell_values_types_and_places_apart() -> None:
    rows = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (1, b""), (b"1", b""), (None, b""), (b"", 1)]
    assert len({row_hash(row) for row in rows}) == len(rows)
    assert row_hash((b"ab", 1)) == row_hash((b"ab", 1))


def test_packets_end_at_rows_and_hold_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mariadb_bulk, "PACKET_BYTES", 100)
    lengths = [10, 80, 20, 500, 1, 99, 1]
    column = BulkColumn.of_values(Kind.BYTES, [b"x" * length for length in lengths])
    assert _mariadb_bulk.cuts([column], len(lengths)) == [0, 2, 3, 4, 6, 7]
    assert _mariadb_bulk.cuts([BulkColumn.of_values(Kind.BYTES, [])], 0) == [0]


def test_a_column_points_into_the_batch_itself() -> None:
    batch = batch_of({"a": b"first", "b": b"", "c": b"third"})
    column = BulkColumn.of_buffer(batch.data, batch.offsets)
    base = np.frombuffer(batch.data, dtype=np.uint8).ctypes.data
    assert column.lengths is not None
    assert column.lengths.tolist() == [5, 0, 5]
    assert (column.values - np.uint64(base)).tolist() == [0, 5, 5]


def test_nulls_are_marked() -> None:
    column = BulkColumn.of_values(Kind.INTEGER, [1, None, -3])
    assert column.nulls is not None
    assert (column.values.tolist(), column.nulls.tolist()) == ([1, 0, -3], [0, 1, 0])
    assert BulkColumn.of_values(Kind.FLOAT, [1.5]).nulls is None


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("ib_logfile0", "wal"),
        ("ibdata1", "system"),
        ("ibtmp1", "temporary"),
        ("deduplab@002dlab/objects.ibd", "data"),
        ("deduplab@002dlab/objects.frm", "metadata"),
        ("mysql/innodb_table_stats.ibd", "metadata"),
        ("#rocksdb/000012.sst", "data"),
        ("#rocksdb/000013.log", "wal"),
        ("#rocksdb/LOG", "metadata"),
        ("aria_log.00000001", "metadata"),
    ],
)
def test_components_of_files(path: str, component: str) -> None:
    globs = MariadbAdapter.file_components
    assert next(name for glob, name in globs if fnmatchcase(path, glob)) == component


def test_names_of_files() -> None:
    assert file_name("deduplab-lab_2") == "deduplab@002dlab_2"


def test_an_unknown_durability_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="sometimes"):
        MariadbServer(tmp_path, variant="default", durability="sometimes")
    assert list(tmp_path.iterdir()) == []


def test_programs_are_looked_for_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = _mariadb_binaries.BINARIES_VARIABLE
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(SystemUnavailable, match=variable):
        _mariadb_binaries.find()
    for name in ("mariadbd", "mariadb-install-db"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    assert _mariadb_binaries.find().server == (tmp_path / "mariadbd").resolve()


def test_nothing_found_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_mariadb_binaries.BINARIES_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(_mariadb_binaries, "_SYSTEM_PATH", "")
    with pytest.raises(SystemUnavailable, match="apt-get install mariadb-server"):
        _mariadb_binaries.find()
