"""The door of every adapter here: what ``create`` is asked for is checked in one place."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from deduplab.adapter import Adapter, checked_namespace
from deduplab.adapters._layout import Layout
from deduplab.adapters._marker import Settings
from deduplab.record import RecordType


class CheckedAdapter(Adapter):
    """Base of all adapters; a sub-class says how a namespace is made and entered (``_create``).

    Attributes
    ----------
    product
        The system's name, for messages and, where it has no other, identities.
    """

    product: ClassVar[str]

    @abstractmethod
    def _create(self, settings: Settings) -> None:
        """Make the namespace with our marker, or empty one of ours, and enter it.

        Name, variant, durability and layout are allowed; whether this system can do
        them as it is set up, and whether something of that name is not ours, is still
        to be looked at.
        """

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
