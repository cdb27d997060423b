"""The door of every adapter here: what ``create`` and ``join`` are asked for is checked once."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from deduplab.adapter import Adapter, checked_namespace
from deduplab.adapters._layout import Layout
from deduplab.adapters._marker import Settings
from deduplab.errors import NamespaceRefused, Unsupported
from deduplab.record import RecordType


@dataclass(frozen=True, slots=True)
class Joining:
    """What another process has to know to join a namespace: its settings, as far as they travel."""

    namespace: str
    layout: str
    variant: str
    durability: str


class CheckedAdapter(Adapter):
    """Base of all adapters; a sub-class says how a namespace is made and entered (``_create``).

    One that can be joined by other processes says how (``_join``), and overrides ``joining``.

    Attributes
    ----------
    product
        The system's name, for messages and, where it has no other, identities.
    """

    product: ClassVar[str]
    _created: Settings | None = None
    _has_joined: bool = False

    @abstractmethod
    def _create(self, settings: Settings) -> None:
        """Make the namespace with our marker, or empty one of ours, and enter it.

        Name, variant, durability and layout are allowed; whether this system can do
        them as it is set up, and whether something of that name is not ours, is still
        to be looked at.
        """

    def _join(self, settings: Settings) -> None:
        """Enter a namespace that is there, with its marker; check the durability as ``_create``."""
        raise Unsupported(f"{self.product}: its files belong to one process")

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
        self._check_owner()
        checked_namespace(namespace)
        self.capabilities.require(
            self.product, layout=layout, variant=variant, durability=durability
        )
        stored = Layout.of(self.product, layout, record_type)
        settings = Settings(namespace, stored, variant, durability)
        self._create(settings)
        self._created = settings

    def join(self, joining: object, record_type: RecordType | None = None) -> None:
        """Join a namespace that an adapter of another process has entered."""
        assert isinstance(joining, Joining)
        stored = Layout.of(self.product, joining.layout, record_type)
        self._has_joined = True
        self._join(Settings(joining.namespace, stored, joining.variant, joining.durability))

    def _joining(self) -> Joining | None:
        """Return the settings of the namespace that was created, as they travel."""
        made = self._created
        if made is None:
            return None
        return Joining(made.namespace, made.layout.name, made.variant, made.durability)

    def _check_owner(self) -> None:
        """Refuse what only the process may do that created the namespace."""
        if self._has_joined:
            raise NamespaceRefused(
                f"{self.product}: who joined a namespace neither creates, empties nor destroys one"
            )

    def _gone(self, namespace: str) -> NamespaceRefused:
        return NamespaceRefused(
            f"{self.product}: namespace {namespace!r} is gone; it can't be joined"
        )
