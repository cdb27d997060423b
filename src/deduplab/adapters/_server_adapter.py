"""What adapters of servers share: one connection, and the namespace that was entered."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, cast

from deduplab.adapters._checked_adapter import CheckedAdapter
from deduplab.errors import OperationFailed


class Closable(Protocol):
    """Whatever a connection is, it can be closed."""

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Closable)
NamespaceT = TypeVar("NamespaceT")


class ServerAdapter(CheckedAdapter, Generic[ConnectionT, NamespaceT]):
    """Base of the adapters that drive a server over a connection, or an engine by a session.

    The connection is ``_connection`` and the namespace ``_namespace``, both None
    without one; verbs ask ``_wire`` and ``_entered``, which refuse then.
    """

    def __init__(self) -> None:
        self._connection: ConnectionT | None = None
        self._namespace: NamespaceT | None = None

    def close(self) -> None:
        """Disconnect; what is there stays."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def entered(self) -> object | None:
        """Return the namespace."""
        return self._namespace

    def watch(self, entered: object) -> None:
        """Look at a namespace over this connection; only counters may be asked for."""
        self._namespace = cast(NamespaceT, entered)

    def joining(self) -> object | None:
        """Return the namespace with its settings."""
        return None if self._namespace is None else self._joining()

    @property
    def _wire(self) -> ConnectionT:
        """The connection."""
        if self._connection is None:
            raise OperationFailed(f"{self.product} is not open; call open() first")
        return self._connection

    @property
    def _entered(self) -> NamespaceT:
        """The namespace that was entered."""
        if self._namespace is None:
            raise OperationFailed(f"{self.product}: no namespace was entered; call create() first")
        return self._namespace
