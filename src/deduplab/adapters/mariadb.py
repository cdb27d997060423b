"""MariaDB: InnoDB with its compressions, and MyRocks.

One database a namespace, marked by its comment; one table ``objects``, or two
in the variant ``unique-content``. What each verb issues and what the sizes
include is told in docs/systems/mariadb.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from deduplab.adapter import Capabilities
from deduplab.adapters import _mariadb_status as told
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._mariadb_bulk import BulkColumn, Kind
from deduplab.adapters._mariadb_connector import Connection
from deduplab.adapters._mariadb_replicas import Replicas
from deduplab.adapters._mariadb_statement import Statement
from deduplab.adapters._mariadb_tables import FILES, MYROCKS, VARIANTS, Shape
from deduplab.adapters._marker import MARKER, Settings
from deduplab.adapters._row_hash import row_hash
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import Stored
from deduplab.server import Endpoint

_SESSION: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "lock_wait_timeout = 60, autocommit = 1"
)
"""No ``max_statement_time``: its timer costs every insert; the client has a deadline of its own."""


class MariadbAdapter(ServerAdapter[Connection, str]):
    """Drives one MariaDB over TCP."""

    product: ClassVar[str] = "mariadb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=VARIANTS,
        layouts=LAYOUTS,
        durability=tuple(told.FLUSH_AT_COMMIT),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("optimize",),
        most_replicas=9,
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = FILES

    def __init__(self) -> None:
        super().__init__()
        self._durability = ""
        self._replicas = Replicas()
        self._all_acknowledge = False
        self._statements: dict[str, Statement] = {}
        self._analysed_with: int | None = None  # unpurged transactions then; None after a change
        self._set_shape("default", Layout())

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any.

        Replicas are connected to when they are needed.
        """
        self.close()
        self._connection = Connection.connect(endpoint)
        self._replicas = Replicas(endpoint.members)
        self._connection.query(_SESSION)
        if self._namespace is not None and told.marked(self._wire, self._namespace):
            told.check_durability(self._wire, self._shape.variant, self._durability)
            self._prepare()
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect, from replicas too; what is there stays."""
        self._forget_statements()
        self._replicas.close()
        super().close()

    def destroy(self) -> None:
        """Drop the database with everything in it."""
        self._check_owner()
        namespace = self._entered
        if not told.marked(self._wire, namespace):
            raise NamespaceRefused(f"database {namespace!r} is gone; nothing was dropped")
        self._forget_statements()
        self._wire.query(f"DROP DATABASE `{namespace}`")
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Insert one object by prepared statements, committed on its own."""
        row = self._written(self._layout.row(payload))
        if not self._shape.refers:
            self._prepared("put").execute((key.encode(), *row))
        else:
            content_hash = row_hash(row)
            with self._wire.transaction():
                self._prepared("content").execute((content_hash, *row))
                self._prepared("put").execute((key.encode(), content_hash))
        self._acknowledge()

    def put_many(self, batch: Batch) -> int:
        """Insert a batch by the bulk protocol, one transaction."""
        put = self._prepared("put")
        rows = len(batch)
        keys = BulkColumn.of_values(Kind.BYTES, [key.encode() for key in batch.keys])
        with self._wire.transaction():
            columns = self._shape.columns(batch)
            if self._shape.refers:
                hashes = [row_hash(self._written(row)) for row in self._layout.rows(batch)]
                hashed = BulkColumn.of_values(Kind.BYTES, hashes)
                self._prepared("content").execute_many([hashed, *columns], rows)
                columns = [hashed]
            stored = put.execute_many([keys, *columns], rows)
        self._acknowledge()
        return stored

    def get(self, key: str) -> Stored | None:
        """Select one object by its key, by a prepared statement."""
        statement = self._prepared("get")
        statement.execute((key.encode(),))
        row = statement.fetch_one()
        return None if row is None else self._layout.stored(self._read(row))

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these rows by the bulk protocol, one transaction."""
        column = BulkColumn.of_values(Kind.BYTES, [key.encode() for key in keys])
        with self._wire.transaction():
            deleted = self._prepared("delete").execute_many([column], len(keys))
        self._acknowledge()
        return deleted

    def empty(self, mode: str) -> None:
        """Truncate the tables, or drop them and create them anew."""
        self._check_owner()
        if mode not in ("truncate", "drop"):
            raise Unsupported(f"mariadb can't empty by {mode!r}; it has: truncate, drop")
        self._analysed_with = None
        for table in self._tables:
            self._wire.query(f"{mode.upper()} TABLE {table}")
        if mode == "drop":
            self._create_tables()
        self._acknowledge()

    def count(self) -> int:
        """Count the visible objects."""
        return int(self._wire.scalar(self._shape.count(self._entered)) or 0)

    def flush(self) -> None:
        """Write the tables' pages out (which punches holes), or MyRocks' memtables.

        InnoDB: ``FLUSH TABLES .. FOR EXPORT``. MyRocks: the memtables become SST
        files and a new log begins; ``ANALYZE`` then writes to it, so that its
        preallocated space is the same after every flush.

        Replicas are waited for until they have applied everything, and do the same; then a new
        binary log begins and the older ones, which nobody needs any more, are removed.
        """
        self._replicas.follow(self._wire)
        tables = ", ".join(self._tables)
        for member in self._members():
            told.write_out(member, tables, self._shape.variant)
        self._replicas.purge_logs(self._wire)

    def reclaim(self, mode: str) -> None:
        """Run ``OPTIMIZE TABLE``: InnoDB makes the tables anew, MyRocks compacts their ranges.

        Contents that no object refers to are deleted before. Replicas apply both, and are waited
        for.
        """
        if mode != "optimize":
            raise Unsupported(f"mariadb has no reclaim {mode!r}; it has: optimize")
        self._analysed_with = None
        if self._shape.refers:
            self._wire.query(self._shape.sweep(self._entered))
        if self._shape.variant == MYROCKS:
            # A tombstone in memory would be left out of the compaction.
            self._replicas.follow(self._wire)
            for member in self._members():
                told.write_memtables(member)
        told.maintain(self._wire, f"OPTIMIZE TABLE {', '.join(self._tables)}")
        self._replicas.follow(self._wire)

    def engine_reading(self) -> Reading:
        """Return the sizes of the namespace's tables, after ``ANALYZE TABLE``.

        InnoDB: ``data``, ``index`` and ``free`` in whole pages, and ``metadata``, the
        rest of the tables' files; ``page-compressed``: ``data`` is what the files
        have allocated. MyRocks: ``data`` and ``index`` blocks of the SST files
        that hold rows of ours. Redo log, undo log and write-ahead log are not included.
        """
        self._analyse()
        components, source = told.sizes(self._wire, self._entered, self._shape.variant)
        return Reading.of_parts(
            components,
            source=source,
            at_unix_ns=int(self._wire.scalar(told.NOW) or 0),
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return transactions to be purged, foreign clients; of MyRocks, what is pending.

        Those of all members; with replicas also how many of them are behind.
        """
        signals = Counter(told.signals(self._wire, self._shape.variant))
        for replica in self._replicas.signals(self._wire, self._shape.variant):
            signals.update(replica)
        return dict(signals)

    def physical_copies(self) -> int:
        """Return how many members have applied all of the primary's binary log."""
        return self._replicas.copies(self._wire)

    def counters(self) -> Mapping[str, int]:
        """Return bytes and rows written since the server's start."""
        found = told.status(self._wire, tuple(told.COUNTERS))
        return {told.COUNTERS[name]: value for name, value in found.items()}

    def identity(self) -> Identity:
        """Return version, the server's id with port and start time, and the settings in force."""
        version, instance, configuration, since = told.identity(self._wire)
        configuration |= self._replicas.configuration(all_acknowledge=self._all_acknowledge)
        if self._namespace is not None:
            configuration |= self._layout.described()
        return Identity("MariaDB", version, instance, configuration, since)

    def _create(self, settings: Settings) -> None:
        """Create database and tables, after checking the server's durability."""
        namespace, variant, durability = settings.namespace, settings.variant, settings.durability
        told.check_engine(self._wire, variant)
        if told.marked(self._wire, namespace):
            self._wire.query(f"DROP DATABASE `{namespace}`")
        self._forget_statements()
        self._set_shape(variant, settings.layout)
        told.check_durability(self._wire, variant, durability)
        self._wire.query(f"CREATE DATABASE `{namespace}` COMMENT '{MARKER}'")
        self._namespace, self._durability = namespace, durability
        self._create_tables()
        self._prepare()

    def _join(self, settings: Settings) -> None:
        """Enter the database over this connection, after checking the server's durability."""
        told.check_durability(self._wire, settings.variant, settings.durability)
        if not told.marked(self._wire, settings.namespace):
            raise self._gone(settings.namespace)
        self._set_shape(settings.variant, settings.layout)
        self._namespace, self._durability = settings.namespace, settings.durability
        self._prepare()

    def look_again(self) -> None:
        """Have the statistics made anew, since others have changed the tables."""
        self._analysed_with = None

    def _members(self) -> Iterator[Connection]:
        yield self._wire
        yield from self._replicas.working()

    def _acknowledge(self) -> None:
        """Wait for all members where the durability asks for that."""
        if self._all_acknowledge:
            self._replicas.acknowledge(self._wire)

    @property
    def _tables(self) -> list[str]:
        return [f"`{self._entered}`.{table}" for table in self._shape.tables]

    def _set_shape(self, variant: str, layout: Layout) -> None:
        self._shape, self._layout = Shape(variant, layout), layout
        self._written, self._read = self._shape.written, self._shape.read

    def _create_tables(self) -> None:
        for statement in self._shape.creates(self._entered):
            self._wire.query(statement)

    def _analyse(self) -> None:
        """Have the statistics made anew: after a change, and once more when all is purged.

        Not at every look: an ``ANALYZE`` is a transaction, which is to be purged itself.
        """
        unpurged = told.unpurged_transactions(self._wire)
        if self._analysed_with is None or (self._analysed_with and not unpurged):
            told.maintain(self._wire, f"{told.ANALYZE} {', '.join(self._tables)}")
            self._analysed_with = unpurged

    def _prepare(self) -> None:
        """Have the server prepare the namespace's statements."""
        self._all_acknowledge = self._durability == "fsync" and len(self._replicas) > 0
        self._forget_statements()
        self._analysed_with = None
        for name, spelled in self._shape.statements(self._entered).items():
            self._statements[name] = Statement(self._wire, *spelled)

    def _prepared(self, name: str) -> Statement:
        if self._namespace is None or self._connection is None:
            raise OperationFailed("mariadb: no namespace was entered; call create() first")
        if name != "get":
            self._analysed_with = None
        return self._statements[name]

    def _forget_statements(self) -> None:
        for statement in self._statements.values():
            statement.close()
        self._statements.clear()
