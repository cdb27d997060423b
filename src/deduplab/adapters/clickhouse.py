"""ClickHouse, in process (chdb) or on a server: the MergeTree family.

One database a namespace, marked by its comment. What each verb issues, every
setting that differs from the product's default, and what the sizes include is
told in docs/systems/clickhouse.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._clickhouse_engine import SOURCE, Engine
from deduplab.adapters._clickhouse_in_process import InProcessEngine
from deduplab.adapters._clickhouse_remote import RemoteEngine
from deduplab.adapters._clickhouse_rows import row_of
from deduplab.adapters._clickhouse_tables import DURABILITIES, Schema, schema_of, table_settings
from deduplab.adapters._clickhouse_words import quoted
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MARKER, Settings
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, SystemUnavailable, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import Stored
from deduplab.server import Endpoint

_RECLAIM: Final = {
    "apply-deleted-mask": "ALTER TABLE {table} APPLY DELETED MASK",
    "optimize-final": "OPTIMIZE TABLE {table} FINAL",
    "optimize-deduplicate": "OPTIMIZE TABLE {table} FINAL DEDUPLICATE",
}

_MOST_LOOKS: Final = 500  # of some milliseconds each, at merges that were told to stop


class ClickhouseAdapter(ServerAdapter[Engine, str]):
    """Drives one ClickHouse: in this process, on one data directory, or a server over HTTP."""

    product: ClassVar[str] = "clickhouse"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("mergetree", "MergeTree ordered by key, LZ4 blocks"),
            Variant("mergetree-zstd", "MergeTree ordered by key, ZSTD(1) blocks"),
            Variant("replacing-by-key", "ReplacingMergeTree: the last row of a key survives"),
            Variant(
                "replacing-by-hash", "ReplacingMergeTree by content: one row a payload survives"
            ),
        ),
        layouts=LAYOUTS,
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
        super().__init__()
        self._variant = ""
        self._layout = Layout()
        self._durability = ""

    def open(self, endpoint: Endpoint) -> None:
        """Start the engine on the endpoint's directory, or connect to the endpoint's host.

        The namespace that was left by ``close``, if any, is entered again.
        """
        self.close()
        if endpoint.directory is not None:
            self._connection = InProcessEngine(str(endpoint.directory))
        elif endpoint.host is not None:
            self._connection = RemoteEngine(endpoint)
        else:
            raise SystemUnavailable("clickhouse needs a data directory or a server's address")
        if self._namespace is not None and not self._exists(self._namespace):
            self._namespace = None

    def destroy(self) -> None:
        """Drop the database with everything in it."""
        self._check_owner()
        namespace = self._entered
        if not self._exists(namespace):
            raise NamespaceRefused(f"database {namespace!r} is gone; nothing was dropped")
        self._engine.run(f"DROP DATABASE `{namespace}` SYNC")
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Insert one row, a part of its own; ClickHouse does not refuse an existing key."""
        self._engine.insert_row(self._inserts, key, self._layout.row(payload), self._layout)

    def put_many(self, batch: Batch) -> int:
        """Insert a batch as one block, from Arrow columns."""
        return self._engine.insert_batch(self._inserts, batch, self._layout)

    def get(self, key: str) -> Stored | None:
        """Select one row by its key."""
        statement = self._at(self._schema.select, key=quoted(key))
        row = row_of(self._engine.row_binary(statement), self._layout)
        return None if row is None else self._layout.stored(row)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these rows by one lightweight ``DELETE``; it returns when the rows are masked.

        ClickHouse acknowledges the statement, it does not count rows: the
        number returned is that of the keys, none of which can be seen now.
        """
        self._engine.run(self._at(self._schema.delete, keys=", ".join(map(quoted, keys))))
        self._remove_outdated_parts()
        return len(keys)

    def empty(self, mode: str) -> None:
        """Truncate the tables, or drop them and create them anew."""
        self._check_owner()
        if mode not in ("truncate", "drop"):
            raise Unsupported(f"clickhouse can't empty by {mode!r}; it has: truncate, drop")
        for table in self._tables:
            self._engine.run(
                f"TRUNCATE TABLE {table}" if mode == "truncate" else f"DROP TABLE {table} SYNC"
            )
        if mode == "drop":
            self._create_tables()
        self._remove_outdated_parts()

    def count(self) -> int:
        """Count the keys that a plain SELECT sees (without FINAL) and whose payload is there."""
        return int(self._engine.rows(self._at(self._schema.count))[0][0])

    def flush(self) -> None:
        """Give up merges that are half done, and remove parts that were merged away already.

        So no row lies there twice, as it does for the time of a merge; merges
        begin again at once. There is nothing else to persist: an acknowledged
        insert is a finished part on disk, and there is no log.
        """
        for table in self._tables:
            self._engine.run(f"SYSTEM STOP MERGES {table}")
        # A merge that is past the point of giving up still ends, and leaves parts to remove.
        for _ in range(_MOST_LOOKS):
            self._remove_outdated_parts()
            signals = self.idle_signals()
            if not signals["merges"] and not signals["outdated_parts"]:
                break
        for table in self._tables:
            self._engine.run(f"SYSTEM START MERGES {table}")

    def reclaim(self, mode: str) -> None:
        """Sweep what no key refers to, then merge parts, or rewrite them without deleted rows."""
        statement = _RECLAIM.get(mode)
        if statement is None:
            raise Unsupported(f"clickhouse has no reclaim {mode!r}; it has: {[*_RECLAIM]}")
        for sweep in self._schema.sweep:
            self._engine.run(self._at(sweep))
        for table in self._tables:
            self._engine.run(statement.format(table=table))
        self._remove_outdated_parts()

    def engine_reading(self) -> Reading:
        """Return the sizes of the namespace's parts.

        Components: ``data`` (compressed columns), ``index`` (marks and primary
        key), ``metadata`` (checksums, columns and counts), all of active parts;
        ``outdated`` is parts that were merged away and are still on disk.
        """
        return self._engine.sizes(self._entered)

    def idle_signals(self) -> Mapping[str, int]:
        """Return the namespace's merges and mutations, and what of it waits to leave the disk.

        Without a namespace, those of the whole engine.
        """
        return self._engine.idle_signals(self._namespace)

    def counters(self) -> Mapping[str, int]:
        """Return the engine's events since it started.

        ``rows_persisted`` are the rows that inserts wrote: below ``rows_inserted``
        by the copies that were collapsed inside one inserted block, at ingestion.
        """
        return self._engine.events()

    def identity(self) -> Identity:
        """Return version, settings in force, and the server's UUID, or directory and process."""
        configuration = self._engine.settings()
        if self._namespace is not None:
            configuration["tables"] = "; ".join(self._engine_clauses())
            configuration |= self._layout.described()
        return Identity(
            "ClickHouse",
            self._engine.version(),
            self._engine.instance(),
            configuration,
        )

    def _create(self, settings: Settings) -> None:
        """Create database and table, and check that the durability took."""
        namespace = settings.namespace
        if self._exists(namespace):
            self._engine.run(f"DROP DATABASE `{namespace}` SYNC")
        self._engine.run(f"CREATE DATABASE `{namespace}` ENGINE = Atomic COMMENT '{MARKER}'")
        self._namespace, self._layout = namespace, settings.layout
        self._variant, self._durability = settings.variant, settings.durability
        self._create_tables()

    def joining(self) -> object | None:
        """Return the database with its settings; None in process, whose directory is of one."""
        return super().joining() if isinstance(self._connection, RemoteEngine) else None

    def _join(self, settings: Settings) -> None:
        """Enter the database over connections of its own."""
        if not self._exists(settings.namespace):
            raise self._gone(settings.namespace)
        self._namespace, self._layout = settings.namespace, settings.layout
        self._variant, self._durability = settings.variant, settings.durability

    @property
    def _engine(self) -> Engine:
        """The connection, by the name of what it is."""
        return self._wire

    @property
    def _schema(self) -> Schema:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        return schema_of(self._variant, self._layout)

    @property
    def _inserts(self) -> list[str]:
        """The schema's inserts; where their rows come from is the engine's to say."""
        return [self._at(insert, source=SOURCE) for insert in self._schema.inserts]

    @property
    def _tables(self) -> list[str]:
        return [f"`{self._entered}`.{name}" for name in self._schema.tables]

    def _at(self, statement: str, **places: str) -> str:
        """Fill a statement's places; what is filled in is not looked at again."""
        return statement.format(db=f"`{self._entered}`", **places)

    def _exists(self, namespace: str) -> bool:
        """Whether there is such a database of ours; refuse foreign ones."""
        rows = self._engine.rows(
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
            self._engine.run(f"CREATE TABLE {table} {body} SETTINGS {listed}")
        for clause in self._engine_clauses():
            for name, value in settings.items():
                if f"{name} = {value}" not in clause:
                    raise Unsupported(f"clickhouse did not take the table setting {name} = {value}")

    def _engine_clauses(self) -> list[str]:
        rows = self._engine.rows(
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
            self._engine.run(f"ALTER TABLE {table} DROP PARTITION ID 'none'")
