"""The source of ClickHouse tables, over HTTP against the real engine (in process, chdb)."""

from __future__ import annotations

import secrets
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab.bound.sources import open_source
from deduplab.bound.sources.table import row_bytes
from deduplab.errors import DatasetError, PlanError, SystemUnavailable
from tests.unit.sources_reading import objects_of, reasons, rows_of

pytestmark = pytest.mark.server
pytest.importorskip("chdb", exc_type=ImportError)
pytest.importorskip("clickhouse_connect", exc_type=ImportError)

_ROWS = 30_000
_TABLES = (
    "CREATE DATABASE lab;"
    "CREATE TABLE lab.events (id UInt64, word LowCardinality(String), note Nullable(String), "
    "list Array(UInt16)) ENGINE = MergeTree ORDER BY id;"
    f"INSERT INTO lab.events SELECT number, concat('word ', toString(number % 7)), "
    f"if(number % 3 = 0, NULL, unhex('ff00')), [1, 2] FROM numbers({_ROWS});"
    "CREATE TABLE lab.small (x Int32) ENGINE = MergeTree ORDER BY x;"
    "INSERT INTO lab.small VALUES (1), (2);"
    "CREATE VIEW lab.seen AS SELECT id FROM lab.events WHERE id < 5;"
    "CREATE TABLE lab.kept (x Int32) ENGINE = Memory; INSERT INTO lab.kept VALUES (3);"
    "CREATE TABLE lab.merged AS lab.small ENGINE = Merge('lab', '^small$');"
    "CREATE TABLE lab.endless (x Int32) ENGINE = GenerateRandom"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    password = secrets.token_urlsafe(12)
    script = Path(__file__).with_name("clickhouse_over_http.py")
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as front,
    ):
        assert front.stdin is not None
        assert front.stdout is not None
        front.stdin.write(f"{_TABLES}\n{password}\n")
        front.stdin.flush()
        port = front.stdout.readline().strip()
        assert port, "the engine did not come up"
        patch.setenv("LAB_SOURCE_SECRET", password)
        try:
            yield f"clickhouse://lab@127.0.0.1:{port}/lab?secret=env:LAB_SOURCE_SECRET"
        finally:
            front.stdin.close()
            front.wait(timeout=30)


def _row(number: int) -> bytes:
    return row_bytes(
        [
            struct.pack("<Q", number),
            b"word %d" % (number % 7),
            None if number % 3 == 0 else b"\xff\x00",
            struct.pack("<HH", 1, 2),
        ]
    )


def test_rows_and_columns_of_a_table(url: str) -> None:
    source = open_source(url, table="events", order="sorted:id")
    found = objects_of(source)
    assert set(found) == {"", "id", "word", "note", "list"}
    assert found[""] == [_row(number) for number in range(_ROWS)]
    assert found["word"][:2] == [b"word 0", b"word 1"]
    assert source.left_out == []


def test_all_tables_views_orders_and_queries(url: str) -> None:
    found = objects_of(open_source(url))
    assert len(found[""]) == _ROWS + 2 + 1
    assert {name.partition(".")[0] for name in found if name} == {"events", "small", "kept"}
    assert len(rows_of(open_source(url, table="merged"))) == 2
    assert sorted(found["small.x"]) == [struct.pack("<i", 1), struct.pack("<i", 2)]
    assert len(rows_of(open_source(url, table="seen"))) == 5
    shuffled = rows_of(open_source(url, table="events", order="shuffled"))
    natural = [_row(number) for number in range(_ROWS)]
    assert shuffled != natural
    assert sorted(shuffled) == sorted(natural)
    query = "SELECT word, count() AS times FROM events GROUP BY word"
    assert len(objects_of(open_source(url, query=query))["times"]) == 7


def test_what_is_not_there_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="did you mean 'events'"):
        rows_of(open_source(url, table="event"))
    with pytest.raises(DatasetError, match="nothing of it is counted"):
        rows_of(open_source(url, query="SELECT * FROM nowhere"))
    monkeypatch.setenv("LAB_SOURCE_SECRET", "wrong")
    with pytest.raises(SystemUnavailable, match="can't be reached"):
        rows_of(open_source(url, table="events"))
    with pytest.raises(SystemUnavailable, match="can't be reached"):
        rows_of(open_source("clickhouse://127.0.0.1:1/lab"))


def test_a_table_that_disappears_during_the_scan_is_said(url: str) -> None:
    source = open_source(url)
    blocks = source.blocks()
    next(blocks)
    import clickhouse_connect

    from deduplab.bound.sources.address import parse_address

    address = parse_address(url, ())
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=address.port, username="lab", password=address.password() or ""
    )
    client.command("DROP TABLE lab.small SYNC")
    client.close()
    assert not any(block.stream == "small.x" for block in blocks)
    assert "small: can't be read: " in reasons(source)
