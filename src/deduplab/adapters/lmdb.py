"""LMDB: a copy-on-write B+ tree in one memory-mapped file, by way of py-lmdb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._lmdb_file import META_PAGES, LmdbFile
from deduplab.adapters._marker import Settings
from deduplab.adapters._packed_records import PackedRecords
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, SystemUnavailable
from deduplab.model import Layer, Reading, Ruler
from deduplab.record import Stored
from deduplab.registry import driver_missing, system

if TYPE_CHECKING:
    import lmdb

FILE_NAME: Final = "objects.mdb"
# Errors after which this file or this process can't go on; a fresh instance may.
_UNAVAILABLE: Final = (
    "CorruptedError",
    "InvalidError",
    "LockError",
    "PageNotFoundError",
    "PanicError",
    "ReadersFullError",
    "TlsFullError",
    "VersionMismatchError",
)
_Result = TypeVar("_Result")


class LmdbAdapter(EmbeddedAdapter):
    """One environment in one file, with one B+ tree; all settings LMDB's own but for the variant's.

    Pages are 4 KiB (the operating system's). Some objects share a leaf page
    if two or more fit in; a longer one has overflow pages of its own, rounded up to
    whole pages. Nothing compresses and nothing is merged. There is no log: a
    commit writes new pages beside the old ones, and those are free afterwards.

    The memory map bounds the file. It begins with 64 MiB and is doubled when it
    is full (``set_mapsize``), as LMDB's documentation asks of its user: that is
    under the clock, and happens log2(n) times. Values in the layout native are
    MessagePack (see :mod:`deduplab.adapters._packed_records`).
    """

    product = "lmdb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "pages written by write(2)"),
            Variant("writemap", "pages written through the map; the file is sparse"),
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("compact",),
        background_work=False,
    )
    file_components = (*METADATA_COMPONENTS, ("*-lock", "metadata"), ("*.new", "temporary"))

    def __init__(self) -> None:
        super().__init__()
        self._driver: Any = None
        self._file: LmdbFile | None = None
        self._packed = PackedRecords()

    def put(self, key: str, payload: Stored) -> None:
        """Put one object in a transaction of its own, if its key is new."""
        name, value = key.encode(), self._packed.value(payload)

        def write(transaction: lmdb.Transaction) -> bool:
            return transaction.put(name, value, overwrite=False)

        if not self._write(f"put of {key!r}", write):
            raise self._exists(key)

    def put_many(self, batch: Batch) -> int:
        """Put a batch by ``cursor.putmulti`` in one transaction; all of it, or nothing."""
        names = list(map(str.encode, batch.keys))
        what = f"put of {len(names)} objects"

        def write(transaction: lmdb.Transaction) -> int:
            cursor = transaction.cursor()
            items = zip(names, self._packed.values(batch), strict=True)
            _, added = cursor.putmulti(items, overwrite=False)
            if added != len(names):
                raise self._failed(
                    what,
                    f"the keys of {len(names) - added} exist; an object is never replaced",
                )
            return int(added)

        self._do(what, lambda file: file.make_room(len(batch), batch.logical_bytes))
        return self._write(what, write)

    def get(self, key: str) -> Stored | None:
        """Return the payload or record of a key, or None if there is no such key."""
        file = self._opened()
        try:
            value = file.read(key.encode())
        except self._driver.BadValsizeError:
            return None  # a key that can't have been put
        except self._driver.Error as error:
            raise self._translated(f"get of {key!r}", error) from error
        return self._packed.stored(value)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these keys in one transaction."""
        names = [key.encode() for key in keys if key]  # an empty one can't have been put

        def write(transaction: lmdb.Transaction) -> int:
            return sum(map(transaction.delete, names))

        return self._write(f"delete of {len(keys)} objects", write)

    def count(self) -> int:
        """Return the number of entries that LMDB keeps in its meta page."""
        return self._opened().stat()["entries"]

    def flush(self) -> None:
        """Sync the file, whatever the durability; there is no log to trim."""
        self._do("sync", LmdbFile.sync)

    def reclaim(self, mode: str) -> None:
        """Copy the live pages into a new file in order, and put it in the old one's place.

        This is LMDB's own way (``mdb_copy -c``): a file never becomes shorter. The
        new file is synced before its name replaces the old one, so a crash
        leaves either.
        """
        self._check_reclaim(mode)
        settings = self._entered()
        try:
            self._do("compaction", LmdbFile.replace_by_compact_copy)
        except OSError as error:
            raise self._failed("compaction", error) from error
        self._attach(self._directory(settings.namespace).path, settings)

    def engine_reading(self) -> Reading:
        """Return the pages of the file that were ever used, by what they hold now.

        ``data`` are leaf and overflow pages, ``index`` branch pages, ``metadata`` the
        two meta pages; ``free`` is the rest: pages that may be used again, and the
        few that list them. The unused end of a map is not in it.
        """
        file = self._opened()
        stat = file.stat()
        page_bytes = stat["psize"]
        components = {
            "data": (stat["leaf_pages"] + stat["overflow_pages"]) * page_bytes,
            "index": stat["branch_pages"] * page_bytes,
            "metadata": META_PAGES * page_bytes,
        }
        used_bytes = file.used_pages * page_bytes
        components["free"] = used_bytes - sum(components.values())
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=used_bytes,
            source="lmdb: mdb_env_info, mdb_stat",
            at_unix_ns=now_unix_ns(),
            components=components,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return nothing: LMDB has no threads of its own."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Return the pages ever used, transactions committed, and entries."""
        file = self._opened()
        return {
            "used_pages": file.used_pages,
            "transactions": file.transactions,
            "entries": self.count(),
        }

    def _configuration(self) -> dict[str, str]:
        return self._file.settings() if self._file is not None else {}

    def _load_driver(self) -> None:
        try:
            import lmdb
        except ImportError as error:
            raise driver_missing(system(self.product), error) from error
        self._driver = lmdb

    def _version(self) -> str:
        if self._driver is None:
            return "unknown until the driver is loaded"
        return ".".join(map(str, self._driver.version()))

    def _attach(self, directory: Path, settings: Settings) -> None:
        self._packed = PackedRecords.of(settings.layout)
        self._file = LmdbFile(
            self._driver,
            directory / FILE_NAME,
            variant=settings.variant,
            durability=settings.durability,
        )

    def _detach(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _truncate(self) -> None:
        self._do("truncate", LmdbFile.truncate)

    def _write(self, what: str, work: Callable[[lmdb.Transaction], _Result]) -> _Result:
        file = self._opened()
        try:
            return file.write(work)
        except self._driver.Error as error:
            raise self._translated(what, error) from error

    def _do(self, what: str, work: Callable[[LmdbFile], object]) -> None:
        file = self._opened()
        try:
            work(file)
        except self._driver.Error as error:
            raise self._translated(what, error) from error

    def _opened(self) -> LmdbFile:
        if self._file is None:
            raise self._not_entered()
        return self._file

    def _translated(self, what: str, error: Exception) -> DeduplabError:
        if type(error).__name__ in _UNAVAILABLE:
            return SystemUnavailable(f"lmdb: {what}: {error}")
        if isinstance(error, self._driver.BadValsizeError):
            longest = self._opened().longest_key_bytes
            return self._failed(what, f"a key has 1 to {longest} bytes; choose other keys")
        return self._failed(what, error)
