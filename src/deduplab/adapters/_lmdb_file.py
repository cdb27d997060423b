"""One open LMDB file: its settings as read back, transactions in a map that grows, and a copy.

Driver errors pass through; the adapter has the table that translates them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from deduplab.adapters._marker import sync_directory
from deduplab.errors import SystemUnavailable
from deduplab.units import MIB

if TYPE_CHECKING:
    import lmdb

FIRST_MAP_BYTES: Final = 64 * MIB
META_PAGES: Final = 2
_WRITEMAP: Final = {"default": False, "writemap": True}
# What a commit syncs: the pages, and the meta page that makes them the newest state.
_SYNC: Final = {
    "fsync": {"sync": True, "metasync": True},
    "interval": {"sync": True, "metasync": False},
    "none": {"sync": False, "metasync": True},
}
_TOLD: Final = ("sync", "metasync", "writemap", "map_async", "meminit", "readahead")

_Result = TypeVar("_Result")


class LmdbFile:
    """An environment of one file with one tree.

    Parameters
    ----------
    driver
        The module ``lmdb``.
    path
        The file; made where there is none.
    variant, durability
        As the adapter offers them.

    Raises
    ------
    SystemUnavailable
        If it can't be opened, or not with these settings.
    """

    def __init__(self, driver: Any, path: Path, *, variant: str, durability: str) -> None:
        self._driver = driver
        self._path = path
        wanted = {**_SYNC[durability], "writemap": _WRITEMAP[variant]}
        try:
            self._environment: lmdb.Environment = driver.open(
                str(path), subdir=False, map_size=_map_bytes(path), mode=0o600, **wanted
            )
        except driver.Error as error:
            raise SystemUnavailable(f"lmdb: {path} can't be opened: {error}") from error
        found = {name: value for name, value in self._flags().items() if name in wanted}
        if found != wanted:
            self.close()
            raise SystemUnavailable(f"lmdb: flags were to be {wanted}, but are {found}")
        sync_directory(path.parent)  # LMDB syncs its file, but not its name

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._environment.close()

    def read(self, name: bytes) -> bytes | None:
        """Return the value of a key, copied, or None."""
        with self._environment.begin() as transaction:
            value: bytes | None = transaction.get(name)
        return value

    def write(self, work: Callable[[lmdb.Transaction], _Result]) -> _Result:
        """Do work in one transaction and commit it; anew in a larger map if it was full."""
        while True:
            transaction = self._environment.begin(write=True)
            try:
                result = work(transaction)
                transaction.commit()
            except self._driver.MapFullError:
                transaction.abort()
                self._environment.set_mapsize(2 * self.map_bytes)
            except BaseException:
                transaction.abort()
                raise
            else:
                return result

    def make_room(self, objects: int, logical_bytes: int) -> None:
        """Grow the map so that a batch fits in, which then is not written twice.

        Reserved are twice its bytes and three pages an object, which is more than leaf
        and overflow pages, rounding and split pages can take.
        """
        page_bytes = self.stat()["psize"]
        needed = (self.used_pages + 3 * objects) * page_bytes + 2 * logical_bytes
        wanted = self.map_bytes
        while wanted < needed:
            wanted *= 2
        if wanted > self.map_bytes:
            self._environment.set_mapsize(wanted)

    def truncate(self) -> None:
        """Delete all objects by ``mdb_drop``, which keeps the tree."""
        tree = self._environment.open_db()
        self.write(lambda transaction: transaction.drop(tree, delete=False))

    def sync(self) -> None:
        """Sync the file, whatever the durability."""
        self._environment.sync(True)

    def replace_by_compact_copy(self) -> None:
        """Copy the live pages in order, and give the copy this file's name; closes the file.

        The copy is synced before, so a crash leaves either.
        """
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)  # of a copy that was cut off
        self._environment.copy(str(fresh), compact=True)
        _make_durable(fresh)
        self.close()
        fresh.replace(self._path)
        sync_directory(self._path.parent)

    def stat(self) -> Mapping[str, int]:
        """Return page size, pages by kind, depth and entries of the tree."""
        return cast("Mapping[str, int]", self._environment.stat())

    @property
    def used_pages(self) -> int:
        """Pages of the file that were ever used; beyond them it is empty."""
        return self._environment.info()["last_pgno"] + 1

    @property
    def transactions(self) -> int:
        """Write transactions that were committed since the file was made."""
        return self._environment.info()["last_txnid"]

    @property
    def map_bytes(self) -> int:
        """The map's length, which bounds the file."""
        return self._environment.info()["map_size"]

    @property
    def longest_key_bytes(self) -> int:
        """The length of the longest key, as the library was compiled."""
        return self._environment.max_key_size()

    def settings(self) -> dict[str, str]:
        """Return the flags in force and the page size, in words."""
        flags = self._flags()
        told = {name: str(flags[name]).lower() for name in _TOLD}
        return told | {"page_size": str(self.stat()["psize"])}

    def _flags(self) -> dict[str, object]:
        return {**self._environment.flags()}


def _map_bytes(path: Path) -> int:
    """Return the map to begin with: 64 MiB, doubled until the file fits in."""
    file_bytes = path.stat().st_size if path.exists() else 0
    map_bytes = FIRST_MAP_BYTES
    while map_bytes < file_bytes:
        map_bytes *= 2
    return map_bytes


def _make_durable(path: Path) -> None:
    """Sync a copy, which LMDB leaves to its user, and close it to others like the original."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
