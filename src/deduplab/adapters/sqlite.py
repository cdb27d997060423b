"""SQLite: one file in WAL mode, with one table, or two in the variant unique-content."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MarkedDirectory, Settings
from deduplab.adapters._row_hash import row_hash
from deduplab.adapters._sql_tables import UNIQUE_CONTENT
from deduplab.adapters._sqlite_rows import rows_of
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable
from deduplab.model import Layer, Reading, Ruler
from deduplab.record import Stored

FILE_NAME: Final = "objects.sqlite"
_PAGE_BYTES: Final = {"default": 4096, "page-64k": 65536, UNIQUE_CONTENT.name: 4096}
# In WAL mode FULL syncs the log at every commit, NORMAL at checkpoints only, OFF never
# (https://www.sqlite.org/pragma.html#pragma_synchronous).
_SYNCHRONOUS: Final = {"fsync": 2, "interval": 1, "none": 0}
_TRANSIENT: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN")


class SqliteAdapter(EmbeddedAdapter):
    """One rowid table with a unique index on the key, as most users would make it.

    (A table WITHOUT ROWID would keep payloads inside the index's B-tree, which
    the vendor advises against for rows beyond a twentieth of a page.) The log
    is WAL, with the vendor's default of a checkpoint every 1000 pages; a flush
    checkpoints and truncates it. Deleted pages stay in the file until VACUUM.
    Column types, and what ``unique-content`` does, are told in docs/systems/sqlite.md.
    """

    product = "sqlite"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "WAL, pages of 4 KiB"),
            Variant("page-64k", "WAL, pages of 64 KiB"),
            UNIQUE_CONTENT,
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("vacuum",),
        background_work=False,
    )
    file_components = (*METADATA_COMPONENTS, ("*-wal", "wal"), ("*-shm", "temporary"))

    def __init__(self) -> None:
        super().__init__()
        self._connection: sqlite3.Connection | None = None
        self._rows = rows_of("default", Layout())

    def put(self, key: str, payload: Stored) -> None:
        """Insert one object by prepared statements in a transaction of its own."""
        rows = self._rows
        row = rows.written(rows.layout.row(payload))
        what = f"put of {key!r}"
        try:
            if rows.insert_content is None:
                self._opened().execute(rows.insert, (key, *row))
                return
            with self._transaction() as cursor:
                content_hash = row_hash(row)
                cursor.execute(rows.insert_content, (content_hash, *row))
                cursor.execute(rows.insert, (key, content_hash))
        except sqlite3.IntegrityError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_PRIMARYKEY":
                raise self._exists(key) from error
            raise self._translated(what, error) from error
        except sqlite3.Error as error:
            raise self._translated(what, error) from error

    def put_many(self, batch: Batch) -> int:
        """Insert a batch by prepared statements in one transaction."""
        rows = self._rows
        columns = rows.written.columns(rows.layout.columns(batch))
        what = f"put of {len(batch)} objects"
        try:
            with self._transaction() as cursor:
                if rows.insert_content is not None:
                    hashes = list(map(row_hash, zip(*columns, strict=True)))
                    contents = zip(hashes, *columns, strict=True)
                    cursor.executemany(rows.insert_content, contents)
                    columns = [hashes]
                objects = zip(batch.keys, *columns, strict=True)
                return cursor.executemany(rows.insert, objects).rowcount
        except sqlite3.Error as error:
            raise self._translated(what, error) from error

    def get(self, key: str) -> Stored | None:
        """Return the payload or record of a key, or None if there is no such row."""
        try:
            row = self._opened().execute(self._rows.tables.select, (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._translated(f"get of {key!r}", error) from error
        return None if row is None else self._rows.stored(row)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete rows by one prepared statement in one transaction."""
        what = f"delete of {len(keys)} objects"
        try:
            with self._transaction() as cursor:
                cursor.executemany("DELETE FROM objects WHERE key = ?", ((key,) for key in keys))
                return max(cursor.rowcount, 0)
        except sqlite3.Error as error:
            raise self._translated(what, error) from error

    def count(self) -> int:
        """Return ``count(*)`` of the objects (whose content is there)."""
        return self._number(self._rows.tables.count)

    def flush(self) -> None:
        """Checkpoint the log into the database file, synced, and truncate the log."""
        durability = self._entered().durability
        self._run("PRAGMA synchronous = 2")  # a flush syncs, whatever a commit does
        busy = self._number("PRAGMA wal_checkpoint(TRUNCATE)")
        self._run(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        if busy:
            raise self._failed("flush", "the checkpoint was held up by a reader or writer")

    def reclaim(self, mode: str) -> None:
        """Run ``VACUUM`` (it rewrites the file through the log), then checkpoint.

        Contents that no object refers to are deleted before.
        """
        self._check_reclaim(mode)
        if self._rows.tables.sweep is not None:
            self._run(self._rows.tables.sweep)
        self._run("VACUUM")
        self.flush()

    def engine_reading(self) -> Reading:
        """Return all pages of the database, by use; pages still in the log are included once."""
        page_bytes = self._number("PRAGMA page_size")
        total_bytes = self._number("PRAGMA page_count") * page_bytes
        free_bytes = self._number("PRAGMA freelist_count") * page_bytes
        components = {"free": free_bytes}
        try:
            components |= self._pages_by_use()
            source = "dbstat, freelist_count"
        except sqlite3.OperationalError:  # built without the dbstat table
            source = "page_count, freelist_count"
        rest = total_bytes - sum(components.values())
        components["metadata" if "data" in components else "data"] = rest
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=total_bytes,
            source=f"sqlite: {source}",
            at_unix_ns=now_unix_ns(),
            components=components,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return nothing: SQLite works only while it is called."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Return the numbers of pages and of free pages."""
        return {
            "pages": self._number("PRAGMA page_count"),
            "free_pages": self._number("PRAGMA freelist_count"),
        }

    def _pages_by_use(self) -> dict[str, int]:
        rows = self._opened().execute(
            "SELECT name IN ('objects', 'contents'), sum(pgsize) FROM dbstat WHERE aggregate = TRUE"
            " AND name IN (SELECT name FROM sqlite_schema"
            " WHERE tbl_name IN ('objects', 'contents')) GROUP BY 1"
        )
        return {"data" if is_table else "index": int(used) for is_table, used in rows}

    def _configuration(self) -> dict[str, str]:
        if self._connection is None:
            return {}
        names = ("journal_mode", "synchronous", "page_size", "auto_vacuum", "secure_delete")
        return {name: str(self._value(f"PRAGMA {name}")) for name in names}

    def _load_driver(self) -> None:
        return

    def _version(self) -> str:
        return sqlite3.sqlite_version

    def _attach(self, directory: Path, settings: Settings) -> None:
        path = directory / FILE_NAME
        level = _SYNCHRONOUS[settings.durability]
        self._rows = rows_of(settings.variant, settings.layout)
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            for statement in (
                f"PRAGMA page_size = {_PAGE_BYTES[settings.variant]}",
                "PRAGMA journal_mode = WAL",
                f"PRAGMA synchronous = {level}",
                *self._rows.tables.creates,
            ):
                self._connection.execute(statement)
        except sqlite3.Error as error:
            raise SystemUnavailable(f"sqlite: {path} can't be opened: {error}") from error
        wanted = ("wal", level, _PAGE_BYTES[settings.variant])
        names = ("journal_mode", "synchronous", "page_size")
        found = tuple(self._value(f"PRAGMA {name}") for name in names)
        if found != wanted:
            raise SystemUnavailable(
                f"sqlite: {path}: {', '.join(names)} were set to {wanted} but are {found}; "
                "WAL needs a local file system with shared memory"
            )

    def _detach(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _truncate(self) -> None:
        for table in self._rows.tables.columns:
            self._run(f"DELETE FROM {table}")  # noqa: S608  (without a WHERE: it truncates)

    def _drop(self, directory: MarkedDirectory, settings: Settings) -> None:
        directory.check()
        for table in self._rows.tables.columns:
            self._run(f"DROP TABLE {table}")
        for statement in self._rows.tables.creates:
            self._run(statement)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise self._not_entered()
        return self._connection

    def _run(self, statement: str) -> None:
        try:
            self._opened().execute(statement)
        except sqlite3.Error as error:
            raise self._translated(statement, error) from error

    def _value(self, query: str) -> object:
        try:
            row = self._opened().execute(query).fetchone()
        except sqlite3.Error as error:
            raise self._translated(query, error) from error
        return row[0]

    def _number(self, query: str) -> int:
        return int(str(self._value(query)))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor in a transaction, which an error rolls back."""
        connection = self._opened()
        with closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # what went wrong first is what counts
                        connection.execute("ROLLBACK")
                raise

    def _translated(self, what: str, error: sqlite3.Error) -> DeduplabError:
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, sqlite3.OperationalError) and name.startswith(_TRANSIENT):
            return SystemUnavailable(f"sqlite: {what}: {error} ({name})")
        failed: OperationFailed = self._failed(what, error)
        return failed
