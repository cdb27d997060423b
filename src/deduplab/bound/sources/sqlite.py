"""SQLite files by table, opened so that nothing is ever written, not even beside them.

A value's bytes: an integer or a real number as 8 bytes little-endian, text as the
file's encoding gives it in UTF-8, a blob as it is.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from deduplab.bound.sources.base import words_of
from deduplab.bound.sources.row_packer import RowPacker
from deduplab.bound.sources.sql import Relation, Session, SqlFileSource
from deduplab.bound.sources.table import TableOptions
from deduplab.bound.sources.watched import watched
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError

_INTEGER = struct.Struct("<q")
_REAL = struct.Struct("<d")
_ROWS_AT_ONCE = 256
_WITH_DATA = (
    "(type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%')"
)


class SqliteSource(SqlFileSource):
    """Tables of a SQLite file.

    It is opened as immutable: no lock is taken, no ``-wal`` or ``-shm`` file
    made. A file with a rollback journal or a write-ahead log that holds
    something is refused, for its last state can't be read without writing.
    """

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open the file.

        Raises
        ------
        DatasetError
            If it can't be opened, or something lies in its journal or log.
        """
        with watched(self, self.path):
            self._refuse_unfinished()
            uri = f"file:{quote(os.path.realpath(self.path))}?mode=ro&immutable=1"
            try:
                connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            except sqlite3.Error as error:
                raise DatasetError(f"{self.path!r} can't be opened: {words_of(error)}") from error
            with closing(connection):
                connection.text_factory = bytes
                yield _SqliteSession(connection)
            self._refuse_unfinished(after=True)

    def _refuse_unfinished(self, *, after: bool = False) -> None:
        for suffix, what in (("-wal", "write-ahead log"), ("-journal", "rollback journal")):
            try:
                length_bytes = os.stat(self.path + suffix).st_size  # noqa: PTH116
            except OSError:
                continue
            if not length_bytes:
                continue
            if after:
                self.leave_out(self.name, f"got a {what} while it was read: it was written to")
                return
            raise DatasetError(
                f"{self.path!r} has a {what} of {length_bytes} bytes beside it, which can't be "
                "read without writing: end the program that uses the file (or run 'PRAGMA "
                "wal_checkpoint(TRUNCATE)' in it), or scan a copy of both; nothing is counted"
            )


class _SqliteSession(Session):
    # The last one where a message of SQLite names something in the file that is no UTF-8.
    errors = (sqlite3.Error, OverflowError, UnicodeDecodeError)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tables(self) -> list[Relation]:
        return self._relations(_WITH_DATA)

    def nameable(self) -> list[Relation]:
        return self._relations(f"{_WITH_DATA} OR type = 'view'")

    def _relations(self, which: str) -> list[Relation]:
        found = self._connection.execute(
            f"SELECT name FROM sqlite_master WHERE {which} ORDER BY name"  # noqa: S608 - our own
        )
        names = [name.decode("utf-8", "backslashreplace") for (name,) in found]
        return [Relation(name, self.quoted(name)) for name in names]

    def columns(self, relation: Relation) -> list[str]:
        cursor = self._connection.execute(f"SELECT * FROM {relation.text} LIMIT 0")  # noqa: S608
        return [column[0] for column in cursor.description]

    def blocks(
        self, statement: str, columns: list[str], options: TableOptions, prefix: str
    ) -> Iterator[Block]:
        packer = RowPacker([prefix + name for name in columns], options)
        cursor = self._connection.execute(statement)
        try:
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                for row in rows:
                    packer.add([v if type(v) is bytes else _number_bytes(v) for v in row])
                if packer.full:
                    yield from packer.hand_out()
        except self.errors:
            yield from packer.last()  # what came before the error counts
            raise
        finally:
            self.rows = packer.count
            cursor.close()
        yield from packer.last()


def _number_bytes(value: int | float | None) -> bytes | None:
    if value is None:
        return None
    return _INTEGER.pack(value) if isinstance(value, int) else _REAL.pack(value)
