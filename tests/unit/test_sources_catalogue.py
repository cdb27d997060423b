"""What a person writes becomes the right source, or a sentence that helps."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from deduplab.bound.sources import FORMATS, open_source
from deduplab.bound.sources.address import parse_address
from deduplab.bound.sources.base import driver, words_of
from deduplab.bound.sources.clickhouse import ClickhouseSource
from deduplab.bound.sources.csv_text import CsvSource
from deduplab.bound.sources.files import FileSource
from deduplab.bound.sources.json_lines import JsonLinesSource
from deduplab.bound.sources.kafka import KafkaSource
from deduplab.bound.sources.mariadb import MariadbSource
from deduplab.bound.sources.parquet import ParquetSource
from deduplab.bound.sources.postgresql import PostgresqlSource
from deduplab.bound.sources.s3 import S3Source
from deduplab.bound.sources.tar import TarSource
from deduplab.bound.sources.zip_archive import ZipSource
from deduplab.errors import PlanError, SystemUnavailable
from tests.unit.sources_reading import rows_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar", TarSource),
        ("a.tar.zst", TarSource),
        ("a.TGZ", TarSource),
        ("a.zip", ZipSource),
        ("a.parquet", ParquetSource),
        ("a.csv", CsvSource),
        ("a.tsv.gz", CsvSource),
        ("a.jsonl", JsonLinesSource),
        ("a.ndjson.xz", JsonLinesSource),
        ("a.db", FileSource),
        ("a.gz", FileSource),
        ("a.img", FileSource),
        ("tar", FileSource),
    ],
)
def test_files_by_their_names(tmp_path: Path, name: str, kind: type) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    assert type(open_source(str(path))) is kind


def test_a_file_can_be_read_as_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n")
    assert rows_of(open_source(str(path), kind="file")) == [b"a,b\n1,2\n"]
    with pytest.raises(PlanError, match="did you mean 'parquet'"):
        open_source(str(path), kind="parket")
    with pytest.raises(PlanError, match="not a regular file"):
        open_source(str(tmp_path), kind="tar")
    assert "file" in FORMATS


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("postgresql://me@host/db?table=t", PostgresqlSource, "postgresql://host/db table t"),
        ("postgres://me@host:5/db?query=SELECT+1", PostgresqlSource, "postgres://host:5/db"),
        ("mariadb://me@host/db", MariadbSource, "mariadb://host/db"),
        ("mysql://host/db?columns=a,b&order=shuffled", MariadbSource, "mysql://host/db"),
        ("clickhouse://host/db?column_pages=yes", ClickhouseSource, "clickhouse://host/db"),
        ("s3://bucket/pre/fix?endpoint=http://127.0.0.1:1", S3Source, "s3://bucket/pre/fix"),
        ("kafka://[::1]:9/topic", KafkaSource, "kafka://[::1]:9/topic"),
    ],
)
def test_servers_by_their_addresses(text: str, kind: type, shown: str) -> None:
    source = open_source(text)
    assert type(source) is kind
    assert source.name == shown
    assert pickle.loads(pickle.dumps(source)).name == shown


def test_options_in_the_address_and_beside_it() -> None:
    source = open_source("mysql://host/db?columns=a,b&order=shuffled&column_pages=8+KiB")
    assert isinstance(source, MariadbSource)
    assert source.options.columns == ("a", "b")
    assert source.options.order == "shuffled"
    assert source.options.page_bytes == 8192
    assert open_source("mysql://host/db?table=a", table="a").name == "mysql://host/db table a"
    with pytest.raises(PlanError, match="table is given twice"):
        open_source("mysql://host/db?table=a", table="b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgrsql://host/db", "did you mean 'postgresql'"),
        ("postgresql://me:hunter2@host/db", "doesn't belong into an address"),
        ("postgresql://host/db?secret=hunter2", "given by reference"),
        ("postgresql://host/db?tabel=x", "did you mean 'table'"),
        ("postgresql://host:port/db", "not a usable address"),
        ("postgresql://me:hunter2/x@host/db", "not a usable address"),
        ("postgresql://me:65000/hunter2@host/db", "doesn't belong into an address"),
        ("s3://bucket/pre#fix?endpoint=http://127.0.0.1:1", "write '#' as %23"),
        ("s3://bucket/prefix#", "write '#' as %23"),
        ("mariadb://host", "name a database"),
        ("kafka://host", "name a topic"),
        ("s3:///prefix", "name a bucket"),
        ("s3://bucket?access_key=x", "needs secret"),
        ("s3://bucket?endpont=x", "did you mean 'endpoint'"),
        ("no/such/path", "No such file"),
        ("with\0zero", "no path"),
        ("/dev/null", "character device"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words) as caught:
        open_source(text)
    assert "hunter2" not in str(caught.value)


def test_the_nearest_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "measurements.csv").touch()
    with pytest.raises(PlanError, match=r"did you mean '.*measurements\.csv'"):
        open_source(str(tmp_path / "measurement.csv"))


def test_options_without_a_meaning_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    (tmp_path / "a.csv").touch()
    for text, options in (
        (str(tmp_path), {"table": "x"}),
        (str(tmp_path / "a.tar"), {"columns": ["x"]}),
        (str(tmp_path / "a.csv"), {"query": "SELECT 1"}),
        (str(tmp_path), {"expansion": 3}),
        ("-", {"order": "shuffled"}),
        ("kafka://host/topic", {"order": "shuffled"}),
        ("s3://bucket", {"column_pages": True}),
    ):
        with pytest.raises(PlanError, match="has no meaning"):
            open_source(text, **options)


def test_elsewhere_needs_tls_unless_said() -> None:
    known = ("tls",)
    assert parse_address("postgresql://example.org/db", known).tls
    assert not parse_address("postgresql://127.0.0.1/db", known).tls
    assert not parse_address("postgresql://example.org/db?tls=no", known).tls
    with pytest.raises(PlanError, match="'yes' or 'no'"):
        _ = parse_address("postgresql://example.org/db?tls=maybe", known).tls


def test_secrets_are_looked_up_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    address = parse_address("postgresql://me@host/db?secret=env:LAB_SECRET", ())
    with pytest.raises(PlanError, match="LAB_SECRET is not set"):
        address.password()
    monkeypatch.setenv("LAB_SECRET", "whispered")
    assert address.password() == "whispered"
    assert "whispered" not in repr(address)


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SystemUnavailable, match=r"pip install 'deduplab\[s3\]'"):
        driver("obstore", "s3", "a bucket")


def test_errors_with_a_number_are_told_in_words() -> None:
    assert words_of(RuntimeError(1045, "Access  denied\nfor you")) == "Access denied for you (1045)"
    assert words_of(OSError(2, "No such file")) == "[Errno 2] No such file"
    assert words_of(RuntimeError()) == "RuntimeError"
