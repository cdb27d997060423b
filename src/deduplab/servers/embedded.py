"""An embedded engine's "server": a data directory, and this process."""

from __future__ import annotations

import os

from deduplab.server import Endpoint, Server


class EmbeddedServer(Server):
    """Gives an engine that runs in this process a private, empty data directory."""

    def start(self) -> Endpoint:
        """Create the data directory."""
        directory = self.workspace / "data"
        directory.mkdir(parents=True, exist_ok=True)
        return Endpoint(directory=directory)

    def stop(self) -> None:
        """Do nothing: the adapter's ``close`` ends the engine."""

    def processes(self) -> tuple[int, ...]:
        """Return this process: an embedded engine does its work here."""
        return (os.getpid(),)
