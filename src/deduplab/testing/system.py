"""What a contract test needs of a system: how it is made, and how to look behind its back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deduplab.adapter import Adapter, Capabilities
from deduplab.registry import SystemEntry
from deduplab.server import Endpoint, Server
from deduplab.testing.records import SAMPLE_RECORDS


class RawLook(Protocol):
    """Looks at a system with its raw driver or its raw files, never by the adapter.

    ``count``, ``fetch`` and ``exists`` are called while the adapter is closed,
    because an embedded engine may allow one user at a time; ``make_foreign``
    and ``remove_marker`` while it is open.
    """

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        """Return the number of objects."""
        ...

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        """Return the payload of a key, or None."""
        ...

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        """Return whether there is something of that name, ours or not."""
        ...

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        """Make something of that name that is not ours, with something in it."""
        ...

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        """Take our marker away, and nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class SystemUnderTest:
    """One system, as a contract suite sees it.

    Parameters
    ----------
    name
        For messages.
    adapter
        Makes a new adapter.
    server
        Makes a server in a workspace, for a variant and a durability.
    raw
        Looks behind the adapter's back.
    """

    name: str
    adapter: Callable[[], Adapter]
    server: Callable[[Path, str, str], Server]
    raw: RawLook

    @classmethod
    def of(cls, entry: SystemEntry, raw: RawLook) -> SystemUnderTest:
        """Return a registered system."""

        def server(workspace: Path, variant: str, durability: str) -> Server:
            return entry.server_class()(workspace, variant=variant, durability=durability)

        return cls(entry.name, lambda: entry.adapter_class()(), server, raw)

    @property
    def capabilities(self) -> Capabilities:
        """What the system offers."""
        return self.adapter().capabilities

    @property
    def default_settings(self) -> dict[str, Any]:
        """The first layout, variant and durability, as arguments of ``create``."""
        offers = self.capabilities
        return {
            "layout": offers.layouts[0],
            "variant": offers.variant_names()[0],
            "durability": offers.durability[0],
        }

    @property
    def native_settings(self) -> dict[str, Any]:
        """The defaults for the layout native, with the sample records' type."""
        native = {"layout": "native", "record_type": SAMPLE_RECORDS}
        return self.default_settings | native
