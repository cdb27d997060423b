"""What CockroachDB says of itself: sizes, work under way, counters, settings.

Sources: CockroachDB documentation, "SHOW RANGES", section "Span Statistics";
"SHOW JOBS"; "SHOW STATEMENTS"; "crdb_internal"; "Metrics"; "Cluster Settings".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from deduplab.adapters._pgwire import APPLICATION_NAME, Wire
from deduplab.errors import ProbeError, Unsupported
from deduplab.model import Identity, Reading

SYNC_OFF: Final = "kv.raft_log.disable_synchronization_unsafe"

_CLUSTER_SETTINGS: Final = (
    SYNC_OFF,
    "sql.ttl.default_delete_batch_size",
    "sql.ttl.default_delete_rate_limit",
    "sql.ttl.default_select_batch_size",
    "storage.sstable.compression_algorithm",
    "version",
)
_SESSION_SETTINGS: Final = (
    "copy_from_atomic_enabled",
    "copy_from_retries_enabled",
    "default_transaction_isolation",
)
_SPANS: Final = (
    'SELECT span_stats FROM [SHOW RANGES FROM DATABASE "{database}" '
    "WITH TABLES, DETAILS] WHERE schema_name = 'public'"
)
_NOW_NS: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::INT8"

# A job that waits for gc.ttlseconds to pass does nothing yet.
_IDLE: Final = f"""
SELECT (SELECT count(*) FROM [SHOW JOBS]
         WHERE status = 'running' AND coalesce(running_status, '') NOT LIKE 'waiting%'),
       (SELECT count(*) FROM [SHOW AUTOMATIC JOBS]
         WHERE status = 'running' AND job_type LIKE 'AUTO CREATE%STATS'),
       (SELECT count(*) FROM [SHOW CLUSTER STATEMENTS]
         WHERE application_name <> '{APPLICATION_NAME}')
"""  # noqa: S608 (constants of ours)
_IDLE_NAMES: Final = ("jobs", "statistics_jobs", "foreign_statements")

_METRICS: Final = {
    "capacity.used": "store_used_bytes",
    "jobs.row_level_ttl.rows_deleted": "ttl_rows_deleted",
    "livebytes": "live_bytes",
    "queue.gc.pending": "gc_queue_ranges",
    "queue.gc.process.success": "gc_runs",
    "rocksdb.compactions": "compactions",
    "rocksdb.flushes": "memtable_flushes",
    "sql.delete.count": "deletes",
    "sql.insert.count": "inserts",
    "totalbytes": "mvcc_bytes",
    "txn.aborts": "transactions_aborted",
    "txn.commits": "transactions_committed",
}
_STATISTICS: Final = ("key_bytes", "val_bytes", "sys_bytes", "live_bytes")


def sizes(wire: Wire, namespace: str) -> Reading:
    """Return the sizes of a namespace, as ``engine_reading`` describes them."""
    found = span_bytes(wire.query(_SPANS.format(database=namespace)))
    components = {
        "live": found["live_bytes"],
        "garbage": _garbage(found),
        "metadata": found["sys_bytes"],
    }
    return Reading.of_parts(
        components,
        source="SHOW RANGES WITH TABLES, DETAILS (span_stats: one replica, before compression)",
        at_unix_ns=int(wire.query(_NOW_NS)[0][0]),
    )


def garbage_bytes(wire: Wire, namespace: str) -> int:
    """Return the bytes of versions and deletion markers that nobody sees any more."""
    return _garbage(span_bytes(wire.query(_SPANS.format(database=namespace))))


def span_bytes(rows: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """Return the sums of the statistics of all rows.

    ``SHOW RANGES .. WITH TABLES, DETAILS`` has a row for every part of a table that
    lies in one range, with the statistics of that part; a range that holds parts of
    two tables has two rows.

    Parameters
    ----------
    rows
        Of one column, ``span_stats`` as JSON text.

    Raises
    ------
    ProbeError
        If there is no row, or a statistic is missing.
    """
    sums = dict.fromkeys(_STATISTICS, 0)
    seen = False
    for (text,) in rows:
        seen = True
        for name in _STATISTICS:
            sums[name] += _statistic(text, name)
    if not seen:
        raise ProbeError("cockroachdb: SHOW RANGES tells of no table in the namespace")
    return sums


def _statistic(text: str, name: str) -> int:
    try:
        found: Any = json.loads(text)
        return int(found[name])
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeError(
            f"cockroachdb: SHOW RANGES tells no {name!r} in span_stats; 23.2 or later does"
        ) from error


def _garbage(found: dict[str, int]) -> int:
    return max(0, found["key_bytes"] + found["val_bytes"] - found["live_bytes"])


def clock_s(wire: Wire) -> float:
    """Return the server's clock, in seconds since 1970."""
    return int(wire.query(_NOW_NS)[0][0]) / 1e9


def check_synced(wire: Wire) -> None:
    """Refuse a cluster that acknowledges before its log is on stable storage.

    Raises
    ------
    Unsupported
        If the setting that turns the sync off is on; versions without it always sync.
    """
    if _settings(wire, "SHOW ALL CLUSTER SETTINGS", (SYNC_OFF,)).get(SYNC_OFF) == "true":
        raise Unsupported(
            f"durability 'fsync' needs {SYNC_OFF} = false, but this cluster runs with true"
        )


def idle_signals(wire: Wire) -> dict[str, int]:
    """Return running jobs, statistics being made, and other clients' statements."""
    row = wire.query(_IDLE)[0]
    return {name: int(value) for name, value in zip(_IDLE_NAMES, row, strict=True)}


def counters(wire: Wire) -> dict[str, int]:
    """Return the node's metrics that a trace wants; those that this version has."""
    names = ", ".join(f"'{name}'" for name in _METRICS)
    rows = wire.query(
        "SELECT name, sum(value)::INT8 FROM crdb_internal.node_metrics "  # noqa: S608
        f"WHERE name IN ({names}) GROUP BY name ORDER BY name"
    )
    return {_METRICS[name]: int(value) for name, value in rows}


def identity(wire: Wire, namespace: str | None) -> Identity:
    """Return version, cluster id, and the settings in force, the namespace's zone too."""
    text, cluster = wire.query("SELECT version(), crdb_internal.cluster_id()")[0]
    configuration = _settings(wire, "SHOW ALL CLUSTER SETTINGS", _CLUSTER_SETTINGS)
    configuration |= _settings(wire, "SHOW ALL", _SESSION_SETTINGS)
    if namespace is not None:
        (_, zone), *_ = wire.query(f'SHOW ZONE CONFIGURATION FROM DATABASE "{namespace}"')
        configuration["zone"] = " ".join(zone.split())
    return Identity("CockroachDB", version_of(text), cluster, configuration)


def version_of(text: str) -> str:
    """Return the version that a text like ``CockroachDB CCL v25.4.1 (..)`` names."""
    found = re.search(r"\bv(\d[\w.-]*)", text)
    return found.group(1) if found else text


def _settings(wire: Wire, show: str, names: tuple[str, ...]) -> dict[str, str]:
    listed = ", ".join(f"'{name}'" for name in names)
    rows = wire.query(
        f"SELECT variable, value FROM [{show}] WHERE variable IN ({listed}) ORDER BY variable"  # noqa: S608
    )
    return {name: value for name, value in rows}
