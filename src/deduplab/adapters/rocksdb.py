"""RocksDB: a log-structured merge tree, by way of rocksdict in its raw mode (bytes to bytes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._marker import Settings
from deduplab.adapters._packed_records import PackedRecords
from deduplab.batch import Batch
from deduplab.errors import SystemUnavailable
from deduplab.model import Layer, Reading, Ruler
from deduplab.record import Stored
from deduplab.registry import driver_missing, system

DIRECTORY_NAME: Final = "db"
# Of each variant: the compression as RocksDB's options file writes it, the name of the
# driver's constant (None: not set, so the library's own default), and bytes a block.
_VARIANTS: Final = {
    "default": ("kSnappyCompression", None, 4096),
    "zstd": ("kZSTD", "zstd", 4096),
    "zstd-64k": ("kZSTD", "zstd", 65536),
    "none": ("kNoCompression", "none", 4096),
}
_IDLE: Final = {
    "running_compactions": "rocksdb.num-running-compactions",
    "running_flushes": "rocksdb.num-running-flushes",
    "pending_compaction": "rocksdb.compaction-pending",
    "pending_flush": "rocksdb.mem-table-flush-pending",
}
_COUNTERS: Final = {
    "sst_bytes": "rocksdb.total-sst-files-size",
    "live_sst_bytes": "rocksdb.live-sst-files-size",
    "memtable_bytes": "rocksdb.cur-size-all-mem-tables",
    "pending_compaction_bytes": "rocksdb.estimate-pending-compaction-bytes",
}
_FIRST_KEY: Final = b""
_AFTER_LAST_KEY: Final = b"\x80"  # keys are ASCII


class RocksdbAdapter(EmbeddedAdapter):
    """One database with one column family, all options the library's own but for the variant's.

    RocksDB compresses block by block and closes a block (4 KiB by default)
    once it is full, so an object longer than a block is compressed alone, and
    only ``zstd-64k`` can span neighbours of 8 KiB. Writes are blind: ``put``
    asks for the key first, because an existing key is an error; ``put_many``
    and ``delete`` do not, as nobody's bulk load would.

    Values have no types here, so a user serialises records: in the layout native
    a value is MessagePack (see :mod:`deduplab.adapters._packed_records`).
    """

    product = "rocksdb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "the library's default: Snappy, blocks of 4 KiB"),
            Variant("zstd", "zstd, blocks of 4 KiB"),
            Variant("zstd-64k", "zstd, blocks of 64 KiB"),
            Variant("none", "no compression"),
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("compact",),
        background_work=True,
    )
    file_components = (
        *METADATA_COMPONENTS,
        ("*.sst", "data"),
        ("*.log", "wal"),
        (f"*/{DIRECTORY_NAME}/*", "metadata"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._driver: Any = None
        self._database: Any = None
        self._write_options: Any = None
        self._options: dict[str, str] = {}
        self._packed = PackedRecords()

    def put(self, key: str, payload: Stored) -> None:
        """Write one key, if it is new."""
        database = self._opened()
        name = key.encode("ascii")
        value = self._packed.value(payload)
        try:
            exists = database.key_may_exist(name) and name in database
            if not exists:
                database.put(name, value, self._write_options)
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed(f"put of {key!r}", error) from error
        if exists:
            raise self._exists(key)

    def put_many(self, batch: Batch) -> int:
        """Write one WriteBatch, which is atomic; an existing key would be replaced."""
        database = self._opened()
        writes = self._driver.WriteBatch(raw_mode=True)
        put = writes.put
        for name, value in zip(
            map(str.encode, batch.keys), self._packed.values(batch), strict=True
        ):
            put(name, value)
        written = len(writes)
        try:
            database.write(writes, self._write_options)
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed(f"put of {len(batch)} objects", error) from error
        return int(written)

    def get(self, key: str) -> Stored | None:
        """Return the payload or record of a key, or None if there is no such key."""
        try:
            value: bytes | None = self._opened().get(key.encode("ascii"))
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed(f"get of {key!r}", error) from error
        return self._packed.stored(value)

    def delete(self, keys: Sequence[str]) -> int:
        """Write tombstones in one WriteBatch; a key need not exist."""
        database = self._opened()
        writes = self._driver.WriteBatch(raw_mode=True)
        for key in keys:
            writes.delete(key.encode("ascii"))
        try:
            database.write(writes, self._write_options)
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed(f"delete of {len(keys)} objects", error) from error
        return len(keys)

    def count(self) -> int:
        """Return the number of keys, by a scan: RocksDB itself only estimates."""
        keys = self._opened().keys()
        return sum(1 for _ in keys)

    def flush(self) -> None:
        """Write the memtable to a sorted file, which makes the log before it obsolete."""
        try:
            self._opened().flush()
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed("flush", error) from error

    def reclaim(self, mode: str) -> None:
        """Compact the whole key range down to the bottommost level, even what is there already."""
        self._check_reclaim(mode)
        options = self._driver.CompactOptions()
        options.set_bottommost_level_compaction(self._driver.BottommostLevelCompaction.force())
        database = self._opened()
        try:
            database.flush()
            database.compact_range(None, None, options)
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed("compaction", error) from error

    def engine_reading(self) -> Reading:
        """Return the sorted files' sizes; log and memtable are not in it.

        ``obsolete`` are files that no version of the tree refers to, but that
        are not removed yet.
        """
        total = self._property("rocksdb.total-sst-files-size")
        live = min(self._property("rocksdb.live-sst-files-size"), total)
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=total,
            source="rocksdb: total-sst-files-size, live-sst-files-size",
            at_unix_ns=now_unix_ns(),
            components={"data": live, "obsolete": total - live},
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return the numbers of flushes and compactions, running and pending."""
        return {name: self._property(source) for name, source in _IDLE.items()}

    def counters(self) -> Mapping[str, int]:
        """Return sizes of files and memtables in bytes."""
        return {name: self._property(source) for name, source in _COUNTERS.items()}

    def _configuration(self) -> dict[str, str]:
        names = ("compression", "block_size", "write_buffer_size", "use_fsync", "allow_fallocate")
        return {name: self._options[name] for name in names if name in self._options}

    def _load_driver(self) -> None:
        try:
            import rocksdict
        except ImportError as error:
            raise driver_missing(system(self.product), error) from error
        self._driver = rocksdict

    def _version(self) -> str:
        return self._options.get("rocksdb_version", "unknown until a namespace is entered")

    def _attach(self, directory: Path, settings: Settings) -> None:
        path = directory / DIRECTORY_NAME
        self._packed = PackedRecords.of(settings.layout)
        expected, name, block_bytes = _VARIANTS[settings.variant]
        options = self._driver.Options(raw_mode=True)
        options.create_if_missing(True)
        if name is not None:
            options.set_compression_type(getattr(self._driver.DBCompressionType, name)())
        if block_bytes != 4096:
            table = self._driver.BlockBasedOptions()
            table.set_block_size(block_bytes)
            options.set_block_based_table_factory(table)
        self._write_options = self._driver.WriteOptions()
        self._write_options.sync = settings.durability == "fsync"
        self._write_options.disable_wal = settings.durability == "none"
        try:
            self._database = self._driver.Rdict(str(path), options)
        except Exception as error:  # the driver raises nothing more exact
            raise SystemUnavailable(f"rocksdb: {path} can't be opened: {error}") from error
        self._options = _options_in_force(path)
        found = self._options.get("compression"), self._options.get("block_size")
        if found != (expected, str(block_bytes)):
            raise SystemUnavailable(
                f"rocksdb: compression and block size were to be {(expected, block_bytes)} "
                f"but RocksDB's own options file says {found}"
            )

    def _detach(self) -> None:
        # Given up first: one whose disk is full fails to close, and is closed nevertheless.
        database, self._database = self._database, None
        if database is None:
            return
        try:
            database.close()
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed("close", error) from error

    def _truncate(self) -> None:
        try:
            self._opened().delete_range(_FIRST_KEY, _AFTER_LAST_KEY, self._write_options)
        except Exception as error:  # the driver raises nothing more exact
            raise self._failed("delete of the whole range", error) from error

    def _opened(self) -> Any:
        if self._database is None:
            raise self._not_entered()
        return self._database

    def _property(self, name: str) -> int:
        value = self._opened().property_int_value(name)
        if value is None:
            raise self._failed(f"property {name}", "this RocksDB does not have it")
        return int(value)


def _options_in_force(path: Path) -> dict[str, str]:
    """Return what RocksDB wrote down of its options: the driver can set them, but not tell them."""
    newest = max(path.glob("OPTIONS-*"))
    pairs = (line.split("=", 1) for line in newest.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
