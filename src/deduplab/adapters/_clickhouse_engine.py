"""One ClickHouse, wherever it runs: what is asked of it, and what it says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from deduplab.adapters._clickhouse_words import quoted
from deduplab.adapters._layout import Layout
from deduplab.batch import Batch
from deduplab.model import Reading
from deduplab.record import Record

SESSION: Final = {
    "async_insert": 0,
    "lightweight_deletes_sync": 2,
    "max_insert_threads": 1,
    "max_query_size": 1 << 30,
    "mutations_sync": 2,
    "optimize_throw_if_noop": 1,
}
"""Settings of every session that differ from the product's defaults."""

SOURCE: Final = "{source}"
"""The place in an insert where an engine puts what it selects the rows from."""

_REPORTED: Final = (*SESSION, "lightweight_delete_mode", "max_threads", "optimize_on_insert")

_SIZES: Final = """
SELECT sumIf(data_compressed_bytes, active), sumIf(marks_bytes + primary_key_size, active),
       sumIf(bytes_on_disk, active), sumIf(bytes_on_disk, NOT active),
       toUnixTimestamp64Nano(now64(9))
  FROM system.parts WHERE database = '{database}'
"""
_IDLE: Final = """
SELECT (SELECT count() FROM system.merges WHERE {ours}),
       (SELECT count() FROM system.mutations WHERE NOT is_done AND {ours}),
       (SELECT count() FROM system.parts WHERE NOT active AND {ours}),
       (SELECT count() FROM system.dropped_tables WHERE {ours})
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


class Engine(ABC):
    """A session with one ClickHouse. Its errors are ours already (``_clickhouse_words``)."""

    @abstractmethod
    def close(self) -> None:
        """End the session; safe to call twice."""

    @abstractmethod
    def run(self, statement: str) -> None:
        """Run one statement that returns nothing."""

    @abstractmethod
    def rows(self, statement: str) -> list[list[str]]:
        """Return the rows of a query as text."""

    @abstractmethod
    def row_binary(self, statement: str) -> bytes:
        """Return the rows of a query in the format ``RowBinary``."""

    @abstractmethod
    def insert_row(self, inserts: Sequence[str], key: str, row: Record, layout: Layout) -> None:
        """Run the inserts, in order, of one row; each has a place for its source."""

    @abstractmethod
    def insert_batch(self, inserts: Sequence[str], batch: Batch, layout: Layout) -> int:
        """Run the inserts, in order, of a batch as one block; return the last one's rows."""

    @abstractmethod
    def instance(self) -> str:
        """Return what tells this instance from all others."""

    @abstractmethod
    def client(self) -> dict[str, str]:
        """Return the driver's name and version."""

    def version(self) -> str:
        """Return ClickHouse's version."""
        return self.rows("SELECT version()")[0][0]

    def settings(self) -> dict[str, str]:
        """Return the session's settings that matter, as they are in force, and the driver."""
        names = ", ".join(map(quoted, _REPORTED))
        rows = self.rows(f"SELECT name, value FROM system.settings WHERE name IN ({names})")  # noqa: S608
        return {name: value for name, value in sorted(rows)} | self.client()

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
        return Reading.of_parts(
            components,
            source="system.parts",
            at_unix_ns=at_unix_ns,
        )

    def idle_signals(self, database: str | None) -> dict[str, int]:
        """Return running merges and mutations, and what waits to leave the disk.

        Parameters
        ----------
        database
            Where to look: a server's own logs are merged at any time. None looks everywhere.
        """
        ours = "1" if database is None else f"database = {quoted(database)}"
        row = self.rows(_IDLE.format(ours=ours))[0]
        return {name: int(value) for name, value in zip(_IDLE_NAMES, row, strict=True)}

    def events(self) -> dict[str, int]:
        """Return the engine's events since it started."""
        names = ", ".join(map(quoted, _EVENTS))
        rows = self.rows(f"SELECT event, value FROM system.events WHERE event IN ({names})")  # noqa: S608
        return dict.fromkeys(_EVENTS.values(), 0) | {_EVENTS[name]: int(n) for name, n in rows}
