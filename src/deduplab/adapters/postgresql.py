"""PostgreSQL: heap, TOAST and B-tree.

One schema a namespace, marked by its comment. Tables and column types, what each
verb issues and what the sizes include is told in docs/systems/postgresql.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from deduplab.adapter import Capabilities
from deduplab.adapters import _postgresql_reports as reports
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MARKER
from deduplab.adapters._pg_family import PgAdapter
from deduplab.adapters._pg_watched_wire import connected
from deduplab.adapters._pgwire import Wire
from deduplab.adapters._postgresql_standbys import Standbys
from deduplab.adapters._postgresql_tables import VARIANTS, Statements, statements_of
from deduplab.batch import Batch
from deduplab.errors import Unsupported
from deduplab.model import Identity, Reading
from deduplab.server import Endpoint

_SYNCHRONOUS_COMMIT: Final = {"fsync": "on", "interval": "off"}
_RECLAIM: Final = {"vacuum": "VACUUM", "vacuum-full": "VACUUM FULL"}


class PostgresqlAdapter(PgAdapter[Statements]):
    """Drives one PostgreSQL over TCP."""

    product: ClassVar[str] = "postgresql"
    container: ClassVar[str] = "schema"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=VARIANTS,
        layouts=LAYOUTS,
        durability=("fsync", "interval"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=tuple(_RECLAIM),
        most_replicas=9,
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
        super().__init__()
        self._standbys = Standbys()

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; to standbys, too, which are asked only when they are needed."""
        self.close()
        self._standbys = Standbys(endpoint.members)
        super().open(endpoint)

    def close(self) -> None:
        """Disconnect, from standbys too."""
        self._standbys.close()
        super().close()

    def put_many(self, batch: Batch) -> int:
        """Load a batch by one binary ``COPY`` and transaction; by hash, over a staging table."""
        insert_staged = self._issued.insert_staged
        if insert_staged is None:
            return self._copied(batch)
        with self._wire.transaction():
            self._copied(batch)
            return self._wire.execute(insert_staged)

    def empty(self, mode: str) -> None:
        """Truncate the tables, or drop them and create them anew."""
        self._check_owner()
        tables = ", ".join(self._issued.tables.columns)
        if mode == "truncate":
            self._wire.query(f"TRUNCATE {tables}")
        elif mode == "drop":
            self._wire.query(f"DROP TABLE {tables}")
            self._create_tables()
        else:
            raise Unsupported(f"postgresql can't empty by {mode!r}; it has: truncate, drop")

    def flush(self) -> None:
        """Begin a new WAL segment, then checkpoint, which removes all older segments.

        The WAL at rest is then one segment, whatever was written before. Standbys, once they
        have replayed it, do the same by a restartpoint of their own.
        """
        self._wire.query("SELECT pg_switch_wal()")
        self._standbys.follow(self._wire)
        self._wire.query("CHECKPOINT")
        self._standbys.checkpoint(self._wire)

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
        """Return running vacuums, checkpoints, foreign clients and temporary files.

        With standbys, also how many of them are behind.
        """
        return reports.idle_signals(self._wire) | self._standbys.behind(self._wire)

    def physical_copies(self) -> int:
        """Return how many of the primary and its standbys have replayed all of the log."""
        return self._standbys.copies(self._wire)

    def counters(self) -> Mapping[str, int]:
        """Return WAL bytes and the database's counters since its statistics began."""
        return reports.counters(self._wire)

    def identity(self) -> Identity:
        """Return version, system identifier with start time, and the settings in force."""
        found = reports.identity(self._wire)
        replicas = self._standbys.configuration(all_acknowledge=self._durability == "fsync")
        found = replace(found, configuration=found.configuration | replicas)
        if self._namespace is None:
            return found
        return replace(found, configuration=found.configuration | self._layout.described())

    def _connect(self, endpoint: Endpoint) -> Wire:
        return connected(endpoint)

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

    def _found_marker(self, namespace: str) -> str | None:
        return self._wire.scalar(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace "  # noqa: S608
            f"WHERE nspname = '{namespace}'"
        )

    def _make_namespace(self, namespace: str, variant: str) -> None:
        reports.check_rights(self._wire)
        with self._wire.transaction():  # there is never a schema of ours without its marker
            self._wire.query(f'CREATE SCHEMA "{namespace}"')
            self._wire.query(f"COMMENT ON SCHEMA \"{namespace}\" IS '{MARKER}'")

    def _drop_namespace(self, namespace: str) -> None:
        self._wire.query("SET client_min_messages = warning")
        self._wire.query(f'DROP SCHEMA "{namespace}" CASCADE')

    def _statements_of(self, variant: str, layout: Layout, namespace: str) -> Statements:
        return statements_of(variant, layout, namespace)

    def _create_tables(self) -> None:
        statements = self._issued
        if statements.compression not in self._compressions():
            raise Unsupported(f"this PostgreSQL was built without {statements.compression}")
        for statement in statements.creates:
            self._wire.query(statement)
        self._prepare()

    def _prepare(self) -> None:
        """Prepare this connection: its statements, and its staging table where there is one."""
        super()._prepare()
        if self._has_joined:  # puts one object at a time, so it needs no staging table
            return
        for statement in self._issued.stages:
            self._wire.query(statement)

    def _compressions(self) -> str:
        return (
            self._wire.scalar(
                "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
            )
            or ""
        )
