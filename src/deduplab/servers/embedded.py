"""An embedded engine's "server": a data directory, and this process."""

from __future__ import annotations

import os
from pathlib import Path

from deduplab.server import Endpoint, Member, Server


class EmbeddedServer(Server):
    """Gives an engine that runs in this process a private, empty data directory.

    Parameters
    ----------
    replicas
        How many such directories it has: an engine that keeps copies of itself keeps each in one.
    """

    def __init__(
        self, workspace: Path, *, variant: str, durability: str, replicas: int = 1
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        further = (f"data-{number}" for number in range(2, replicas + 1))
        self._directories = [workspace / name for name in ("data", *further)]

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return one with a directory for each copy."""
        return cls(workspace, variant=variant, durability=durability, replicas=replicas)

    def start(self) -> Endpoint:
        """Create the data directories."""
        for directory in self._directories:
            directory.mkdir(parents=True, exist_ok=True)
        first, *others = self._directories
        return Endpoint(
            directory=first, members=tuple(Endpoint(directory=other) for other in others)
        )

    def stop(self) -> None:
        """Do nothing: the adapter's ``close`` ends the engine."""

    def processes(self) -> tuple[int, ...]:
        """Return this process: an embedded engine does its work here."""
        return (os.getpid(),)

    def members(self) -> tuple[Member, ...]:
        """Return the directories, where there are several."""
        if len(self._directories) == 1:
            return ()
        return tuple(Member(directory.name, directory) for directory in self._directories)
