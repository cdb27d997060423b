"""CockroachDB: rows as versioned keys and values in a log-structured merge tree, replicated.

One database a namespace, marked by its comment. Written from the vendor's
documentation; what was run, and what each verb issues, is told in
docs/systems/cockroachdb.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from deduplab.adapter import Capabilities
from deduplab.adapters import _cockroachdb_gc as gc
from deduplab.adapters import _cockroachdb_reports as reports
from deduplab.adapters._cockroachdb_tables import (
    ROW_TTL,
    VARIANTS,
    Statements,
    statements_of,
    zone_of,
)
from deduplab.adapters._cockroachdb_wire import connected
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MARKER
from deduplab.adapters._pg_family import PgAdapter
from deduplab.adapters._pgwire import Wire
from deduplab.errors import Unsupported
from deduplab.model import Identity, Reading
from deduplab.server import Endpoint

_RECLAIM: Final = {"gc": False, "gc-enqueue": True}


class CockroachdbAdapter(PgAdapter[Statements]):
    """Drives a CockroachDB cluster over one connection to one of its nodes."""

    product: ClassVar[str] = "cockroachdb"
    container: ClassVar[str] = "database"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=VARIANTS,
        layouts=LAYOUTS,
        durability=("fsync",),
        delete_modes=("rowwise", "truncate", "drop", "ttl"),
        reclaim_modes=tuple(_RECLAIM),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("auxiliary/*", "temporary"),
        ("cockroach-temp*", "temporary"),
        ("*.sst", "data"),
        ("*.blob", "data"),
        ("*.log", "wal"),
        ("*", "metadata"),
    )

    def empty(self, mode: str) -> None:
        """Truncate the table, drop it and create it anew, or let its rows expire.

        The space comes back later: what was dropped or truncated after
        ``gc.ttlseconds``, expired rows like deleted ones. ``ttl`` takes the variant
        with row-level TTL, and waits for the job that runs every minute.
        """
        self._check_owner()
        statements, wire = self._issued, self._wire
        (objects,) = statements.tables.columns
        if mode == "truncate":
            wire.query(f"TRUNCATE {objects}")
        elif mode == "drop":
            wire.query(f"DROP TABLE {objects}")
            self._create_tables()
        elif mode == "ttl" and statements.expire is not None:
            gc.expire(wire, statements)
        elif mode == "ttl":
            raise Unsupported(
                f"cockroachdb deletes by 'ttl' in the variant {ROW_TTL!r} alone, "
                f"not in {self._variant!r}"
            )
        else:
            raise Unsupported(f"cockroachdb can't empty by {mode!r}; it has: truncate, drop, ttl")

    def flush(self) -> None:
        """Do nothing: what is acknowledged is synced in the log of a majority of replicas.

        CockroachDB has no statement that writes its memory tables out or trims its log.
        """
        self._entered  # noqa: B018  (refuses where no namespace was entered)

    def reclaim(self, mode: str) -> None:
        """Wait until old versions are removed, with ``gc.ttlseconds`` at one second meanwhile.

        ``gc`` waits for the garbage collector's own round, ``gc-enqueue`` asks it to come.
        """
        if mode not in _RECLAIM:
            raise Unsupported(f"cockroachdb has no reclaim {mode!r}; it has: {', '.join(_RECLAIM)}")
        gc.collect(self._wire, self._entered, self._variant, enqueue=_RECLAIM[mode])

    def engine_reading(self) -> Reading:
        """Return the sizes of the namespace's keys and values, of one replica, uncompressed.

        Components: ``live`` (the newest version of each key that is not deleted),
        ``garbage`` (older versions and deletion markers), ``metadata`` (the ranges' own
        keys). Not included: tables that were dropped and wait to be collected.
        """
        return reports.sizes(self._wire, self._entered)

    def idle_signals(self) -> Mapping[str, int]:
        """Return running jobs, statistics being made, and other clients' statements."""
        return reports.idle_signals(self._wire)

    def counters(self) -> Mapping[str, int]:
        """Return metrics of the node that answers, since its start; sizes are its whole store's."""
        return reports.counters(self._wire)

    def identity(self) -> Identity:
        """Return version, cluster id, and the settings in force."""
        found = reports.identity(self._wire, self._namespace)
        if self._namespace is None:
            return found
        return replace(found, configuration=found.configuration | self._layout.described())

    def _connect(self, endpoint: Endpoint) -> Wire:
        return connected(endpoint)

    def _set_durability(self, durability: str) -> None:
        reports.check_synced(self._wire)

    def _found_marker(self, namespace: str) -> str | None:
        return self._wire.scalar(
            "SELECT comment FROM [SHOW DATABASES WITH COMMENT] "  # noqa: S608
            f"WHERE database_name = '{namespace}'"
        )

    def _make_namespace(self, namespace: str, variant: str) -> None:
        self._wire.query(f'CREATE DATABASE "{namespace}"')
        self._wire.query(f"COMMENT ON DATABASE \"{namespace}\" IS '{MARKER}'")
        zone = zone_of(variant, namespace)
        if zone is not None:
            self._wire.query(zone)

    def _drop_namespace(self, namespace: str) -> None:
        self._wire.query(f'DROP DATABASE "{namespace}" CASCADE')

    def _statements_of(self, variant: str, layout: Layout, namespace: str) -> Statements:
        return statements_of(variant, layout, namespace)

    def _create_tables(self) -> None:
        self._wire.query(self._issued.create)
        self._prepare()
