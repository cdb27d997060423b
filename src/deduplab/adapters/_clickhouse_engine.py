"""One ClickHouse engine in this process, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deduplab.adapters._clickhouse_words import quoted, translated
from deduplab.errors import SystemUnavailable
from deduplab.model import Layer, Reading, Ruler
from deduplab.registry import driver_missing, system

_SESSION: Final = {
    "async_insert": 0,
    "lightweight_deletes_sync": 2,
    "max_insert_threads": 1,
    "max_query_size": 1 << 30,
    "mutations_sync": 2,
    "optimize_throw_if_noop": 1,
}
_REPORTED: Final = (*_SESSION, "lightweight_delete_mode", "max_threads", "optimize_on_insert")

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


class Engine:
    """An engine on one directory, which it locks for this process.

    Parameters
    ----------
    directory
        The data directory; made where there is none.

    Raises
    ------
    SystemUnavailable
        If the driver is missing, or the engine can't open the directory.
    """

    def __init__(self, directory: str) -> None:
        try:
            import chdb
            import pyarrow  # noqa: F401  (loads need it; say so now, not under the clock)
        except ImportError as error:
            raise driver_missing(system("clickhouse"), error) from error
        connect: Any = chdb.connect
        try:
            self.connection: Any = connect(directory)
        except RuntimeError as error:
            raise SystemUnavailable(
                f"clickhouse can't open {directory}: {' '.join(str(error).split())} "
                "(one process a directory, and one directory a process)"
            ) from error
        for name, value in _SESSION.items():
            self.run(f"SET {name} = {value}")

    def close(self) -> None:
        """Stop the engine and free the directory."""
        self.connection.close()

    def run(
        self,
        statement: str,
        *,
        parameters: Mapping[str, str] | None = None,
        output: str = "TSV",
    ) -> Any:
        """Run one statement; return the driver's result."""
        try:
            return self.connection.query(statement, output, params=parameters)
        except (RuntimeError, UnicodeDecodeError) as error:
            raise translated(error) from error

    def rows(self, statement: str) -> list[list[str]]:
        """Return the rows of a query as text."""
        text: str = self.run(statement).data()
        return [line.split("\t") for line in text.splitlines()]

    def version(self) -> str:
        """Return ClickHouse's version."""
        return self.rows("SELECT version()")[0][0]

    def settings(self) -> dict[str, str]:
        """Return the session's settings that matter, as they are in force, and the driver."""
        import chdb

        names = ", ".join(map(quoted, _REPORTED))
        rows = self.rows(f"SELECT name, value FROM system.settings WHERE name IN ({names})")  # noqa: S608
        return {name: value for name, value in sorted(rows)} | {"chdb": chdb.__version__}

    def sizes(self, database: str) -> Reading:
        """Return the sizes of a database's parts, as ``engine_reading`` describes them."""
        row = self.rows(_SIZES.format(database=database))[0]
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

    def idle_signals(self) -> dict[str, int]:
        """Return running merges and mutations, and what waits to leave the disk."""
        row = self.rows(_IDLE)[0]
        return {name: int(value) for name, value in zip(_IDLE_NAMES, row, strict=True)}

    def events(self) -> dict[str, int]:
        """Return the engine's events since it started."""
        names = ", ".join(map(quoted, _EVENTS))
        rows = self.rows(f"SELECT event, value FROM system.events WHERE event IN ({names})")  # noqa: S608
        return dict.fromkeys(_EVENTS.values(), 0) | {_EVENTS[name]: int(n) for name, n in rows}
