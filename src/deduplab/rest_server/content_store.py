"""One database: objects by key, each distinct payload once, in one SQLite file.

Every change is one transaction in a write-ahead log, so a crash leaves what
was acknowledged. Payloads are found by their BLAKE3 and counted by reference.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from deduplab.rest_server.problem import Problem

VARIANTS: Final = ("default", "plain")
MAINTENANCE: Final = ("compact",)
SYNCHRONOUS: Final = {"fsync": "FULL", "interval": "NORMAL", "none": "OFF"}

_SCHEMA: Final = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE objects (key TEXT PRIMARY KEY, content INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE contents (id INTEGER PRIMARY KEY, uses INTEGER NOT NULL, "
    "digest BLOB NOT NULL UNIQUE)",
    # Apart from the number of uses: SQLite would write the payload anew with each copy.
    "CREATE TABLE payloads (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a database was created as; ``marker`` tells whose it is."""

    marker: str
    variant: str = "default"
    durability: str = "fsync"
    content_type: str = "application/octet-stream"

    def document(self) -> dict[str, str]:
        """Return the settings as they are stored and told."""
        return {
            "marker": self.marker,
            "variant": self.variant,
            "durability": self.durability,
            "content_type": self.content_type,
        }


class ContentStore:
    """One open database; any thread may use it, one at a time.

    Parameters
    ----------
    path
        The SQLite file.
    settings
        None opens what is there, else a new database is made.
    """

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            if settings is not None:
                self._make(settings)
            self.settings = self.read_settings()
            self._query(f"PRAGMA synchronous = {SYNCHRONOUS[self.settings.durability]}")
        except BaseException:
            self._connection.close()
            raise

    def _make(self, settings: Settings) -> None:
        self._query("PRAGMA journal_mode = WAL")
        self._query("PRAGMA synchronous = FULL")
        with self._transaction():
            for statement in _SCHEMA:
                self._query(statement)
            self._connection.executemany(
                "INSERT INTO settings VALUES (?, ?)", settings.document().items()
            )

    def read_settings(self) -> Settings:
        """Return the settings as they stand in the file now."""
        return Settings(**dict(self._query("SELECT name, value FROM settings")))

    def put(self, objects: Sequence[tuple[str, bytes]]) -> int:
        """Store new objects, all or none; return their number.

        Raises
        ------
        Problem
            If a key exists, or is given twice.
        """
        with self.lock, self._transaction():
            for key, payload in objects:
                try:
                    self._put(key, payload)
                except sqlite3.IntegrityError as error:
                    raise Problem(
                        409, "object-exists", f"the key {key!r} exists; nothing was stored"
                    ) from error
        return len(objects)

    def _put(self, key: str, payload: bytes) -> None:
        if self.settings.variant == "plain":
            digest = secrets.token_bytes(32)  # so no two contents are alike
        else:
            digest = blake3(payload).digest()
        found = self._query("SELECT id FROM contents WHERE digest = ?", digest)
        if found:
            content = found[0][0]
            self._query("UPDATE contents SET uses = uses + 1 WHERE id = ?", content)
        else:
            cursor = self._connection.execute(
                "INSERT INTO contents (uses, digest) VALUES (1, ?)", (digest,)
            )
            content = cursor.lastrowid
            self._query("INSERT INTO payloads VALUES (?, ?)", content, payload)
        self._query("INSERT INTO objects VALUES (?, ?)", key, content)

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, or None."""
        with self.lock:
            found = self._query(
                "SELECT payload FROM objects JOIN payloads ON id = content WHERE key = ?", key
            )
        payload: bytes | None = found[0][0] if found else None
        return payload

    def delete(self, keys: Iterable[str]) -> int:
        """Delete objects, and contents that no object uses any more; return how many there were."""
        deleted = 0
        with self.lock, self._transaction():
            for key in keys:
                found = self._query("SELECT content FROM objects WHERE key = ?", key)
                if not found:
                    continue
                ((content,),) = found
                self._query("DELETE FROM objects WHERE key = ?", key)
                self._query("UPDATE contents SET uses = uses - 1 WHERE id = ?", content)
                if self._query("SELECT 1 FROM contents WHERE id = ? AND uses = 0", content):
                    self._query("DELETE FROM contents WHERE id = ?", content)
                    self._query("DELETE FROM payloads WHERE id = ?", content)
                deleted += 1
        return deleted

    def truncate(self) -> None:
        """Delete all objects."""
        with self.lock, self._transaction():
            for table in ("objects", "contents", "payloads"):
                self._query(f"DELETE FROM {table}")  # noqa: S608 - the names stand above

    def count(self) -> int:
        """Return the number of objects."""
        with self.lock:
            return int(self._query("SELECT count(*) FROM objects")[0][0])

    def flush(self) -> None:
        """Put everything acknowledged on stable storage, and empty the log."""
        with self.lock:
            self._query("PRAGMA synchronous = FULL")
            try:
                self._checkpoint()
            finally:
                self._query(f"PRAGMA synchronous = {SYNCHRONOUS[self.settings.durability]}")

    def maintain(self, mode: str) -> None:
        """Rewrite the file without its free pages (``compact``).

        Raises
        ------
        Problem
            If there is no such mode.
        """
        if mode not in MAINTENANCE:
            raise Problem(
                422, "not-offered", f"no maintenance {mode!r}; there is: {', '.join(MAINTENANCE)}"
            )
        with self.lock:
            self._query("VACUUM")
            self._checkpoint()

    def component_bytes(self) -> dict[str, int]:
        """Return bytes by component: pages in use, free pages, and the log."""
        with self.lock:
            pages, free, page_bytes = (
                int(self._query(f"PRAGMA {name}")[0][0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        log = self.path.with_name(f"{self.path.name}-wal")
        return {
            "data": (pages - free) * page_bytes,
            "free": free * page_bytes,
            "log": log.stat().st_size if log.exists() else 0,
        }

    def close(self) -> None:
        """Close the file; what is under way ends before."""
        with self.lock:
            self._connection.close()

    def _checkpoint(self) -> None:
        ((busy, _, _),) = self._query("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise Problem(503, "busy", "the log is in use by another process; try again")

    def _query(self, statement: str, *values: object) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._query("BEGIN IMMEDIATE")
        try:
            yield
            self._query("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._query("ROLLBACK")
            raise
