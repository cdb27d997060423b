"""The databases of one instance: a directory with one file each, made and dropped by name."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from pathlib import Path
from typing import Final

from deduplab.rest_server.content_store import SYNCHRONOUS, VARIANTS, ContentStore, Settings
from deduplab.rest_server.problem import Problem, malformed

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{2,62}")
_SUFFIX: Final = ".sqlite"


class Catalogue:
    """All databases below one directory.

    Parameters
    ----------
    directory
        Made if need be. Its file ``instance`` holds the identity, written once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._open: dict[str, ContentStore] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self.instance = _identity(directory / "instance")

    def create(self, name: str, settings: Settings) -> Settings:
        """Make a database; return the settings in force.

        Raises
        ------
        Problem
            If the name is not allowed or taken, or a setting is not offered.
        """
        if not settings.marker:
            raise malformed("a database needs a marker")
        for what, wanted, offered in (
            ("variant", settings.variant, VARIANTS),
            ("durability", settings.durability, tuple(SYNCHRONOUS)),
        ):
            if wanted not in offered:
                raise Problem(
                    422, "not-offered", f"no {what} {wanted!r}; there is: {', '.join(offered)}"
                )
        path = self._path(name)
        with self._lock:
            if path.exists():
                raise Problem(409, "database-exists", f"the database {name!r} exists")
            aside = path.with_suffix(".new")
            _unlink(aside)  # of a creation that was cut off
            ContentStore(aside, settings).close()
            aside.rename(path)
            _sync(self._directory)
            self._open[name] = ContentStore(path)
            return self._open[name].settings

    def drop(self, name: str, marker: str) -> None:
        """Drop a database that bears this marker.

        Raises
        ------
        Problem
            If there is none, or its marker is another one.
        """
        store = self.get(name)
        with self._lock:
            with store.lock:
                found = store.read_settings().marker
            if found != marker:
                raise Problem(
                    409, "marker-differs", f"the database {name!r} bears another marker; it stays"
                )
            store.close()
            self._open.pop(name, None)
            _unlink(store.path)
            _sync(self._directory)

    def get(self, name: str) -> ContentStore:
        """Return a database.

        Raises
        ------
        Problem
            If there is none of that name.
        """
        path = self._path(name)
        with self._lock:
            if name not in self._open:
                if not path.exists():
                    raise Problem(404, "no-database", f"there is no database {name!r}")
                self._open[name] = ContentStore(path)
            return self._open[name]

    def close(self) -> None:
        """Close all databases; their logs are checkpointed."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise malformed(
                f"{name!r} is no name of a database: 3 to 63 of a-z, 0-9, _ and -, a letter first"
            )
        return self._directory / f"{name}{_SUFFIX}"


def _identity(path: Path) -> str:
    with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(secrets.token_hex(8))
        file.flush()
        os.fsync(file.fileno())
        _sync(path.parent)
    return path.read_text(encoding="ascii")


def _unlink(path: Path) -> None:
    """Remove a database's file, and the log and its index that SQLite may have left beside it."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
