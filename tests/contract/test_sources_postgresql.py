"""The sources of a scan against a real PostgreSQL."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import psycopg
import pytest

from deduplab.bound.sources import open_source
from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.table import row_bytes
from deduplab.errors import DatasetError, PlanError, SystemUnavailable
from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from tests.soon import soon
from tests.unit.sources_reading import objects_of, reasons, rows_of

pytestmark = pytest.mark.server

_ROWS = 3000


@dataclass
class Database:
    endpoint: Endpoint
    url: str

    def connect(self) -> psycopg.Connection[Any]:
        endpoint = self.endpoint
        assert endpoint.secret is not None
        return psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.secret.reveal(),
            dbname="postgres",
            autocommit=True,
        )


@pytest.fixture(scope="module")
def database(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Database]:
    with (
        TemporaryDirectory(prefix="deduplab-sources-") as workspace,
        pytest.MonkeyPatch.context() as m,
    ):
        server = PostgresqlServer(Path(workspace), variant="default", durability="interval")
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up("postgresql", error)
        try:
            assert endpoint.secret is not None
            m.setenv("LAB_SOURCE_SECRET", endpoint.secret.reveal())
            address = f"{endpoint.user}@{endpoint.host}:{endpoint.port}/postgres"
            yield Database(endpoint, f"postgresql://{address}?secret=env:LAB_SOURCE_SECRET")
        finally:
            server.stop()


@pytest.fixture
def tables(database: Database) -> Iterator[Database]:
    with database.connect() as connection:
        connection.execute("CREATE TABLE events (id bigint, body jsonb, note text)")
        connection.execute(
            "INSERT INTO events SELECT n, jsonb_build_object('k', n % 10), "
            "CASE WHEN n % 3 = 0 THEN NULL ELSE repeat('x', n %% 50) END ".replace("%%", "%")
            + f"FROM generate_series(0, {_ROWS - 1}) AS n"
        )
        connection.execute('CREATE TABLE "odd ""name" ("a b" int)')
        connection.execute('INSERT INTO "odd ""name" VALUES (7)')
        connection.execute("CREATE SCHEMA other CREATE TABLE inside (x bytea)")
        connection.execute("INSERT INTO other.inside VALUES ('\\x00ff')")
        connection.execute("CREATE VIEW seen AS SELECT id FROM events WHERE id < 5")
        try:
            yield database
        finally:
            connection.execute("DROP SCHEMA other CASCADE")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


def _row(number: int) -> bytes:
    note = None if number % 3 == 0 else b"x" * (number % 50)
    body = b'\x01{"k": %d}' % (number % 10)
    return row_bytes([struct.pack(">q", number), body, note])


def test_rows_and_columns_of_a_table(tables: Database) -> None:
    source = open_source(tables.url, table="events")
    found = objects_of(source)
    assert found[""] == [_row(number) for number in range(_ROWS)]
    assert found["id"] == [struct.pack(">q", number) for number in range(_ROWS)]
    assert found["body"][3] == b'\x01{"k": 3}'
    assert found["note"][:3] == [b"", b"x", b"xx"]
    assert source.left_out == []
    assert "secret" not in source.name


def test_all_tables_and_names_that_need_quotes(tables: Database) -> None:
    found = objects_of(open_source(tables.url))
    assert set(found) == {
        *("", "events.id", "events.body", "events.note"),
        'odd "name.a b',
        "other.inside.x",
    }
    assert found["other.inside.x"] == [b"\x00\xff"]
    assert rows_of(open_source(tables.url, table='odd "name')) == [
        row_bytes([struct.pack(">i", 7)])
    ]
    assert len(rows_of(open_source(tables.url, table="seen"))) == 5


def test_names_with_dots_and_tables_of_one_name(tables: Database) -> None:
    with tables.connect() as connection:
        connection.execute('CREATE SCHEMA "sche.ma" CREATE TABLE "in.side" (x int)')
        connection.execute('INSERT INTO "sche.ma"."in.side" VALUES (1), (2)')
        connection.execute('CREATE TABLE "dot.ted" (x int)')
        connection.execute('INSERT INTO "dot.ted" VALUES (3)')
        # A schema that is named like the user comes first in the search path.
        connection.execute(
            f'CREATE SCHEMA "{tables.endpoint.user}" CREATE TABLE events (other int)'
        )
        try:
            source = open_source(tables.url)
            found = objects_of(source)
            assert source.left_out == []
            assert len(found["sche.ma.in.side.x"]) == 2
            assert len(found["dot.ted.x"]) == 1
            assert len(found["events.id"]) == _ROWS
            assert len(rows_of(open_source(tables.url, table="events"))) == _ROWS
            assert len(rows_of(open_source(tables.url, table="sche.ma.in.side"))) == 2
        finally:
            connection.execute('DROP SCHEMA "sche.ma" CASCADE')
            connection.execute(f'DROP SCHEMA "{tables.endpoint.user}" CASCADE')


def test_rows_that_are_inherited_are_counted_once(tables: Database) -> None:
    with tables.connect() as connection:
        connection.execute("CREATE TABLE parent (a int)")
        connection.execute("INSERT INTO parent VALUES (1), (2)")
        connection.execute("CREATE TABLE child (b int) INHERITS (parent)")
        connection.execute("INSERT INTO child VALUES (3, 3)")
        connection.execute("CREATE TABLE parted (a int) PARTITION BY RANGE (a)")
        connection.execute("CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9)")
        connection.execute("INSERT INTO parted VALUES (1), (2), (3)")
    found = objects_of(open_source(tables.url))
    assert len(found["parent.a"]) == 2
    assert len(found["child.a"]) == 1
    assert len(found["part.a"]) == 3
    assert "parted.a" not in found
    assert len(rows_of(open_source(tables.url, table="parent"))) == 3, "as a query would say"
    assert len(rows_of(open_source(tables.url, table="parted"))) == 3


def test_rows_that_a_policy_hides_are_no_small_table(
    tables: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secrets.token_urlsafe(12)
    monkeypatch.setenv("LAB_GUEST_SECRET", secret)
    with tables.connect() as connection:
        connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{secret}'")
        try:
            connection.execute("GRANT USAGE ON SCHEMA public TO guest")
            connection.execute("GRANT SELECT ON events TO guest")
            connection.execute("CREATE POLICY few ON events USING (id < 10)")
            guest = tables.url.replace(f"//{tables.endpoint.user}@", "//guest@")
            source = open_source(guest.replace("SOURCE", "GUEST"), table="events")
            assert len(rows_of(source)) == _ROWS
            whole = open_source(guest.replace("SOURCE", "GUEST"))
            assert len(rows_of(whole)) == _ROWS
            assert "permission denied for table" in reasons(whole)
            connection.execute("REVOKE SELECT ON events FROM guest")
            with pytest.raises(DatasetError, match="none of its 3 tables can be read"):
                rows_of(whole)
            connection.execute("GRANT SELECT ON events TO guest")
            connection.execute("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
            with pytest.raises(DatasetError, match="row-level security policy"):
                rows_of(source)
        finally:
            connection.execute("DROP OWNED BY guest")
            connection.execute("DROP ROLE guest")


def test_a_table_without_columns_is_said(tables: Database) -> None:
    with tables.connect() as connection:
        connection.execute("CREATE TABLE bare ()")
        connection.execute("INSERT INTO bare DEFAULT VALUES")
    source = open_source(tables.url, table="bare")
    assert objects_of(source) == {}
    assert "bare: has no columns" in reasons(source)


def test_orders_pages_and_queries(tables: Database) -> None:
    natural = [_row(number) for number in range(_ROWS)]
    shuffled = rows_of(open_source(tables.url, table="events", order="shuffled"))
    assert shuffled != natural
    assert sorted(shuffled) == sorted(natural)
    assert shuffled == rows_of(open_source(tables.url, table="events", order="shuffled"))
    query = "SELECT id, body->>'k' AS k FROM events -- by k"
    by_k = objects_of(open_source(tables.url, query=query, order="sorted:k"))
    assert by_k["k"] == sorted(by_k["k"])
    pages = objects_of(open_source(tables.url, table="events", column_pages=1024))["id"]
    assert [len(page) for page in pages] == [1024] * 23 + [_ROWS * 8 - 23 * 1024]
    assert len(rows_of(open_source(tables.url, query="SELECT 1 WHERE false"))) == 0


def test_rows_larger_than_a_block(tables: Database) -> None:
    query = f"SELECT repeat('y', {3 * BLOCK_BYTES}) AS y FROM generate_series(1, 3)"
    found = objects_of(open_source(tables.url, query=query))
    assert [len(value) for value in found["y"]] == [3 * BLOCK_BYTES] * 3


def test_nothing_can_be_written(tables: Database) -> None:
    for query in ("DELETE FROM events RETURNING id", "SELECT nextval('s')"):
        with pytest.raises(DatasetError, match="can't be read"):
            rows_of(open_source(tables.url, query=query))
    assert len(rows_of(open_source(tables.url, table="events"))) == _ROWS


def test_what_is_not_there_is_told(tables: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="did you mean 'events'"):
        rows_of(open_source(tables.url, table="event"))
    with pytest.raises(PlanError, match="did you mean 'note'"):
        rows_of(open_source(tables.url, table="events", columns=["notes"]))
    with pytest.raises(DatasetError, match="nothing of it is counted"):
        rows_of(open_source(tables.url, query="SELECT * FROM nowhere"))
    monkeypatch.setenv("LAB_SOURCE_SECRET", "wrong")
    with pytest.raises(SystemUnavailable, match="password authentication failed"):
        rows_of(open_source(tables.url, table="events"))
    closed = tables.url.replace(f":{tables.endpoint.port}/", ":1/")
    with pytest.raises(SystemUnavailable, match="can't be reached"):
        rows_of(open_source(closed, table="events"))


def test_a_table_that_disappears_during_the_scan_is_said(tables: Database) -> None:
    source = open_source(tables.url)
    blocks = source.blocks()
    next(blocks)
    with tables.connect() as connection:
        connection.execute("DROP TABLE other.inside")
    streams = {block.stream for block in blocks}
    assert "other.inside.x" not in streams
    assert 'odd "name.a b' in streams
    assert len(source.left_out) == 1
    assert "other.inside: can't be read: " in reasons(source)
    assert "does not exist" in reasons(source)
    assert "nothing of it is counted" in reasons(source)


def test_a_table_that_is_truncated_during_the_scan_is_no_empty_table(tables: Database) -> None:
    with tables.connect() as connection:
        connection.execute("CREATE TABLE other.none (x int)")
        connection.execute("CREATE TABLE other.parent (x int)")
        connection.execute("CREATE TABLE other.child () INHERITS (other.parent)")
        connection.execute("INSERT INTO other.parent VALUES (1)")
        source = open_source(tables.url)
        blocks = source.blocks()
        next(blocks)
        connection.execute("TRUNCATE other.inside, ONLY other.parent")
        assert not {block.stream for block in blocks} & {"other.inside.x", "other.parent.x"}
    assert [one.name for one in source.left_out] == ["other.inside", "other.parent"]
    assert "was truncated or rewritten after the scan began" in reasons(source)
    again = open_source(tables.url)
    objects_of(again)
    assert again.left_out == []


def test_a_connection_that_is_lost_says_how_many_rows_are_counted(tables: Database) -> None:
    query = "SELECT repeat('y', 1000) AS y FROM generate_series(1, 1000000)"
    source = open_source(tables.url, query=query, columns=())
    blocks = source.blocks()
    rows = len(next(blocks).offsets) - 1
    with tables.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'deduplab' AND pid <> pg_backend_pid()"
        )
    rows += sum(len(block.offsets) - 1 for block in blocks)
    assert rows < 1_000_000
    assert f"the {rows} rows before are counted" in reasons(source)


def test_a_scan_that_is_given_up_leaves_nothing_behind(tables: Database) -> None:
    query = "SELECT repeat('y', 1000) AS y FROM generate_series(1, 1000000)"
    blocks = open_source(tables.url, query=query).blocks()
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    # The server notices that nobody listens when it has more to send.
    with tables.connect() as connection:
        soon(lambda: _active(connection) == 0, "no query of a scan runs on")


def _active(connection: psycopg.Connection[Any]) -> int:
    (found,) = connection.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'deduplab' AND state = 'active'"
    ).fetchone() or (-1,)
    return int(found)
