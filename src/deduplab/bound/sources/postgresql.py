"""PostgreSQL tables and queries, streamed by binary COPY in one read-only snapshot.

A value's bytes are those of its type's binary output (as ``COPY (FORMAT BINARY)``
sends them; of jsonb: a version byte and the text). A type without binary output
makes the server refuse; ask by a query that casts it to text.
"""

from __future__ import annotations

import contextlib
import select
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Final

from deduplab.bound.sources.base import driver, words_of
from deduplab.bound.sources.row_packer import RowPacker
from deduplab.bound.sources.sql import Relation, Session, SqlServerSource
from deduplab.bound.sources.table import SEED, SHUFFLED, TableOptions
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError, SystemUnavailable

OPTIONS: Final = ("table", "query", "tls")
_WAIT_MS: Final = 1000
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
_HEADER_BYTES: Final = 19
_TRAILER: Final = b"\xff\xff"
_LENGTH: Final = struct.Struct(">i")
_VERIFIED_TLS: Final = {"sslmode": "verify-full", "sslrootcert": "system"}
_USUAL_SCHEMA: Final = "public"
# Where a policy hides rows, the server is to refuse, rather than to leave them out unsaid.
_SETTINGS: Final = "-c default_transaction_read_only=on -c statement_timeout=0 -c row_security=off"
_TABLES: Final = (
    "SELECT n.nspname, c.relname, c.relhassubclass "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = ANY(%s::\"char\"[]) AND n.nspname NOT LIKE 'pg\\_%%' "
    "AND n.nspname <> 'information_schema' ORDER BY n.nspname <> 'public', 1, 2"
)
_ONLY: Final = "ONLY "
_REWRITTEN: Final = (
    "SELECT relfilenode <> pg_relation_filenode(oid) FROM pg_class WHERE oid = to_regclass(%s)"
)


class PostgresqlSource(SqlServerSource):
    """Tables of a database, or a query; also of systems that speak its protocol and binary COPY."""

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Connect and begin a read-only transaction with one snapshot for all tables.

        Raises
        ------
        SystemUnavailable
            If psycopg is missing, nobody answers, or the login is refused.
        """
        psycopg: Any = driver("psycopg", "postgresql", self.address.shown)
        try:
            connection = psycopg.connect(**self._parameters())
        except psycopg.Error as error:
            raise SystemUnavailable(
                f"{self.address.shown} can't be reached: {words_of(error)}"
            ) from error
        with closing(connection):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            session = _PostgresqlSession(connection, psycopg.Error)
            if self.options.order == SHUFFLED:
                session.make_repeatable(self.name)
            yield session

    def _parameters(self) -> dict[str, Any]:
        address = self.address
        given = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password(),
            "dbname": address.path or None,
            "connect_timeout": 10,
            "tcp_user_timeout": 30_000,
            "client_encoding": "UTF8",
            "application_name": "deduplab",
            "options": _SETTINGS,
            **(_VERIFIED_TLS if address.tls else {}),
        }
        return {name: value for name, value in given.items() if value is not None}


class _PostgresqlSession(Session):
    def __init__(self, connection: Any, error: type[Exception]) -> None:
        self._connection = connection
        self.errors = (error,)

    def make_repeatable(self, name: str) -> None:
        """Let shuffles begin from one seed.

        Raises
        ------
        DatasetError
            If the server has no such function.
        """
        try:
            self._connection.execute(f"SELECT setseed({SEED / 100})")
        except self.errors as error:
            raise DatasetError(f"{name} can't be shuffled: {words_of(error)}") from error

    def tables(self) -> list[Relation]:
        return [
            replace(relation, text=_ONLY + relation.text) if inherited else relation
            for relation, inherited in self._relations(["r", "m"])
        ]

    def nameable(self) -> list[Relation]:
        return [relation for relation, _ in self._relations(["r", "m", "v", "p", "f"])]

    def columns(self, relation: Relation) -> list[str]:
        with self._connection.transaction():
            statement = f"SELECT * FROM {relation.text} LIMIT 0"  # noqa: S608 - quoted
            return [column.name for column in self._connection.execute(statement).description]

    def emptied(self, relation: Relation) -> bool:
        # The snapshot's file of the table beside today's: TRUNCATE regards no snapshot.
        with contextlib.suppress(*self.errors), self._connection.transaction():
            found = self._connection.execute(_REWRITTEN, [relation.text.removeprefix(_ONLY)])
            return bool(found.fetchone() == (True,))
        return False

    def blocks(
        self, statement: str, columns: list[str], options: TableOptions, prefix: str
    ) -> Iterator[Block]:
        packer = RowPacker([prefix + name for name in columns], options)
        self._connection.execute("SAVEPOINT relation")
        try:
            for message in self._copied(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)"):
                row = _row(message)
                if row:
                    packer.add_row(row)
                    if packer.full:
                        yield from packer.hand_out()
        except GeneratorExit:
            # What the server still has to say would have to be read first: leave it.
            self._connection.close()
            raise
        except self.errors:
            yield from packer.last()  # what came before the error counts
            with contextlib.suppress(*self.errors):
                self._connection.execute("ROLLBACK TO SAVEPOINT relation")
            raise
        finally:
            self.rows = packer.count
        yield from packer.last()

    def _copied(self, copy: str) -> Iterator[bytes]:
        """Yield the messages of a COPY, by libpq itself: psycopg's own loop takes thrice as long.

        While nothing comes, it waits a second at a time, so that Ctrl-C is heard.
        """
        from psycopg import pq
        from psycopg.errors import OperationalError, error_from_result

        pgconn = self._connection.pgconn
        waiting = select.poll()  # select() takes no descriptor beyond 1023
        waiting.register(pgconn.socket, select.POLLIN)
        result = pgconn.exec_(copy.encode())
        if result.status != pq.ExecStatus.COPY_OUT:
            raise error_from_result(result, encoding="utf-8")
        while True:
            count_bytes, data = pgconn.get_copy_data(1)
            if count_bytes > 0:
                yield bytes(data)
            elif count_bytes == 0:
                waiting.poll(_WAIT_MS)
                pgconn.consume_input()
            else:
                break
        result = pgconn.get_result()
        while pgconn.get_result() is not None:
            pass
        if result is None:
            raise OperationalError("the connection was lost")
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(result, encoding="utf-8")

    def _relations(self, kinds: list[str]) -> list[tuple[Relation, bool]]:
        """Return relations, and whether others may inherit from them."""
        return [
            (self.in_schema(schema, name, _USUAL_SCHEMA), inherited)
            for schema, name, inherited in self._connection.execute(_TABLES, [kinds]).fetchall()
        ]


def _row(message: bytes) -> bytes:
    """Return the row of a message, without what precedes it; empty where it has none.

    The server sends a message a row; the first one begins with the format's
    header, the last one is the trailer (a count of -1 fields).
    """
    position = 0
    if message.startswith(_SIGNATURE):
        position = _HEADER_BYTES + _LENGTH.unpack_from(message, _HEADER_BYTES - 4)[0]
    if message[position : position + 2] in (b"", _TRAILER):
        return b""
    return message[position + 2 :]
