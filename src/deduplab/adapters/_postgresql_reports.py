"""What PostgreSQL says of itself: sizes, work under way, counters, settings."""

from __future__ import annotations

from typing import Final

from deduplab.adapters._pgwire import APPLICATION_NAME, Wire
from deduplab.adapters._rights import advice
from deduplab.errors import OperationFailed
from deduplab.model import Identity, Reading

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


def check_rights(wire: Wire) -> None:
    """Refuse a user who is told that all sessions of others are idle, whatever they do.

    Raises
    ------
    OperationFailed
        With the right that is missing.
    """
    if wire.scalar("SELECT pg_has_role('pg_read_all_stats', 'USAGE')") != "t":
        raise OperationFailed(
            "postgresql shows this user nothing of the checkpointer and of other sessions, so rest "
            f"can't be told: the right pg_read_all_stats is missing; {advice('postgresql')}"
        )


def sizes(wire: Wire, namespace: str) -> Reading:
    """Return the sizes of a namespace, as ``engine_reading`` describes them."""
    row = wire.query(_SIZES.format(schema=f'"{namespace}"'))[0]
    data, toast, index, wal, at_unix_ns = (int(value) for value in row)
    components = {"data": data, "toast": toast, "index": index, "wal": wal}
    return Reading.of_parts(
        components,
        source="pg_table_size, pg_total_relation_size, pg_indexes_size, pg_ls_waldir",
        at_unix_ns=at_unix_ns,
    )


def idle_signals(wire: Wire) -> dict[str, int]:
    """Return running vacuums, checkpoints, foreign clients and temporary files."""
    return _counts(wire, _IDLE_NAMES, _IDLE)


def counters(wire: Wire) -> dict[str, int]:
    """Return WAL bytes and the database's counters since its statistics began."""
    return _counts(wire, _COUNTER_NAMES, _COUNTERS)


def identity(wire: Wire) -> Identity:
    """Return version, system identifier and start time, and the settings in force."""
    version, instance, since = wire.query(
        "SELECT current_setting('server_version'), system_identifier, pg_postmaster_start_time() "
        "FROM pg_control_system()"
    )[0]
    names = ", ".join(f"'{name}'" for name in _SETTINGS)
    rows = wire.query(
        "SELECT name, current_setting(name) FROM pg_settings "  # noqa: S608
        f"WHERE name IN ({names}) ORDER BY name"
    )
    return Identity("PostgreSQL", version, instance, {name: value for name, value in rows}, since)


def _counts(wire: Wire, names: tuple[str, ...], statement: str) -> dict[str, int]:
    row = wire.query(statement)[0]
    return {name: int(value) for name, value in zip(names, row, strict=True)}
