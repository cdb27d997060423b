"""DuckDB: one table in one file, columns in compressed row groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._marker import MarkedDirectory, Settings, sync_directory
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, SystemUnavailable, Unsupported
from deduplab.model import Layer, Reading, Ruler
from deduplab.registry import driver_missing, system

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE_NAME: Final = "objects.duckdb"
_COMPRESSION: Final = {"default": "auto", "uncompressed": "uncompressed"}
_FSYNC_MODE: Final = {"fsync": "STANDARD", "none": "NONE"}
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS objects (key VARCHAR PRIMARY KEY, payload BLOB NOT NULL)"
)


class DuckdbAdapter(EmbeddedAdapter):
    """One table with a primary key on the key.

    The primary key costs an index in memory and on disk (130 bytes an object
    were seen with 4000 objects of 8 KiB), but only with it is an existing key
    refused and a key found without a scan.

    A commit writes and syncs the log; payloads are compressed when a
    checkpoint (explicit, or made by a commit once the log exceeds 16 MiB)
    writes column segments. Seen with version 2.0: payloads of up to 8 KiB go
    into segments of a dictionary each (DICT_FSST, one block of 256 KiB), so
    copies are free while they are less than a segment apart and cost in full
    beyond, whatever the batches were; longer ones go into one ZSTD segment a
    row group (122,880 rows), which each checkpoint writes anew, and the blocks
    of the old one stay in the file as free ones.

    The file never shrinks but for free blocks at its end: the vendor's way to
    compact it is a copy into a new file
    (https://duckdb.org/docs/stable/operations_manual/footprint_of_duckdb/reclaiming_space).
    """

    product = "duckdb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "compression chosen by DuckDB for each column segment"),
            Variant("uncompressed", "force_compression = uncompressed"),
        ),
        durability=("fsync", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("checkpoint", "rewrite"),
        background_work=False,
    )
    file_components = (*METADATA_COMPONENTS, ("*.wal", "wal"), ("*.tmp*", "temporary"))

    def __init__(self) -> None:
        super().__init__()
        self._duckdb: Any = None
        self._arrow: Any = None
        self._connection: DuckDBPyConnection | None = None

    def put(self, key: str, payload: bytes) -> None:
        """Insert one row in a transaction of its own."""
        connection = self._opened()
        try:
            connection.execute("INSERT INTO objects VALUES (?, ?)", (key, payload)).fetchall()
        except self._duckdb.ConstraintException as error:
            raise self._exists(key) from error
        except self._duckdb.Error as error:
            raise self._translated(f"put of {key!r}", error) from error

    def put_many(self, batch: Batch) -> int:
        """Insert a batch from Arrow in one transaction, the payloads' buffer not copied."""
        connection = self._opened()
        arrow = self._arrow
        payloads = arrow.Array.from_buffers(
            arrow.large_binary(),
            len(batch.keys),
            [None, arrow.py_buffer(batch.offsets), arrow.py_buffer(batch.data)],
        )
        keys = arrow.array(batch.keys, arrow.string())
        rows = arrow.RecordBatch.from_arrays([keys, payloads], ["key", "payload"])
        try:
            connection.register("batch", arrow.Table.from_batches([rows]))
            try:
                inserted = connection.execute("INSERT INTO objects FROM batch").fetchall()
            finally:
                connection.unregister("batch")  # it would hold the caller's buffer
        except self._duckdb.Error as error:
            raise self._translated(f"put of {len(batch)} objects", error) from error
        return int(inserted[0][0])

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, found by the primary key's index."""
        rows = self._query("SELECT payload FROM objects WHERE key = ?", (key,))
        return bytes(rows[0][0]) if rows else None

    def delete(self, keys: Sequence[str]) -> int:
        """Delete rows by one statement."""
        rows = self._query(
            "DELETE FROM objects WHERE key IN (SELECT unnest(?::VARCHAR[]))", (list(keys),)
        )
        return int(rows[0][0])

    def count(self) -> int:
        """Return ``count(*)`` of the table."""
        return int(self._query("SELECT count(*) FROM objects")[0][0])

    def flush(self) -> None:
        """Checkpoint: write the log's content to the database file and remove the log."""
        durability = self._entered().durability
        self._set_fsync("fsync")  # a flush syncs, whatever a commit does
        self._query("CHECKPOINT")
        self._set_fsync(durability)

    def reclaim(self, mode: str) -> None:
        """Run ``FORCE CHECKPOINT``, or copy the database into a new file and put that in place."""
        self._check_reclaim(mode)
        if mode == "checkpoint":
            self._query("FORCE CHECKPOINT")
        else:
            self._rewrite(self._entered())

    def engine_reading(self) -> Reading:
        """Return the blocks of the database file; the log beside it is not in it.

        ``data`` are the blocks of the two columns, ``metadata`` what else is
        in use: the primary key's index, the catalogue, and the file's header.
        """
        block_bytes, total, used, free = self._query(
            "SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size()"
        )[0]
        (data,) = self._query(
            "SELECT count(DISTINCT block) FROM (SELECT unnest([block_id] || additional_block_ids)"
            " AS block FROM pragma_storage_info('objects') WHERE persistent) WHERE block >= 0"
        )[0]
        components = {
            "data": data * block_bytes,
            "metadata": (used - data) * block_bytes,
            "free": free * block_bytes,
        }
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=total * block_bytes,
            source="duckdb: pragma_database_size, pragma_storage_info",
            at_unix_ns=now_unix_ns(),
            components=components,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return nothing: DuckDB checkpoints inside the commit that makes it necessary."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Return the numbers of blocks and of free blocks."""
        total, free = self._query("SELECT total_blocks, free_blocks FROM pragma_database_size()")[0]
        return {"blocks": total, "free_blocks": free}

    def _configuration(self) -> dict[str, str]:
        if self._connection is None:
            return {}
        names = "fsync_mode", "force_compression", "checkpoint_threshold", "threads"
        rows = self._query(
            "SELECT name, value FROM duckdb_settings() WHERE name IN (SELECT unnest(?))",
            (list(names),),
        )
        (block_bytes,) = self._query("SELECT block_size FROM pragma_database_size()")[0]
        return {name: str(value) for name, value in sorted(rows)} | {"block_size": str(block_bytes)}

    def _load_driver(self) -> None:
        try:
            import duckdb
            import pyarrow
        except ImportError as error:
            raise driver_missing(system(self.product), error) from error
        self._duckdb = duckdb
        self._arrow = pyarrow

    def _version(self) -> str:
        return str(self._duckdb.__version__) if self._duckdb is not None else "unknown"

    def _attach(self, directory: Path, settings: Settings) -> None:
        path = directory / FILE_NAME
        try:
            self._connection = self._duckdb.connect(str(path))
        except self._duckdb.Error as error:
            raise SystemUnavailable(f"duckdb: {path} can't be opened: {error}") from error
        self._query("SET enable_progress_bar = false")  # it would draw on our standard output
        self._set_fsync(settings.durability)
        compression = _COMPRESSION[settings.variant]
        self._query(f"SET force_compression = '{compression}'")
        (found,) = self._query("SELECT current_setting('force_compression')")[0]
        if str(found).lower() != compression:
            raise SystemUnavailable(f"duckdb: force_compression is {found}, not {compression}")
        self._query(_CREATE)
        sync_directory(directory)  # DuckDB syncs its files, but not their names

    def _set_fsync(self, durability: str) -> None:
        """Set whether commits sync. Before version 2 they always do, and there is no setting."""
        query = "SELECT value FROM duckdb_settings() WHERE name = 'fsync_mode'"
        wanted = _FSYNC_MODE[durability]
        if not self._query(query):
            if durability == "fsync":
                return
            raise Unsupported(f"duckdb {self._version()} has no durability {durability!r}")
        self._query(f"SET fsync_mode = '{wanted}'")
        found = self._query(query)[0][0]
        if found != wanted:
            raise SystemUnavailable(f"duckdb: fsync_mode was set to {wanted} but is {found}")

    def _detach(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _truncate(self) -> None:
        self._query("TRUNCATE objects")

    def _drop(self, directory: MarkedDirectory, settings: Settings) -> None:
        directory.check()
        self._query("DROP TABLE objects")
        self._query(_CREATE)

    def _rewrite(self, settings: Settings) -> None:
        directory = self._directory(settings.namespace).path
        path, fresh = directory / FILE_NAME, directory / f"{FILE_NAME}.new"
        fresh.unlink(missing_ok=True)
        self._query("CHECKPOINT")
        (name,) = self._query("SELECT current_database()")[0]
        quoted = str(fresh).replace("'", "''")
        self._query(f"ATTACH '{quoted}' AS fresh")
        self._query(f'COPY FROM DATABASE "{name}" TO fresh')
        self._query("CHECKPOINT fresh")
        self._query("DETACH fresh")
        self._detach()
        fresh.replace(path)
        sync_directory(directory)
        self._attach(directory, settings)

    def _opened(self) -> DuckDBPyConnection:
        if self._connection is None:
            raise self._not_entered()
        return self._connection

    def _query(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and fetch all of it: an unfetched result blocks the connection."""
        connection = self._opened()
        try:
            return connection.execute(statement, parameters).fetchall()
        except self._duckdb.Error as error:
            raise self._translated(statement, error) from error

    def _translated(self, what: str, error: Exception) -> DeduplabError:
        if isinstance(error, self._duckdb.IOException):
            return SystemUnavailable(f"duckdb: {what}: {error}")
        return self._failed(what, error)
