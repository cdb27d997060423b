"""What MariaDB tells of itself: settings, signals, counters and sizes, as statements.

Sources: MariaDB Knowledge Base, "Information Schema INNODB_SYS_TABLESPACES
Table", "Information Schema TABLES Table", "InnoDB Status Variables", "MyRocks
Status Variables", "MyRocks and Index Statistics".
"""

from __future__ import annotations

from typing import Final

from deduplab.adapters._mariadb_connector import Connection
from deduplab.adapters._mariadb_tables import MYROCKS, PAGE_COMPRESSED
from deduplab.adapters._marker import MARKER
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported

ANALYZE: Final = "ANALYZE NO_WRITE_TO_BINLOG TABLE"
"""A replica has statistics of its own, and need not follow for ours."""

FLUSH_AT_COMMIT: Final = {"fsync": "1", "interval": "2", "none": "0"}
"""``innodb_flush_log_at_trx_commit`` (MyRocks: ``rocksdb_..``) for every durability."""

SETTINGS: Final = (
    "binlog_format",
    "innodb_buffer_pool_size",
    "innodb_checksum_algorithm",
    "innodb_compression_algorithm",
    "innodb_compression_level",
    "innodb_doublewrite",
    "innodb_file_per_table",
    "innodb_flush_log_at_trx_commit",
    "innodb_flush_method",
    "innodb_flush_neighbors",
    "innodb_log_file_size",
    "innodb_page_size",
    "innodb_undo_tablespaces",
    "log_bin",
    "max_allowed_packet",
    "rocksdb_default_cf_options",
    "rocksdb_flush_log_at_trx_commit",
    "rocksdb_override_cf_options",
    "sync_binlog",
)
"""System variables that stand in every result; those of MyRocks where it is loaded."""

START: Final = (
    "SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME = 'UPTIME'"
)
"""The server's start, in seconds: the server takes both from the same clock reading."""

NOW: Final = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED) * 1000"
"""The server's time, in nanoseconds, to the microsecond."""

FOREIGN_CLIENTS: Final = (
    "SELECT count(*) FROM information_schema.PROCESSLIST "
    "WHERE COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump') "
    "AND USER NOT IN ('system user', SUBSTRING_INDEX(USER(), '@', 1))"
)
"""A replica that is sent what comes is none."""

MYROCKS_PENDING: Final = """
SELECT (SELECT COALESCE(SUM(VALUE), 0) FROM information_schema.ROCKSDB_CFSTATS
         WHERE STAT_TYPE = 'COMPACTION_PENDING'),
       (SELECT COALESCE(SUM(VALUE), 0) FROM information_schema.ROCKSDB_CFSTATS
         WHERE STAT_TYPE IN ('MEM_TABLE_FLUSH_PENDING', 'NUM_IMMUTABLE_MEM_TABLE')),
       (SELECT count(*) FROM information_schema.ROCKSDB_GLOBAL_INFO
         WHERE TYPE = 'DDL_DROP_INDEX_ONGOING')
"""
MYROCKS_PENDING_NAMES: Final = ("compactions", "memtable_flushes", "dropped_tables")

COUNTERS: Final = {
    "Innodb_os_log_written": "redo_bytes",
    "Innodb_data_written": "innodb_written_bytes",
    "Handler_write": "rows_written",
    "Handler_delete": "rows_deleted",
    "Innodb_buffer_pool_pages_dirty": "dirty_pages",
    "Innodb_history_list_length": "unpurged_transactions",
    "Rocksdb_wal_bytes": "rocksdb_wal_bytes",
    "Rocksdb_flush_write_bytes": "rocksdb_flushed_bytes",
    "Rocksdb_compact_write_bytes": "rocksdb_compacted_bytes",
    "Rocksdb_rows_inserted": "rocksdb_rows_inserted",
    "Rocksdb_rows_deleted": "rocksdb_rows_deleted",
}
"""Status variables, and what they are called in a trace; those that a server has."""


def identity(sql: Connection) -> tuple[str, str, dict[str, str], str]:
    """Return the version, the server's id with port, the settings in force, and the start."""
    version, server, port = sql.query("SELECT version(), @@server_uid, @@port")[0]
    configuration = {name: value for name, value in sql.query(_among("VARIABLES", SETTINGS))}
    return version, f"{server}:{port}", configuration, str(sql.scalar(START))


def check_engine(sql: Connection, variant: str) -> None:
    """Refuse a variant whose engine the server does not have."""
    engine = "ROCKSDB" if variant == MYROCKS else "InnoDB"
    found = sql.scalar(
        f"SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE = '{engine}'"  # noqa: S608
    )
    if found not in ("YES", "DEFAULT"):
        raise Unsupported(
            f"mariadb, variant {variant!r}: this server has no engine {engine}; on Debian: "
            "apt-get install mariadb-plugin-rocksdb, then INSTALL SONAME 'ha_rocksdb'"
        )


def check_durability(sql: Connection, variant: str, durability: str) -> None:
    """Refuse a server that runs with another durability; it is a setting of all its users."""
    setting = f"{'rocksdb' if variant == MYROCKS else 'innodb'}_flush_log_at_trx_commit"
    found, wanted = sql.scalar(f"SELECT @@{setting}"), FLUSH_AT_COMMIT[durability]
    if found != wanted:
        raise Unsupported(
            f"durability {durability!r} needs {setting} = {wanted}, "
            f"but this server runs with {found}"
        )


