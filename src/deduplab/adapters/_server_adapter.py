"""What adapters of servers share: one connection, and the namespace that was entered."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar

from deduplab.adapter import Adapter, checked_namespace
from deduplab.adapters._layout import Layout
from deduplab.adapters._marker import Settings
from deduplab.errors import OperationFailed
from deduplab.record import RecordType


class Closable(Protocol):
    """Whatever a connection is, it can be closed."""

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Closable)
NamespaceT = TypeVar("NamespaceT")


class ServerAdapter(Adapter, Generic[ConnectionT, NamespaceT]):
    """Base of the adapters that drive a server over a connection, or an engine by a session.

    The connection is ``_connection`` and the namespace ``_namespace``, both None
    without one; verbs ask ``_wire`` and ``_entered``, which refuse then. A sub-class
    says how a namespace is made and entered (``_create``).

    Attributes
    ----------
    product
        The system's name, for messages.
    """

    product: ClassVar[str]

    def __init__(self) -> None:
        self._connection: ConnectionT | None = None
        self._namespace: NamespaceT | None = None

    @abstractmethod
    def _create(self, settings: Settings) -> None:
        """Make the namespace with our marker, or empty one of ours, and enter it.

        Name, variant, durability and layout are allowed; whether this server can do
        them, and whether something of that name is not ours, is still to be looked at.
        """

    def close(self) -> None:
        """Disconnect; what is there stays."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create the namespace with our marker and enter it, empty."""
        checked_namespace(namespace)
        self.capabilities.require(
            self.product, layout=layout, variant=variant, durability=durability
        )
        stored = Layout.of(self.product, layout, record_type)
        self._create(Settings(namespace, stored, variant, durability))

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
