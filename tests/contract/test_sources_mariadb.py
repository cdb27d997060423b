"""The source of MariaDB tables against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from deduplab.bound.sources import open_source
from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.table import row_bytes
from deduplab.errors import DatasetError, PlanError, SystemUnavailable
from deduplab.servers.mariadb import MariadbServer
from tests.unit.sources_reading import objects_of, reasons, rows_of

pytestmark = pytest.mark.server
pymysql = pytest.importorskip("pymysql", exc_type=ImportError)

_ROWS = 3000
Connect = Callable[[], Any]


@pytest.fixture(scope="module")
def server(
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> Iterator[tuple[str, Connect]]:
    """Return the address of a server, and a way to its back door."""
    with (
        TemporaryDirectory(prefix="deduplab-sources-") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        running = MariadbServer(Path(folder), variant="default", durability="fsync")
        try:
            endpoint = running.start()
        except SystemUnavailable as error:
            not_brought_up("mariadb", error)
        try:
            assert endpoint.secret is not None
            password = endpoint.secret.reveal()
            m.setenv("LAB_SOURCE_SECRET", password)

            def connect() -> Any:
                return pymysql.connect(
                    host=endpoint.host,
                    port=endpoint.port,
                    user=endpoint.user,
                    password=password,
                    autocommit=True,
                )

            address = f"mariadb://{endpoint.user}@{endpoint.host}:{endpoint.port}/lab"
            yield f"{address}?secret=env:LAB_SOURCE_SECRET", connect
        finally:
            running.stop()


@pytest.fixture
def url(server: tuple[str, Connect]) -> Iterator[str]:
    address, connect = server
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE lab")
        cursor.execute("CREATE TABLE lab.events (id BIGINT PRIMARY KEY, word TEXT, data BLOB)")
        cursor.executemany(
            "INSERT INTO lab.events VALUES (%s, %s, %s)",
            [(n, None if n % 3 == 0 else f"wört {n % 7}", b"\xff\x00") for n in range(_ROWS)],
        )
        cursor.execute("CREATE TABLE lab.`odd ``name` (`a b` INT)")
        cursor.execute("INSERT INTO lab.`odd ``name` VALUES (7)")
        cursor.execute("CREATE VIEW lab.seen AS SELECT id FROM lab.events WHERE id < 5")
        try:
            yield address
        finally:
            cursor.execute("DROP DATABASE lab")


def _row(number: int) -> bytes:
    word = None if number % 3 == 0 else f"wört {number % 7}".encode()
    return row_bytes([b"%d" % number, word, b"\xff\x00"])


def test_rows_and_columns_of_a_table(url: str) -> None:
    source = open_source(url, table="events")
    found = objects_of(source)
    assert found[""] == [_row(number) for number in range(_ROWS)]
    assert found["data"] == [b"\xff\x00"] * _ROWS
    assert source.left_out == []


def test_all_tables_views_orders_and_queries(url: str) -> None:
    found = objects_of(open_source(url))
    expected = {"", "events.id", "events.word", "events.data", "odd `name.a b"}
    assert set(found) == expected
    assert rows_of(open_source(url, table="odd `name")) == [row_bytes([b"7"])]
    assert len(rows_of(open_source(url, table="seen"))) == 5
    natural = [_row(number) for number in range(_ROWS)]
    shuffled = rows_of(open_source(url, table="events", order="shuffled"))
    assert shuffled != natural
    assert sorted(shuffled) == sorted(natural)
    assert shuffled == rows_of(open_source(url, table="events", order="shuffled"))
    query = "SELECT word, count(*) AS times FROM events GROUP BY word;"
    assert len(objects_of(open_source(url, query=query))["times"]) == 8


def test_system_versioned_tables_are_tables(server: tuple[str, Connect], url: str) -> None:
    with server[1]() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE lab.versioned (x INT) WITH SYSTEM VERSIONING")
        cursor.execute("INSERT INTO lab.versioned VALUES (1), (2)")
        connection.commit()
    assert len(objects_of(open_source(url))["versioned.x"]) == 2
    assert len(rows_of(open_source(url, table="versioned"))) == 2


def test_rows_larger_than_a_packet_of_the_protocol(url: str) -> None:
    query = f"SELECT repeat('y', {3 * BLOCK_BYTES}) AS y UNION ALL SELECT repeat('z', 10)"
    found = objects_of(open_source(url, query=query))
    assert [len(value) for value in found["y"]] == [3 * BLOCK_BYTES, 10]


def test_nothing_can_be_written(url: str) -> None:
    with pytest.raises(DatasetError, match="can't be read"):
        rows_of(open_source(url, query="DELETE FROM events RETURNING id"))
    assert len(rows_of(open_source(url, table="events"))) == _ROWS


def test_what_is_not_there_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="did you mean 'events'"):
        rows_of(open_source(url, table="event"))
    with pytest.raises(DatasetError, match="nothing of it is counted"):
        rows_of(open_source(url, query="SELECT * FROM nowhere"))
    monkeypatch.setenv("LAB_SOURCE_SECRET", "wrong")
    with pytest.raises(SystemUnavailable, match="Access denied"):
        rows_of(open_source(url, table="events"))
    with pytest.raises(SystemUnavailable, match="can't be reached"):
        rows_of(open_source("mariadb://127.0.0.1:1/lab"))


def test_a_connection_that_is_lost_says_how_many_rows_are_counted(
    url: str, server: tuple[str, Connect]
) -> None:
    query = "SELECT repeat('y', 1000) AS y FROM seq_1_to_1000000"
    source = open_source(url, query=query, columns=())
    blocks = source.blocks()
    rows = len(next(blocks).offsets) - 1
    with server[1]() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT `y` FROM%'"
        )
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")
    rows += sum(len(block.offsets) - 1 for block in blocks)
    assert rows < 1_000_000
    assert f"the {rows} rows before are counted" in reasons(source)


def test_a_scan_that_is_given_up_does_not_read_on(url: str) -> None:
    blocks = open_source(url, query="SELECT repeat('y', 1000) FROM seq_1_to_100000000").blocks()
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
