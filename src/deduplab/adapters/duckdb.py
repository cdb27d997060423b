"""DuckDB: one file, columns in compressed row groups; one table, or two for unique contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._arrow import arrow_table
from deduplab.adapters._duckdb_tables import Statements, statements_of
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MarkedDirectory, Settings, sync_directory
from deduplab.adapters._sql_tables import UNIQUE_CONTENT
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, SystemUnavailable, Unsupported
from deduplab.model import Layer, Reading, Ruler
from deduplab.record import Stored
from deduplab.registry import driver_missing, system

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE_NAME: Final = "objects.duckdb"
_COMPRESSION: Final = {
    "default": "auto",
    "uncompressed": "uncompressed",
    UNIQUE_CONTENT.name: "auto",
}
_FSYNC_MODE: Final = {"fsync": "STANDARD", "none": "NONE"}


class DuckdbAdapter(EmbeddedAdapter):
    """One table with a primary key on the key.

    The primary key costs an index in memory and on disk (130 bytes an object
    were seen with 4000 objects of 8 KiB), but only with it is an existing key
    refused and a key found without a scan.

    A commit writes and syncs the log; values are compressed when a checkpoint
    (explicit, or made by a commit once the log exceeds 16 MiB) writes column
    segments.

    The file never shrinks but for free blocks at its end: the vendor's way to
    compact it is a copy into a new file
    (https://duckdb.org/docs/stable/operations_manual/footprint_of_duckdb/reclaiming_space).
    Column types, segments, and what ``unique-content`` does: docs/systems/duckdb.md.
    """

    product = "duckdb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "compression chosen by DuckDB for each column segment"),
            Variant("uncompressed", "force_compression = uncompressed"),
            UNIQUE_CONTENT,
        ),
        layouts=LAYOUTS,
        durability=("fsync", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("checkpoint", "rewrite"),
        background_work=False,
    )
    file_components = (*METADATA_COMPONENTS, ("*.wal", "wal"), ("*.tmp*", "temporary"))

    def __init__(self) -> None:
        super().__init__()
        self._duckdb: Any = None
        self._connection: DuckDBPyConnection | None = None
        self._layout = Layout()
        self._statements: Statements = statements_of("default", self._layout)

    def put(self, key: str, payload: Stored) -> None:
        """Insert one object in a transaction of its own."""
        connection = self._opened()
        values = (key, *self._layout.row(payload))
        try:
            self._insert(connection, self._statements.put, values)
        except self._duckdb.ConstraintException as error:
            raise self._exists(key) from error
        except self._duckdb.Error as error:
            raise self._translated(f"put of {key!r}", error) from error

    def put_many(self, batch: Batch) -> int:
        """Insert a batch from Arrow in one transaction, the payloads' buffer not copied."""
        connection = self._opened()
        table = arrow_table(batch, self._layout)
        try:
            connection.register("batch", table)
            try:
                return self._insert(connection, self._statements.put_many)
            finally:
                connection.unregister("batch")  # it would hold the caller's buffer
        except self._duckdb.Error as error:
            raise self._translated(f"put of {len(batch)} objects", error) from error

    def _insert(
        self,
        connection: DuckDBPyConnection,
        statements: Sequence[str],
        values: Sequence[object] = (),
    ) -> int:
        """Run inserts as one transaction; the parameters are the first statement's."""
        first, *others = statements
        if not others:
            return int(connection.execute(first, values).fetchall()[0][0])
        connection.execute("BEGIN")
        try:
            connection.execute(first, values).fetchall()
            for statement in others:
                inserted = connection.execute(statement).fetchall()[0][0]
            connection.execute("DROP TABLE staged")
            connection.execute("COMMIT")
        except self._duckdb.Error:
            with suppress(self._duckdb.Error):  # an error may have ended the transaction
                connection.execute("ROLLBACK")
            raise
        return int(inserted)

    def get(self, key: str) -> Stored | None:
        """Return the payload or record of a key, found by the primary key's index."""
        rows = self._query(self._statements.tables.select, (key,))
        return self._layout.stored(rows[0]) if rows else None

    def delete(self, keys: Sequence[str]) -> int:
        """Delete rows by one statement."""
        rows = self._query(
            "DELETE FROM objects WHERE key IN (SELECT unnest(?::VARCHAR[]))", (list(keys),)
        )
        return int(rows[0][0])

    def count(self) -> int:
        """Return ``count(*)`` of the objects (whose content is there)."""
        return int(self._query(self._statements.tables.count)[0][0])

    def flush(self) -> None:
        """Checkpoint: write the log's content to the database file and remove the log."""
        durability = self._entered().durability
        self._set_fsync("fsync")  # a flush syncs, whatever a commit does
        self._query("CHECKPOINT")
        self._set_fsync(durability)

    def reclaim(self, mode: str) -> None:
        """Run ``FORCE CHECKPOINT``, or copy the database into a new file and put that in place.

        Contents that no object refers to are deleted before.
        """
        self._check_reclaim(mode)
        sweep = self._statements.tables.sweep
        if sweep is not None:
            self._query(sweep)
        if mode == "checkpoint":
            self._query("FORCE CHECKPOINT")
        else:
            self._rewrite(self._entered())

    def engine_reading(self) -> Reading:
        """Return the blocks of the database file; the log beside it is not in it.

        ``data`` are the blocks of the tables' columns, ``metadata`` what else is
        in use: the indexes, the catalogue, and the file's header.
        """
        block_bytes, total, used, free = self._query(
            "SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size()"
        )[0]
        (data,) = self._query(self._statements.data_blocks)[0]
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
        blocks = {"allocation_bytes": str(block_bytes)}  # its file grows by whole blocks
        return {name: str(value) for name, value in sorted(rows)} | blocks

    def _load_driver(self) -> None:
        try:
            import duckdb
            import pyarrow  # noqa: F401  (put_many needs it; say so now, not under the clock)
        except ImportError as error:
            raise driver_missing(system(self.product), error) from error
        self._duckdb = duckdb

    def _version(self) -> str:
        return str(self._duckdb.__version__) if self._duckdb is not None else "unknown"

    def _attach(self, directory: Path, settings: Settings) -> None:
        path = directory / FILE_NAME
        self._layout = settings.layout
        self._statements = statements_of(settings.variant, settings.layout)
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
        self._create_tables()
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
        for table in self._statements.tables.columns:
            self._query(f"TRUNCATE {table}")

    def _drop(self, directory: MarkedDirectory, settings: Settings) -> None:
        directory.check()
        for table in self._statements.tables.columns:
            self._query(f"DROP TABLE {table}")
        self._create_tables()

    def _create_tables(self) -> None:
        for statement in self._statements.tables.creates:
            self._query(statement)

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
