"""What adapters of PostgreSQL's family share: the verbs on one table, over one connection.

A member says how it connects, how its namespaces are made, marked and dropped,
and which statements its tables take.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from deduplab.adapters._layout import Conversion, Layout
from deduplab.adapters._marker import MARKER, Settings
from deduplab.adapters._pg_binary import copy_chunks, text_array
from deduplab.adapters._pg_values import decoder, encoder, record_chunks
from deduplab.adapters._pgwire import Wire
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.adapters._sql_tables import Tables
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused
from deduplab.record import Stored
from deduplab.server import Endpoint


@dataclass(frozen=True, slots=True)
class Verbs:
    """The tables of a namespace and the statements of the verbs.

    Parameters
    ----------
    tables
        The tables, and the statements that all SQL systems share.
    put, delete
        To be prepared: the parameters are a key and the values of a row; an array of keys.
    copy
        What loads a batch.
    """

    tables: Tables
    put: str
    delete: str
    copy: str


VerbsT = TypeVar("VerbsT", bound=Verbs)


class PgAdapter(ServerAdapter[Wire, str], Generic[VerbsT]):
    """Base of the adapters that speak PostgreSQL's protocol.

    Attributes
    ----------
    container
        What a namespace is there: ``schema`` or ``database``.
    """

    container: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._variant = self._durability = ""
        self._layout = Layout()
        self._statements: VerbsT | None = None
        self._set_conversions(self._layout)

    @abstractmethod
    def _connect(self, endpoint: Endpoint) -> Wire:
        """Connect and log in."""

    @abstractmethod
    def _set_durability(self, durability: str) -> None:
        """Make this connection's acknowledgements mean that; refuse a server that can't."""

    @abstractmethod
    def _found_marker(self, namespace: str) -> str | None:
        """Return the marker that a namespace bears, ``''`` without one; None if it is not there."""

    @abstractmethod
    def _make_namespace(self, namespace: str, variant: str) -> None:
        """Make the namespace with our marker, and nothing else in it."""

    @abstractmethod
    def _drop_namespace(self, namespace: str) -> None:
        """Drop a namespace of ours with everything in it."""

    @abstractmethod
    def _statements_of(self, variant: str, layout: Layout, namespace: str) -> VerbsT:
        """Return the statements of a variant and a layout."""

    @abstractmethod
    def _create_tables(self) -> None:
        """Make the tables, then prepare this connection."""

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any."""
        self.close()
        self._connection = self._connect(endpoint)
        if self._namespace is not None and self._is_ours(self._namespace):
            self._set_durability(self._durability)
            self._prepare()
        else:
            self._namespace = None

    def destroy(self) -> None:
        """Drop the namespace with everything in it."""
        self._check_owner()
        namespace = self._entered
        if not self._is_ours(namespace):
            raise NamespaceRefused(f"{self.container} {namespace!r} is gone; nothing was dropped")
        self._drop_namespace(namespace)
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Insert one object by a prepared statement, committed on its own."""
        row = self._encode(self._layout.row(payload))
        self._wire.execute_prepared(b"put", (key.encode(), *row))

    def put_many(self, batch: Batch) -> int:
        """Load a batch by one binary ``COPY`` and transaction."""
        return self._copied(batch)

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

    def count(self) -> int:
        """Count the visible objects (whose content is there)."""
        return int(self._wire.scalar(self._issued.tables.count) or 0)

    def _create(self, settings: Settings) -> None:
        """Create the namespace and its tables, and set and check the durability."""
        namespace, variant = settings.namespace, settings.variant
        self._set_durability(settings.durability)
        if self._is_ours(namespace):
            self._drop_namespace(namespace)
        self._make_namespace(namespace, variant)
        self._enter(settings)
        self._create_tables()

    def _join(self, settings: Settings) -> None:
        """Enter the namespace over this connection, with its durability and statements."""
        self._set_durability(settings.durability)
        if not self._is_ours(settings.namespace):
            raise self._gone(settings.namespace)
        self._enter(settings)
        self._prepare()

    def _enter(self, settings: Settings) -> None:
        self._namespace, self._variant = settings.namespace, settings.variant
        self._durability, self._layout = settings.durability, settings.layout
        self._statements = self._statements_of(self._variant, self._layout, self._namespace)
        self._set_conversions(self._layout)

    @property
    def _issued(self) -> VerbsT:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        assert self._statements is not None
        return self._statements

    def _is_ours(self, namespace: str) -> bool:
        """Whether the namespace is there; refuse one without our marker."""
        found = self._found_marker(namespace)
        if found not in (None, MARKER):
            raise NamespaceRefused(
                f"{self.container} {namespace!r} exists without our marker; "
                "it is neither used nor dropped"
            )
        return found is not None

    def _copied(self, batch: Batch) -> int:
        """Send a batch by ``COPY``; return the rows that the server took."""
        native = self._layout.is_native
        chunks = record_chunks(batch, self._layout.fields) if native else copy_chunks(batch)
        return self._wire.copy_in(self._issued.copy, chunks)

    def _set_conversions(self, layout: Layout) -> None:
        self._encode = Conversion.of(layout.fields, encoder)
        self._decode = Conversion.of(layout.fields, decoder)

    def _prepare(self) -> None:
        """Prepare this connection's statements."""
        statements, wire = self._issued, self._wire
        wire.query("DEALLOCATE ALL")
        wire.prepare(b"put", statements.put)
        wire.prepare(b"get", statements.tables.select)
        wire.prepare(b"delete", statements.delete)
