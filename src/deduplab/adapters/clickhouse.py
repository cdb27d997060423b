"""ClickHouse in process (chdb): the MergeTree family.

One database a namespace, marked by its comment. What each verb issues, every
setting that differs from the product's default, and what the sizes include is
told in docs/systems/clickhouse.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from deduplab.adapter import Adapter, Capabilities, Variant, checked_namespace
from deduplab.adapters._clickhouse_tables import DURABILITIES, SCHEMAS, Schema, table_settings
from deduplab.adapters._clickhouse_words import quoted, row_binary_string, translated
from deduplab.batch import Batch
from deduplab.errors import (
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.model import Identity, Layer, Reading, Ruler
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint

MARKER: Final = "deduplab namespace, dropped with everything in it"


_SESSION: Final = {
    "async_insert": 0,
    "lightweight_deletes_sync": 2,
    "max_insert_threads": 1,
    "max_query_size": 1 << 30,
    "mutations_sync": 2,
    "optimize_throw_if_noop": 1,
}
_REPORTED: Final = (*_SESSION, "lightweight_delete_mode", "max_threads", "optimize_on_insert")

_RECLAIM: Final = {
    "apply-deleted-mask": "ALTER TABLE {table} APPLY DELETED MASK",
    "optimize-final": "OPTIMIZE TABLE {table} FINAL",
    "optimize-deduplicate": "OPTIMIZE TABLE {table} FINAL DEDUPLICATE",
}

_MOST_LOOKS: Final = 500  # of some milliseconds each, at merges that were told to stop

_SIZES: Final = """
SELECT sumIf(data_compressed_bytes, active), sumIf(marks_bytes + primary_key_size, active),
       sumIf(bytes_on_disk, active), sumIf(bytes_on_disk, NOT active),
       toUnixTimestamp64Nano(now64(9))
  FROM system.parts WHERE database = '{database}'
"""
_IDLE: Final = """
SELECT (SELECT count() FROM system.merges),
       (SELECT count() FROM system.mutations WHERE NOT is_done),
       (SELECT count() FROM system.parts WHERE NOT active),
       (SELECT count() FROM system.dropped_tables)
