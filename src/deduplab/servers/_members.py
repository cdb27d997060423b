"""A replicated system: several private servers of one product, which is up when all are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from deduplab.server import Endpoint, Member, Server
from deduplab.servers._account import make_passable
from deduplab.servers._private_server import PrivateServer


def member_workspace(workspace: Path, name: str) -> Path:
    """Make the directory of a member; an account that the product runs under gets there."""
    workspace.chmod(workspace.stat().st_mode | 0o011)
    directory = workspace / name
    make_passable(directory)
    return directory


class Members(Server):
    """Members by name, in the order in which they start; clients are led to the first.

    Each has a directory of its own below the workspace.

    Parameters
    ----------
    servers
        Each in :func:`member_workspace`; one that follows another takes the other's address
        when it starts.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        servers: Mapping[str, PrivateServer],
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._servers = dict(servers)

    def start(self) -> Endpoint:
        """Bring all members up, one after the other.

        Raises
        ------
        SystemUnavailable
            If one does not come up; then none is left behind.
        """
        return self._started(lambda server: server.start())

    def stop(self) -> None:
        """Shut all members down, the first at last, so that the others lose nobody they follow."""
        for server in reversed(self._servers.values()):
            server.stop()

    def restart(self, while_down: Callable[[], None] = lambda: None) -> Endpoint:
        """Shut all down and start them again, each with its data and address."""
        self.stop()
        while_down()
        return self._started(lambda server: server.restart())

    def processes(self) -> tuple[int, ...]:
        """Return the ids of all members' processes."""
        return tuple(one for server in self._servers.values() for one in server.processes())

    def ended(self) -> str | None:
        """Return how the first member that ended though nobody stopped it did so, or None."""
        for name, server in self._servers.items():
            if (how := server.ended()) is not None:
                return f"{name}: {how}"
        return None

    def members(self) -> tuple[Member, ...]:
        """Return all members with their data directories."""
        return tuple(Member(name, server.data) for name, server in self._servers.items())

    def _started(self, start: Callable[[PrivateServer], Endpoint]) -> Endpoint:
        try:
            first, *others = [start(server) for server in self._servers.values()]
        except BaseException:
            self.stop()
            raise
        return dataclasses.replace(first, members=tuple(others))
