"""MariaDB and MySQL tables and queries, streamed row by row in one read-only snapshot.

A value's bytes are those of the text protocol: numbers and times as digits, text
in UTF-8, binary columns as they are.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from deduplab.bound.sources.base import driver, words_of
from deduplab.bound.sources.row_packer import RowPacker
from deduplab.bound.sources.sql import Relation, Session, SqlServerSource
from deduplab.bound.sources.table import SEED, TableOptions
from deduplab.bound.stream import Block
from deduplab.errors import SystemUnavailable

OPTIONS: Final = ("table", "query", "tls")
_PORT: Final = 3306
_SILENCE_S: Final = 600
_WITH_DATA: Final = ("BASE TABLE", "SYSTEM VERSIONED")
_TABLES: Final = (
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_schema = database() AND table_type IN %s ORDER BY 1"
)


class MariadbSource(SqlServerSource):
    """Tables of a database, or a query."""

    needs_database = True

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Connect and begin a read-only transaction with one snapshot.

        Raises
        ------
        SystemUnavailable
            If PyMySQL is missing, nobody answers, or the login is refused.
        """
        pymysql: Any = driver("pymysql", "mariadb", self.address.shown)
        cursors: Any = driver("pymysql.cursors", "mariadb", self.address.shown)
        try:
            # Values to the server are written as usual, those from it stay bytes.
            connection = pymysql.connect(
                **self._parameters(),
                cursorclass=cursors.SSCursor,
                conv=pymysql.converters.encoders,
            )
        except (pymysql.Error, OSError) as error:
            raise SystemUnavailable(
                f"{self.address.shown} can't be reached: {words_of(error)}"
            ) from error
        with closing(connection):
            session = _MariadbSession(connection, (pymysql.Error, OSError))
            try:
                session.prepare()
            except session.errors as error:
                raise SystemUnavailable(
                    f"{self.address.shown} gives no snapshot: {words_of(error)}"
                ) from error
            yield session

    def _parameters(self) -> dict[str, Any]:
        address = self.address
        return {
            "host": address.host,
            "port": address.port or _PORT,
            "user": address.user,
            "password": address.password() or "",
            "database": address.path,
            "charset": "utf8mb4",
            "use_unicode": False,
            "connect_timeout": 10,
            "read_timeout": _SILENCE_S,
            "ssl": ssl.create_default_context() if address.tls else None,
        }


class _MariadbSession(Session):
    quotes = "`"
    random = f"RAND({SEED})"

    def __init__(self, connection: Any, errors: tuple[type[Exception], ...]) -> None:
        self._connection = connection
        self.errors = errors

    def prepare(self) -> None:
        """Begin the snapshot; the server waits for us as long as a scan takes."""
        for statement in (
            "SET SESSION net_write_timeout = 3600",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        ):
            with self._connection.cursor() as cursor:
                cursor.execute(statement)

    def tables(self) -> list[Relation]:
        return self._relations(_WITH_DATA)

    def nameable(self) -> list[Relation]:
        return self._relations((*_WITH_DATA, "VIEW"))

    def columns(self, relation: Relation) -> list[str]:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {relation.text} LIMIT 0")  # noqa: S608 - quoted
            return [column[0] for column in cursor.description]

    def blocks(
        self, statement: str, columns: list[str], options: TableOptions, prefix: str
    ) -> Iterator[Block]:
        packer = RowPacker([prefix + name for name in columns], options)
        cursor = self._connection.cursor()
        complete = False
        try:
            cursor.execute(statement)
            for row in cursor:
                packer.add(row)
                if packer.full:
                    yield from packer.hand_out()
            complete = True
        except self.errors:
            yield from packer.last()  # what came before the error counts
            raise
        finally:
            self.rows = packer.count
            self._end(cursor, complete=complete)
        yield from packer.last()

    def _end(self, cursor: Any, *, complete: bool) -> None:
        """End a cursor; one that was not read to its end would fetch all that is left."""
        result = getattr(cursor, "_result", None)
        if not complete and result is not None:
            result.unbuffered_active = False
            cursor.connection = None
        cursor.close()

    def _relations(self, kinds: tuple[str, ...]) -> list[Relation]:
        with self._connection.cursor() as cursor:
            cursor.execute(_TABLES, (kinds,))
            names = [name.decode() for (name,) in cursor.fetchall()]
        return [Relation(name, self.quoted(name)) for name in names]