"""
_IDLE_NAMES: Final = ("merges", "mutations", "outdated_parts", "dropped_tables")
_EVENTS: Final = {
    "InsertedRows": "rows_inserted",
    "InsertedBytes": "inserted_bytes",
    "MergeTreeDataWriterRows": "rows_persisted",
    "MergeTreeDataWriterCompressedBytes": "persisted_bytes",
    "Merge": "merges",
    "MergedRows": "rows_merged",
    "FileSync": "file_syncs",
    "WriteBufferFromFileDescriptorWriteBytes": "written_bytes",
}


class ClickhouseAdapter(Adapter):
    """Drives one ClickHouse engine in this process, on one data directory."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("mergetree", "MergeTree ordered by key, LZ4 blocks"),
            Variant("mergetree-zstd", "MergeTree ordered by key, ZSTD(1) blocks"),
            Variant("replacing-by-key", "ReplacingMergeTree: the last row of a key survives"),
            Variant(
                "replacing-by-hash", "ReplacingMergeTree by content: one row a payload survives"
            ),
        ),
        durability=DURABILITIES,
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=tuple(_RECLAIM),
        unique_keys=False,
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("tmp/*", "temporary"),
        ("store/*/tmp_*", "temporary"),
        ("store/*.bin", "data"),
        ("store/*.cmrk*", "index"),
        ("store/*.mrk*", "index"),
        ("store/*/primary.*idx", "index"),
        ("*", "metadata"),
    )

    def __init__(self) -> None:
        self._connection: Any = None
        self._directory = ""
        self._namespace: str | None = None
        self._variant = ""
        self._durability = ""

    def open(self, endpoint: Endpoint) -> None:
        """Start the engine on the endpoint's directory, which it locks for this process.

        The namespace that was left by ``close``, if any, is entered again.
        """
        self.close()
        if endpoint.directory is None:
            raise SystemUnavailable("clickhouse runs in process and needs a data directory")
        try:
            import chdb
            import pyarrow  # noqa: F401 (put_many needs it; say so now, not under the clock)
        except ImportError as error:
            raise driver_missing(system("clickhouse"), error) from error
        self._directory = str(endpoint.directory)
        connect: Any = chdb.connect
        try:
            self._connection = connect(self._directory)
        except RuntimeError as error:
            raise SystemUnavailable(
                f"clickhouse can't open {self._directory}: {' '.join(str(error).split())} "
                "(one process a directory, and one directory a process)"
            ) from error
        for name, value in _SESSION.items():
            self._run(f"SET {name} = {value}")
        if self._namespace is not None and not self._exists(self._namespace):
            self._namespace = None

    def close(self) -> None:
        """Stop the engine and free the directory; what is there stays."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def create(self, namespace: str, *, layout: str, variant: str, durability: str) -> None:
        """Create database and table, and check that the durability took."""
        checked_namespace(namespace)
        self.capabilities.require(
            "clickhouse", layout=layout, variant=variant, durability=durability
        )
        if self._exists(namespace):
            self._run(f"DROP DATABASE `{namespace}` SYNC")
        self._run(f"CREATE DATABASE `{namespace}` ENGINE = Atomic COMMENT '{MARKER}'")
        self._namespace, self._variant, self._durability = namespace, variant, durability
        self._create_tables()

    def destroy(self) -> None:
        """Drop the database with everything in it."""
        namespace = self._entered
        if not self._exists(namespace):
            raise NamespaceRefused(f"database {namespace!r} is gone; nothing was dropped")
        self._run(f"DROP DATABASE `{namespace}` SYNC")
        self._namespace = None

    def put(self, key: str, payload: bytes) -> None:
        """Insert one row, a part of its own; ClickHouse does not refuse an existing key."""
        # The payload is a parameter, as hexadecimal digits: parameters are text.
        source = f"(SELECT {quoted(key)} AS key, unhex({{payload:String}}) AS payload)"
        for insert in self._schema.inserts:
            self._run(self._at(insert, source=source), parameters={"payload": payload.hex()})

    def put_many(self, batch: Batch) -> int:
        """Insert a batch as one block, from Arrow columns that share the batch's memory."""
        import pyarrow as pa

        payloads = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(),
            len(batch),
            [None, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)],
        )
        # The engine finds this local variable by its name.
        objects = pa.table(  # noqa: F841
            {"key": pa.array(batch.keys, type=pa.large_string()), "payload": payloads}
        )
        rows_written = 0
        for insert in self._schema.inserts:
            statement = self._at(insert, source="Python(objects)")
            try:
                rows_written = self._engine.query(statement, "TSV").rows_written()
            except (RuntimeError, UnicodeDecodeError) as error:
                raise translated(error) from error
        return int(rows_written)

    def get(self, key: str) -> bytes | None:
        """Select one row by its key."""
        statement = self._at(self._schema.select, key=quoted(key))
        return row_binary_string(self._run(statement, output="RowBinary").bytes())

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these rows by one lightweight ``DELETE``; it returns when the rows are masked.

        ClickHouse acknowledges the statement, it does not count rows: the
        number returned is that of the keys, none of which can be seen now.
        """
        self._run(self._at(self._schema.delete, keys=", ".join(map(quoted, keys))))
        self._remove_outdated_parts()
        return len(keys)

    def empty(self, mode: str) -> None:
        """Truncate the tables, or drop them and create them anew."""
        if mode not in ("truncate", "drop"):
            raise Unsupported(f"clickhouse can't empty by {mode!r}; it has: truncate, drop")
        for table in self._tables:
            self._run(
                f"TRUNCATE TABLE {table}" if mode == "truncate" else f"DROP TABLE {table} SYNC"
            )
        if mode == "drop":
            self._create_tables()
        self._remove_outdated_parts()

    def count(self) -> int:
        """Count the keys that a plain SELECT sees (without FINAL) and whose payload is there."""
        return int(self._rows(self._at(self._schema.count))[0][0])

    def flush(self) -> None:
        """Give up merges that are half done, and remove parts that were merged away already.

        So no row lies there twice, as it does for the time of a merge; merges
        begin again at once. There is nothing else to persist: an acknowledged
        insert is a finished part on disk, and there is no log.
        """
        for table in self._tables:
            self._run(f"SYSTEM STOP MERGES {table}")
        # A merge that is past the point of giving up still ends, and leaves parts to remove.
        for _ in range(_MOST_LOOKS):
            self._remove_outdated_parts()
            signals = self.idle_signals()
            if not signals["merges"] and not signals["outdated_parts"]:
                break
        for table in self._tables:
            self._run(f"SYSTEM START MERGES {table}")

    def reclaim(self, mode: str) -> None:
        """Sweep what no key refers to, then merge parts, or rewrite them without deleted rows."""
        statement = _RECLAIM.get(mode)
        if statement is None:
            raise Unsupported(f"clickhouse has no reclaim {mode!r}; it has: {[*_RECLAIM]}")
        for sweep in self._schema.sweep:
            self._run(self._at(sweep))
        for table in self._tables:
            self._run(statement.format(table=table))
        self._remove_outdated_parts()

    def engine_reading(self) -> Reading:
        """Return the sizes of the namespace's parts.

        Components: ``data`` (compressed columns), ``index`` (marks and primary
        key), ``metadata`` (checksums, columns and counts), all of active parts;
        ``outdated`` is parts that were merged away and are still on disk.
        """
        row = self._rows(_SIZES.format(database=self._entered))[0]
        data, index, active, outdated, at_unix_ns = (int(value) for value in row)
        components = {
            "data": data,
            "index": index,
            "metadata": max(0, active - data - index),
            "outdated": outdated,
        }
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=sum(components.values()),
            source="system.parts",
            at_unix_ns=at_unix_ns,
            components=components,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return running merges and mutations, and what waits to leave the disk."""
        row = self._rows(_IDLE)[0]
        return {name: int(value) for name, value in zip(_IDLE_NAMES, row, strict=True)}

    def counters(self) -> Mapping[str, int]:
        """Return the engine's events since it started.

        ``rows_persisted`` are the rows that inserts wrote: below ``rows_inserted``
        by the copies that were collapsed inside one inserted block, at ingestion.
        """
        names = ", ".join(map(quoted, _EVENTS))
        rows = self._rows(f"SELECT event, value FROM system.events WHERE event IN ({names})")  # noqa: S608
        return dict.fromkeys(_EVENTS.values(), 0) | {_EVENTS[name]: int(n) for name, n in rows}

    def identity(self) -> Identity:
        """Return the version, the directory's inode and the process, and the settings in force."""
        import chdb

        names = ", ".join(map(quoted, _REPORTED))
        rows = self._rows(f"SELECT name, value FROM system.settings WHERE name IN ({names})")  # noqa: S608
        configuration = {name: value for name, value in sorted(rows)}
        configuration["chdb"] = chdb.__version__
        if self._namespace is not None:
            configuration["tables"] = "; ".join(self._engine_clauses())
        return Identity(
            "ClickHouse",
            self._rows("SELECT version()")[0][0],
            f"directory {Path(self._directory).stat().st_ino} in process {os.getpid()}",
            configuration,
        )

    @property
    def _engine(self) -> Any:
        if self._connection is None:
            raise OperationFailed("clickhouse is not open; call open() first")
        return self._connection

    @property
    def _entered(self) -> str:
        if self._namespace is None:
            raise OperationFailed("no namespace was entered; call create() first")
        return self._namespace

    @property
    def _schema(self) -> Schema:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        return SCHEMAS[self._variant]

    @property
    def _tables(self) -> list[str]:
        return [f"`{self._entered}`.{name}" for name in self._schema.tables]

    def _at(self, statement: str, **places: str) -> str:
        """Fill a statement's places; what is filled in is not looked at again."""
        return statement.format(db=f"`{self._entered}`", **places)

    def _run(
        self,
        statement: str,
        *,
        parameters: Mapping[str, str] | None = None,
        output: str = "TSV",
    ) -> Any:
        try:
            return self._engine.query(statement, output, params=parameters)
        except (RuntimeError, UnicodeDecodeError) as error:
            raise translated(error) from error

    def _rows(self, statement: str) -> list[list[str]]:
        text: str = self._run(statement).data()
        return [line.split("\t") for line in text.splitlines()]

    def _exists(self, namespace: str) -> bool:
        """Whether there is such a database of ours; refuse foreign ones."""
        rows = self._rows(
            f"SELECT comment FROM system.databases WHERE name = {quoted(namespace)}"  # noqa: S608
        )
        if rows and rows[0][0] != MARKER:
            raise NamespaceRefused(
                f"database {namespace!r} exists without our marker; it is neither used nor dropped"
            )
        return bool(rows)

    def _create_tables(self) -> None:
        settings = table_settings(self._durability)
        listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
        for table, body in zip(self._tables, self._schema.tables.values(), strict=True):
            self._run(f"CREATE TABLE {table} {body} SETTINGS {listed}")
        for clause in self._engine_clauses():
            for name, value in settings.items():
                if f"{name} = {value}" not in clause:
                    raise Unsupported(f"clickhouse did not take the table setting {name} = {value}")

    def _engine_clauses(self) -> list[str]:
        rows = self._rows(
            "SELECT engine_full FROM system.tables "  # noqa: S608
            f"WHERE database = {quoted(self._entered)} ORDER BY name"
        )
        return [row[0] for row in rows]

    def _remove_outdated_parts(self) -> None:
        """Have the engine remove merged-away parts now; it would within a second anyway.

        ``DROP PARTITION`` ends with that removal, also where, as here, there is
        no such partition.
        """
        for table in self._tables:
            self._run(f"ALTER TABLE {table} DROP PARTITION ID 'none'")
