"""SQLite: one table in one file, in WAL mode."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._marker import MarkedDirectory, Settings
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable
from deduplab.model import Layer, Reading, Ruler

FILE_NAME: Final = "objects.sqlite"
_PAGE_BYTES: Final = {"default": 4096, "page-64k": 65536}
# In WAL mode FULL syncs the log at every commit, NORMAL at checkpoints only, OFF never
# (https://www.sqlite.org/pragma.html#pragma_synchronous).
_SYNCHRONOUS: Final = {"fsync": 2, "interval": 1, "none": 0}
_CREATE: Final = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, payload BLOB NOT NULL)"
_INSERT: Final = "INSERT INTO objects VALUES (?, ?)"
_TRANSIENT: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN")


class SqliteAdapter(EmbeddedAdapter):
    """One rowid table with a unique index on the key, as most users would make it.

    (A table WITHOUT ROWID would keep payloads inside the index's B-tree, which
    the vendor advises against for rows beyond a twentieth of a page.) The log
    is WAL, with the vendor's default of a checkpoint every 1000 pages; a flush
    checkpoints and truncates it. Deleted pages stay in the file until VACUUM.
    """

    product = "sqlite"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "WAL, pages of 4 KiB"),
            Variant("page-64k", "WAL, pages of 64 KiB"),
        ),
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("vacuum",),
        background_work=False,
    )
    file_components = (*METADATA_COMPONENTS, ("*-wal", "wal"), ("*-shm", "temporary"))

    def __init__(self) -> None:
        super().__init__()
        self._connection: sqlite3.Connection | None = None

    def put(self, key: str, payload: bytes) -> None:
        """Insert one row in a transaction of its own."""
        try:
            self._opened().execute(_INSERT, (key, payload))
        except sqlite3.IntegrityError as error:
            raise self._exists(key) from error
        except sqlite3.Error as error:
            raise self._translated(f"put of {key!r}", error) from error

    def put_many(self, batch: Batch) -> int:
        """Insert a batch by one prepared statement in one transaction."""
        connection = self._opened()
        rows = zip(batch.keys, batch.payloads, strict=True)
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                inserted = cursor.executemany(_INSERT, rows).rowcount
                cursor.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            raise self._translated(f"put of {len(batch)} objects", error) from error
        return inserted

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, or None if there is no such row."""
        try:
            row = (
                self._opened()
                .execute("SELECT payload FROM objects WHERE key = ?", (key,))
                .fetchone()
            )
        except sqlite3.Error as error:
            raise self._translated(f"get of {key!r}", error) from error
        return None if row is None else row[0]

    def delete(self, keys: Sequence[str]) -> int:
        """Delete rows by one prepared statement in one transaction."""
        connection = self._opened()
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.executemany("DELETE FROM objects WHERE key = ?", ((key,) for key in keys))
                deleted = cursor.rowcount
                cursor.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            raise self._translated(f"delete of {len(keys)} objects", error) from error
        return max(deleted, 0)

    def count(self) -> int:
        """Return ``count(*)`` of the table."""
        return self._number("SELECT count(*) FROM objects")

    def flush(self) -> None:
        """Checkpoint the log into the database file, synced, and truncate the log."""
        durability = self._entered().durability
        self._run("PRAGMA synchronous = 2")  # a flush syncs, whatever a commit does
        busy = self._number("PRAGMA wal_checkpoint(TRUNCATE)")
        self._run(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        if busy:
            raise self._failed("flush", "the checkpoint was held up by a reader or writer")

    def reclaim(self, mode: str) -> None:
        """Run ``VACUUM`` (it rewrites the file through the log), then checkpoint."""
        self._check_reclaim(mode)
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
            "SELECT name = 'objects', sum(pgsize) FROM dbstat WHERE aggregate = TRUE"
            " AND name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'objects') GROUP BY 1"
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
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            for statement in (
                f"PRAGMA page_size = {_PAGE_BYTES[settings.variant]}",
                "PRAGMA journal_mode = WAL",
                f"PRAGMA synchronous = {level}",
                _CREATE,
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
        self._run("DELETE FROM objects")  # without a WHERE: SQLite's truncate optimisation

    def _drop(self, directory: MarkedDirectory, settings: Settings) -> None:
        directory.check()
        self._run("DROP TABLE objects")
        self._run(_CREATE)

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

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def _translated(self, what: str, error: sqlite3.Error) -> DeduplabError:
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, sqlite3.OperationalError) and name.startswith(_TRANSIENT):
            return SystemUnavailable(f"sqlite: {what}: {error} ({name})")
        failed: OperationFailed = self._failed(what, error)
        return failed
