"""PostgreSQL: heap, TOAST and B-tree.

One schema a namespace, marked by its comment; one table
``objects (key text PRIMARY KEY, payload bytea NOT NULL)``. What each verb
issues and what the sizes include is told in docs/systems/postgresql.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from deduplab.adapter import Adapter, Capabilities, Variant, checked_namespace
from deduplab.adapters._pgwire import APPLICATION_NAME, Wire, copy_chunks, text_array
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported
from deduplab.model import Identity, Layer, Reading, Ruler
from deduplab.server import Endpoint

MARKER: Final = "deduplab namespace, dropped with everything in it"

_COLUMN: Final = {
    "default": ("pglz", "EXTENDED"),
    "toast-lz4": ("lz4", "EXTENDED"),
    "toast-external": ("pglz", "EXTERNAL"),
}
_SYNCHRONOUS_COMMIT: Final = {"fsync": "on", "interval": "off"}
_SETTINGS: Final = (
    "autovacuum",
    "autovacuum_naptime",
    "block_size",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "data_checksums",
    "fsync",
    "full_page_writes",
    "io_method",
    "max_wal_size",
    "min_wal_size",
    "server_encoding",
    "shared_buffers",
    "synchronous_commit",
    "wal_buffers",
    "wal_compression",
    "wal_init_zero",
    "wal_level",
    "wal_recycle",
    "wal_segment_size",
    "wal_sync_method",
)

_IDLE: Final = f"""
SELECT (SELECT count(*) FROM pg_stat_progress_vacuum)
     + (SELECT count(*) FROM pg_stat_progress_cluster),
       count(*) FILTER (WHERE backend_type = 'autovacuum worker'),
       count(*) FILTER (WHERE backend_type = 'checkpointer'
                          AND wait_event IS DISTINCT FROM 'CheckpointerMain'),
       count(*) FILTER (WHERE backend_type = 'client backend' AND state <> 'idle'
                          AND application_name <> '{APPLICATION_NAME}'),
       (SELECT count(*) FROM pg_ls_tmpdir())
  FROM pg_stat_activity
"""  # noqa: S608 (a constant of ours)
_IDLE_NAMES: Final = (
    "vacuums",
    "autovacuum_workers",
    "checkpoints",
    "foreign_clients",
    "temporary_files",
)

_COUNTERS: Final = """
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
       xact_commit, tup_inserted, tup_deleted, blks_read, blks_hit, temp_bytes
  FROM pg_stat_database WHERE datname = current_database()