def marked(sql: Connection, namespace: str) -> bool:
    """Return whether a database is there and ours; refuse one that is not ours."""
    rows = sql.query(
        "SELECT SCHEMA_COMMENT FROM information_schema.SCHEMATA "  # noqa: S608
        f"WHERE SCHEMA_NAME = '{namespace}'"
    )
    if rows and rows[0][0] != MARKER:
        raise NamespaceRefused(
            f"database {namespace!r} exists without our marker; it is neither used nor dropped"
        )
    return bool(rows)


def status(sql: Connection, names: tuple[str, ...]) -> dict[str, int]:
    """Return status variables by name, those that the server has."""
    return {name: int(value) for name, value in sql.query(_among("STATUS", names))}


def unpurged_transactions(sql: Connection) -> int:
    """Return how many transactions' old versions are still to be purged."""
    (history,) = status(sql, ("Innodb_history_list_length",)).values()
    return history


def signals(sql: Connection, variant: str) -> dict[str, int]:
    """Return what is under way in the server; all 0 is idle."""
    history = unpurged_transactions(sql)
    clients = int(sql.scalar(FOREIGN_CLIENTS) or 0)
    found = {"unpurged_transactions": history, "foreign_clients": clients}
    if variant == MYROCKS:
        found |= dict(zip(MYROCKS_PENDING_NAMES, _numbers(sql, MYROCKS_PENDING), strict=True))
    return found


def sizes(sql: Connection, database: str, variant: str) -> tuple[dict[str, int], str]:
    """Return the sizes of a database's tables by component, and the tables that tell them."""
    if variant == MYROCKS:
        data, index = _numbers(sql, _sorted_table_sizes(database))
        source = "ROCKSDB_SST_PROPS of the files in ROCKSDB_INDEX_FILE_MAP"
        return {"data": data, "index": index}, source
    length, allocated = _numbers(sql, _tablespace_sizes(database))
    if variant == PAGE_COMPRESSED:
        return {"data": allocated}, "INNODB_SYS_TABLESPACES (allocated)"
    data, index, free = _numbers(sql, _table_sizes(database))
    rest = max(0, length - data - index - free)
    components = {"data": data, "index": index, "free": free, "metadata": rest}
    return components, "INNODB_SYS_TABLESPACES (file size), TABLES"


def write_out(sql: Connection, tables: str, variant: str) -> None:
    """Have a server write the pages of tables out, or MyRocks' memtables.

    MyRocks begins a new log with that; ``ANALYZE`` writes to it.
    """
    if variant == MYROCKS:
        write_memtables(sql)
        sql.query(f"{ANALYZE} {tables}")
    else:
        sql.query(f"FLUSH TABLES {tables} FOR EXPORT")
        sql.query("UNLOCK TABLES")


def write_memtables(sql: Connection) -> None:
    """Have MyRocks write its memtables into sorted files."""
    sql.query("SET GLOBAL rocksdb_force_flush_memtable_now = 1")


def maintain(sql: Connection, statement: str) -> None:
    """Run a statement on tables that says in rows, and not by an error, how it went.

    Raises
    ------
    OperationFailed
        If one of the rows says that it failed.
    """
    for table, verb, kind, words in sql.query(statement):
        if kind.lower() == "error" or words == "Operation failed":
            raise OperationFailed(f"mariadb: {verb} of {table} failed: {words}")


def _numbers(sql: Connection, statement: str) -> list[int]:
    return [int(value) for value in sql.query(statement)[0]]


def _among(what: str, names: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return f"SHOW GLOBAL {what} WHERE Variable_name IN ({listed})"


def _table_sizes(database: str) -> str:
    """Return the statement for data, index and free bytes of InnoDB's tables, in whole pages."""
    return (
        "SELECT COALESCE(SUM(DATA_LENGTH), 0), COALESCE(SUM(INDEX_LENGTH), 0), "  # noqa: S608
        "COALESCE(SUM(DATA_FREE), 0) FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = '{database}'"
    )


def _tablespace_sizes(database: str) -> str:
    """Return the statement for length and allocated bytes of the tables' files."""
    return (
        "SELECT COALESCE(SUM(FILE_SIZE), 0), COALESCE(SUM(ALLOCATED_SIZE), 0) "  # noqa: S608
        "FROM information_schema.INNODB_SYS_TABLESPACES "
        f"WHERE NAME LIKE '{file_name(database)}/%'"
    )


def _sorted_table_sizes(database: str) -> str:
    """Return the statement for data and index blocks of the SST files that hold our rows."""
    return (
        "SELECT COALESCE(SUM(DATA_BLOCK_SIZE), 0), "  # noqa: S608
        "COALESCE(SUM(INDEX_BLOCK_SIZE + FILTER_BLOCK_SIZE), 0) "
        "FROM information_schema.ROCKSDB_SST_PROPS WHERE SST_NAME IN "
        "(SELECT f.SST_NAME FROM information_schema.ROCKSDB_INDEX_FILE_MAP f "
        "JOIN information_schema.ROCKSDB_DDL d ON f.INDEX_NUMBER = d.INDEX_NUMBER "
        "AND f.COLUMN_FAMILY = d.COLUMN_FAMILY "
        f"WHERE d.TABLE_SCHEMA = '{file_name(database)}')"
    )


def file_name(database: str) -> str:
    """Return a database's name as the server writes it in file names."""
    return database.replace("-", "@002d")
