"""A replicated system: several private servers of one product, which is up when all are.

The first is started alone, for the others take its address or a copy of its data; then they start
at once. Each of them is spawned by a thread that lives until all are shut down: the kernel ends a
child with the *thread* that spawned it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
    """Members by name; the first starts before all others, and clients are led to it.

    Each has a directory of its own below the workspace.

    Parameters
    ----------
    servers
        Each in :func:`member_workspace`; one that follows another takes the other's address
        when it starts.
    at_once
        How many of the others may start at the same time; None for all.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        servers: Mapping[str, PrivateServer],
        at_once: int | None = None,
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._servers = dict(servers)
        self._at_once = at_once or len(self._servers)
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> Endpoint:
        """Bring the first member up, then all others.

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
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

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
        first, *others = self._servers.values()
        begun: list[Future[Endpoint]] = []
        try:
            reached = start(first)
            self._threads = ThreadPoolExecutor(self._at_once, "member")
            begun += [self._threads.submit(start, server) for server in others]
            return dataclasses.replace(reached, members=tuple(one.result() for one in begun))
        except BaseException:
            self._give_up(begun)
            raise

    def _give_up(self, begun: list[Future[Endpoint]]) -> None:
        """Leave none behind, neither of those that are up nor of those that come up just now."""
        for one in begun:
            one.cancel()
        for server in reversed(self._servers.values()):
            server.stop()  # whoever waits for it to be ready, or for its data, waits no more
        wait(begun)  # each has a deadline of its own
        self.stop()
