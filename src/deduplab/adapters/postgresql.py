"""PostgreSQL: heap, TOAST and B-tree.

One schema a namespace, marked by its comment. Tables and column types, what each
verb issues and what the sizes include is told in docs/systems/postgresql.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from deduplab.adapter import Adapter, Capabilities, checked_namespace
from deduplab.adapters import _postgresql_reports as reports
from deduplab.adapters._layout import LAYOUTS, Conversion, Layout
from deduplab.adapters._pg_values import decoder, encoder, record_chunks
from deduplab.adapters._pgwire import Wire, copy_chunks, text_array
from deduplab.adapters._postgresql_tables import VARIANTS, Statements, statements_of
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

MARKER: Final = "deduplab namespace, dropped with everything in it"

_SYNCHRONOUS_COMMIT: Final = {"fsync": "on", "interval": "off"}
_RECLAIM: Final = {"vacuum": "VACUUM", "vacuum-full": "VACUUM FULL"}


class PostgresqlAdapter(Adapter):
    """Drives one PostgreSQL over TCP."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=VARIANTS,
        layouts=LAYOUTS,
        durability=("fsync", "interval"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=tuple(_RECLAIM),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("pg_wal/*", "wal"),
        ("base/pgsql_tmp/*", "temporary"),
        ("base/*/t*", "temporary"),  # staging tables of a connection
        ("base/*", "data"),
        ("pg_tblspc/*", "data"),
        ("*", "metadata"),
    )

    instance_components: ClassVar[tuple[str, ...]] = ("wal",)

    def __init__(self) -> None:
        self._connection: Wire | None = None
        self._namespace: str | None = None
        self._durability = ""
        self._layout = Layout()
        self._statements: Statements | None = None
        self._set_conversions(self._layout)

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

    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create schema and table, and set and check the durability of this connection."""
        checked_namespace(namespace)
        self.capabilities.require(
            "postgresql", layout=layout, variant=variant, durability=durability
        )
        stored = Layout.of("postgresql", layout, record_type)
        self._set_durability(durability)
        if self._marked(namespace) is not None:
            self._drop_schema(namespace)
        self._wire.query(f'CREATE SCHEMA "{namespace}"')
        self._wire.query(f"COMMENT ON SCHEMA \"{namespace}\" IS '{MARKER}'")
        self._namespace, self._durability = namespace, durability
        self._layout = stored
        self._statements = statements_of(variant, stored, namespace)
        self._set_conversions(stored)
        self._create_tables()

    def destroy(self) -> None:
        """Drop the schema with everything in it."""
        namespace = self._entered
        if self._marked(namespace) is None:
            raise NamespaceRefused(f"schema {namespace!r} is gone; nothing was dropped")
        self._drop_schema(namespace)
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Insert one object by a prepared statement, committed on its own."""
        row = self._encode(self._layout.row(payload))
        self._wire.execute_prepared(b"put", (key.encode(), *row))

    def put_many(self, batch: Batch) -> int:
        """Load a batch by one binary ``COPY`` and transaction; by hash, over a staging table."""
        statements, wire = self._issued, self._wire
        native = self._layout.is_native
        chunks = record_chunks(batch, self._layout.fields) if native else copy_chunks(batch)
        if statements.insert_staged is None:
            return wire.copy_in(statements.copy, chunks)
        with wire.transaction():
            wire.copy_in(statements.copy, chunks)
            return wire.execute(statements.insert_staged)

    def get(self, key: str) -> Stored | None:
        """Select one row by its key, by a prepared statement."""
        result = self._wire.execute_prepared(b"get", (key.encode(),))
        if not result.ntuples:
            return None
        row = [result.get_value(0, column) for column in range(len(self._layout.fields))]
        return self._layout.stored(self._decode(row))

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these rows by one statement, one transaction."""
        result = self._wire.execute_prepared(b"delete", (text_array(keys),))
        return result.command_tuples or 0

    def empty(self, mode: str) -> None:
        """Truncate the tables, or drop them and create them anew."""
        tables = ", ".join(self._issued.tables.columns)
        if mode == "truncate":
            self._wire.query(f"TRUNCATE {tables}")
        elif mode == "drop":
            self._wire.query(f"DROP TABLE {tables}")
            self._create_tables()
        else:
            raise Unsupported(f"postgresql can't empty by {mode!r}; it has: truncate, drop")

    def count(self) -> int:
        """Count the visible objects (whose content is there)."""
        return int(self._wire.scalar(self._issued.tables.count) or 0)

    def flush(self) -> None:
        """Begin a new WAL segment, then checkpoint, which removes all older segments.

        The WAL at rest is then one segment, whatever was written before.
        """
        self._wire.query("SELECT pg_switch_wal()")
        self._wire.query("CHECKPOINT")

    def reclaim(self, mode: str) -> None:
        """Run ``VACUUM`` or ``VACUUM FULL`` on the tables.

        Contents that no object refers to are deleted before; meanwhile nobody can insert.
        """
        if mode not in _RECLAIM:
            raise Unsupported(f"postgresql has no reclaim {mode!r}; it has: {', '.join(_RECLAIM)}")
        tables, wire = self._issued.tables, self._wire
        if tables.sweep is not None:
            with wire.transaction():
                wire.query(f"LOCK TABLE {', '.join(tables.columns)} IN SHARE ROW EXCLUSIVE MODE")
                wire.query(tables.sweep)
        wire.query(f"{_RECLAIM[mode]} {', '.join(tables.columns)}")

    def engine_reading(self) -> Reading:
        """Return sizes of the namespace's tables, and of the instance's whole WAL.

        Components: ``data`` (heap with its maps), ``toast`` (with its index),
        ``index``, ``wal``. System catalogs are not included.
        """
        return reports.sizes(self._wire, self._entered)

    def idle_signals(self) -> Mapping[str, int]:
        """Return running vacuums, checkpoints, foreign clients and temporary files."""
        return reports.idle_signals(self._wire)

    def counters(self) -> Mapping[str, int]:
        """Return WAL bytes and the database's counters since its statistics began."""
        return reports.counters(self._wire)

    def identity(self) -> Identity:
        """Return version, system identifier with start time, and the settings in force."""
        found = reports.identity(self._wire)
        if self._namespace is None:
            return found
        return replace(found, configuration=found.configuration | self._layout.described())

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
    def _issued(self) -> Statements:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        assert self._statements is not None
        return self._statements

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

    def _set_conversions(self, layout: Layout) -> None:
        self._encode = Conversion.of(layout.fields, encoder)
        self._decode = Conversion.of(layout.fields, decoder)

    def _create_tables(self) -> None:
        statements = self._issued
        if statements.compression not in self._compressions():
            raise Unsupported(f"this PostgreSQL was built without {statements.compression}")
        for statement in statements.creates:
            self._wire.query(statement)
        self._prepare()

    def _prepare(self) -> None:
        """Prepare this connection: its statements, and its staging table where there is one."""
        statements, wire = self._issued, self._wire
        wire.query("DEALLOCATE ALL")
        wire.prepare(b"put", statements.put)
        wire.prepare(b"get", statements.tables.select)
        wire.prepare(b"delete", statements.delete)
        for statement in statements.stages:
            wire.query(statement)

    def _compressions(self) -> str:
        return (
            self._wire.scalar(
                "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
            )
            or ""
        )