"""
_COUNTER_NAMES: Final = (
    "wal_bytes",
    "transactions",
    "rows_inserted",
    "rows_deleted",
    "blocks_read",
    "blocks_hit",
    "temporary_bytes",
)

# TOAST is counted with its own index, and apart from the table.
_SIZES: Final = """
SELECT coalesce(sum(pg_table_size(oid) - toast), 0)::bigint,
       coalesce(sum(toast), 0)::bigint,
       coalesce(sum(pg_indexes_size(oid)), 0)::bigint,
       (SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()),
       (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint
  FROM (SELECT oid, CASE WHEN reltoastrelid = 0 THEN 0
                         ELSE pg_total_relation_size(reltoastrelid) END AS toast
          FROM pg_class WHERE relkind = 'r' AND relnamespace = '{schema}'::regnamespace) AS ours
"""


class PostgresqlAdapter(Adapter):
    """Drives one PostgreSQL over TCP."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "TOAST compresses each value alone (EXTENDED, pglz)"),
            Variant("toast-lz4", "TOAST compresses each value alone (EXTENDED, lz4)"),
            Variant("toast-external", "TOAST stores values out of line, uncompressed (EXTERNAL)"),
        ),
        durability=("fsync", "interval"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("vacuum", "vacuum-full"),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("pg_wal/*", "wal"),
        ("base/pgsql_tmp/*", "temporary"),
        ("base/*", "data"),
        ("pg_tblspc/*", "data"),
        ("*", "metadata"),
    )

    def __init__(self) -> None:
        self._connection: Wire | None = None
        self._namespace: str | None = None
        self._durability = ""
        self._column = _COLUMN["default"]

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any."""
        self.close()
        self._connection = Wire.connect(endpoint)
        if self._namespace is not None and self._marked(self._namespace) is not None:
            self._set_durability(self._durability)
            self._prepare()
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect; what is there stays."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def create(self, namespace: str, *, layout: str, variant: str, durability: str) -> None:
        """Create schema and table, and set and check the durability of this connection."""
        checked_namespace(namespace)
        self.capabilities.require(
            "postgresql", layout=layout, variant=variant, durability=durability
        )
        self._set_durability(durability)
        if self._marked(namespace) is not None:
            self._drop_schema(namespace)
        self._wire.query(f'CREATE SCHEMA "{namespace}"')
        self._wire.query(f"COMMENT ON SCHEMA \"{namespace}\" IS '{MARKER}'")
        self._namespace, self._durability = namespace, durability
        self._column = _COLUMN[variant]
        self._create_table()

    def destroy(self) -> None:
        """Drop the schema with everything in it."""
        namespace = self._entered
        if self._marked(namespace) is None:
            raise NamespaceRefused(f"schema {namespace!r} is gone; nothing was dropped")
        self._drop_schema(namespace)
        self._namespace = None

    def put(self, key: str, payload: bytes) -> None:
        """Insert one row by a prepared statement, committed on its own."""
        self._wire.execute_prepared(b"put", (key.encode(), payload))

    def put_many(self, batch: Batch) -> int:
        """Load a batch by one binary ``COPY``, one transaction."""
        statement = f"COPY {self._table} (key, payload) FROM STDIN (FORMAT binary)"
        return self._wire.copy_in(statement, copy_chunks(batch))

    def get(self, key: str) -> bytes | None:
        """Select one row by its key, by a prepared statement."""
        result = self._wire.execute_prepared(b"get", (key.encode(),))
        return result.get_value(0, 0) if result.ntuples else None

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these rows by one statement, one transaction."""
        result = self._wire.execute_prepared(b"delete", (text_array(keys),))
        return result.command_tuples or 0

    def empty(self, mode: str) -> None:
        """Truncate the table, or drop it and create it anew."""
        if mode == "truncate":
            self._wire.query(f"TRUNCATE {self._table}")
        elif mode == "drop":
            self._wire.query(f"DROP TABLE {self._table}")
            self._create_table()
        else:
            raise Unsupported(f"postgresql can't empty by {mode!r}; it has: truncate, drop")

    def count(self) -> int:
        """Count the visible rows."""
        return int(self._wire.scalar(f"SELECT count(*) FROM {self._table}") or 0)  # noqa: S608

    def flush(self) -> None:
        """Begin a new WAL segment, then checkpoint, which removes all older segments.

        The WAL at rest is then one segment, whatever was written before.
        """
        self._wire.query("SELECT pg_switch_wal()")
        self._wire.query("CHECKPOINT")

    def reclaim(self, mode: str) -> None:
        """Run ``VACUUM`` or ``VACUUM FULL`` on the table."""
        if mode == "vacuum":
            self._wire.query(f"VACUUM {self._table}")
        elif mode == "vacuum-full":
            self._wire.query(f"VACUUM FULL {self._table}")
        else:
            raise Unsupported(f"postgresql has no reclaim {mode!r}; it has: vacuum, vacuum-full")

    def engine_reading(self) -> Reading:
        """Return sizes of the namespace's tables, and of the instance's whole WAL.

        Components: ``data`` (heap with its maps), ``toast`` (with its index),
        ``index``, ``wal``. System catalogs are not included.
        """
        row = self._wire.query(_SIZES.format(schema=f'"{self._entered}"'))[0]
        data, toast, index, wal, at_unix_ns = (int(value) for value in row)
        components = {"data": data, "toast": toast, "index": index, "wal": wal}
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=sum(components.values()),
            source="pg_table_size, pg_total_relation_size, pg_indexes_size, pg_ls_waldir",
            at_unix_ns=at_unix_ns,
            components=components,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return running vacuums, checkpoints, foreign clients and temporary files."""
        return self._counts(_IDLE_NAMES, _IDLE)

    def counters(self) -> Mapping[str, int]:
        """Return WAL bytes and the database's counters since its statistics began."""
        return self._counts(_COUNTER_NAMES, _COUNTERS)

    def identity(self) -> Identity:
        """Return version, system identifier with start time, and the settings in force."""
        version, instance = self._wire.query(
            "SELECT current_setting('server_version'), "
            "system_identifier || ' since ' || pg_postmaster_start_time() FROM pg_control_system()"
        )[0]
        names = ", ".join(f"'{name}'" for name in _SETTINGS)
        rows = self._wire.query(
            "SELECT name, current_setting(name) FROM pg_settings "  # noqa: S608
            f"WHERE name IN ({names}) ORDER BY name"
        )
        configuration = {name: value for name, value in rows}
        return Identity("PostgreSQL", version, instance, configuration)

    @property
    def _wire(self) -> Wire:
        if self._connection is None:
            raise OperationFailed("postgresql is not open; call open() first")
        return self._connection

    @property
    def _entered(self) -> str:
        if self._namespace is None:
            raise OperationFailed("no namespace was entered; call create() first")
        return self._namespace

    @property
    def _table(self) -> str:
        return f'"{self._entered}".objects'

    def _counts(self, names: tuple[str, ...], statement: str) -> dict[str, int]:
        row = self._wire.query(statement)[0]
        return {name: int(value) for name, value in zip(names, row, strict=True)}

    def _set_durability(self, durability: str) -> None:
        wanted = _SYNCHRONOUS_COMMIT[durability]
        self._wire.query(f"SET synchronous_commit = {wanted}")
        for setting, value in (("fsync", "on"), ("synchronous_commit", wanted)):
            found = self._wire.scalar(f"SHOW {setting}")
            if found != value:
                raise Unsupported(
                    f"durability {durability!r} needs {setting} = {value}, "
                    f"but this server runs with {found}"
                )

    def _marked(self, namespace: str) -> str | None:
        """Return the marker of a schema, None if there is no such schema; refuse foreign ones."""
        rows = self._wire.query(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace "  # noqa: S608
            f"WHERE nspname = '{namespace}'"
        )
        if not rows:
            return None
        if rows[0][0] != MARKER:
            raise NamespaceRefused(
                f"schema {namespace!r} exists without our marker; it is neither used nor dropped"
            )
        return MARKER

    def _drop_schema(self, namespace: str) -> None:
        self._wire.query("SET client_min_messages = warning")
        self._wire.query(f'DROP SCHEMA "{namespace}" CASCADE')

    def _create_table(self) -> None:
        compression, storage = self._column
        table = self._table
        if compression not in self._compressions():
            raise Unsupported(f"this PostgreSQL was built without {compression}")
        self._wire.query(
            f"CREATE TABLE {table} (key text PRIMARY KEY, "
            f"payload bytea COMPRESSION {compression} NOT NULL)"
        )
        self._wire.query(f"ALTER TABLE {table} ALTER COLUMN payload SET STORAGE {storage}")
        self._prepare()

    def _prepare(self) -> None:
        table = self._table
        self._wire.query("DEALLOCATE ALL")
        self._wire.prepare(
            b"put",
            f"INSERT INTO {table} (key, payload) VALUES ($1, $2)",  # noqa: S608
        )
        self._wire.prepare(b"get", f"SELECT payload FROM {table} WHERE key = $1")  # noqa: S608
        self._wire.prepare(b"delete", f"DELETE FROM {table} WHERE key = ANY ($1)")  # noqa: S608

    def _compressions(self) -> str:
        return (
            self._wire.scalar(
                "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
            )
            or ""
        )
