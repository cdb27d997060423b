"""What all private servers have in common: a data directory, a log, one child process, one user.

A recipe says what its product needs: how the directory is prepared once, how
the program is started at a port, and when it is ready.
"""

from __future__ import annotations

import os
import secrets
import signal
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._account import Account, first_closed_directory
from deduplab.servers._process import (
    ChildProcess,
    free_port,
    log_tail,
    started_on_a_free_port,
)

USER: Final = "deduplab"
HOST: Final = "127.0.0.1"


class PrivateServer(Server):
    """One private instance of a product that runs as one child process on loopback.

    Attributes
    ----------
    product, title
        The product's name in the registry, and as messages spell it.
    durabilities
        Those that are an option of the server's start; empty where any will do.
    stop_steps
        Signals that end it in order, and the seconds that each is given.
    ready_s
        How long it may take from its start to its first answer.
    taken
        What its log says when another process has the port.
    endpoint
        Where it was reached last; None before the first start.
    """

    product: ClassVar[str]
    title: ClassVar[str]
    durabilities: ClassVar[Sequence[str]] = ()
    stop_steps: ClassVar[Sequence[tuple[signal.Signals, float]]] = ((signal.SIGTERM, 30.0),)
    ready_s: ClassVar[float] = 30.0
    taken: ClassVar[str] = "ddress already in use"

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if self.durabilities and durability not in self.durabilities:
            raise Unsupported(
                f"{self.product} has no durability {durability!r}; "
                f"it has: {', '.join(self.durabilities)}"
            )
        self.data = workspace / "data"
        self.log = workspace / f"{self.product}.log"
        self.endpoint: Endpoint | None = None
        self._account: Account | None = None
        self._child: ChildProcess | None = None
        self._secret: Secret | None = None
        self._ports: dict[str, int] = {}
        self._keeps_ports = False

    def start(self) -> Endpoint:
        """Prepare the data directory where that was not done yet, and start the server.

        Raises
        ------
        SystemUnavailable
            If there is no program, or the server does not answer by the deadline
            (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"{self.title} in {self.workspace} runs already")
        self._prepare()
        self.endpoint = started_on_a_free_port(self._start_once, self._port_is_taken)
        return self.endpoint

    def stop(self) -> None:
        """Shut down in order, then by force."""
        child = self._child  # its start may be given up by another thread meanwhile
        if child is not None:
            child.stop(self.stop_steps)
            self._child = None

    def restart(self, while_down: Callable[[], None] = lambda: None) -> Endpoint:
        """Shut down in order and start again at the same ports, with the same data.

        Raises
        ------
        SystemUnavailable
            If it does not come up again, as where another process took a port meanwhile.
        """
        self.stop()
        while_down()
        self._keeps_ports = True
        try:
            return self.start()
        finally:
            self._keeps_ports = False

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the server and of all its children."""
        return self._child.process_ids() if self._child is not None else ()

    def ended(self) -> str | None:
        """Return how the server ended though nobody stopped it, or None."""
        return self._child.ended() if self._child is not None else None

    @abstractmethod
    def _prepare(self) -> None:
        """Find the product; at the first start make directories, credentials and settings."""

    @abstractmethod
    def _start_once(self) -> Endpoint:
        """Look for a free port and start the server there, by :meth:`_launch`."""

    def _port(self, name: str = "client") -> int:
        """Return a free port, another one for each name; in a restart the one that it had."""
        if not (self._keeps_ports and name in self._ports):
            self._ports.pop(name, None)
            port = free_port()
            while port in self._ports.values():
                port = free_port()
            self._ports[name] = port
        return self._ports[name]

    def _port_is_taken(self) -> bool:
        """Whether the log says that another process has the port."""
        return self.taken in log_tail(self.log, 60)

    def _launch(self, argv: Sequence[str], ready: Callable[[], bool], **spawned: Any) -> None:
        """Start the program and wait until it is ready; ``spawned`` as for ``ChildProcess``."""
        given = {"account": self._account, "directory": self.workspace, **spawned}
        self._child = ChildProcess(self.title, argv, log=self.log, **given)
        with self._stopped_on_error():
            self._child.wait_ready(ready, deadline_s=self.ready_s)

    @contextmanager
    def _stopped_on_error(self) -> Iterator[None]:
        """Leave no server behind that came up in part."""
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def _run_tool(
        self,
        name: str,
        argv: Sequence[str],
        *,
        deadline_s: float,
        log: Path | None = None,
        **spawned: Any,
    ) -> None:
        """Run a program of the product to its end.

        Raises
        ------
        SystemUnavailable
            If it fails or has not ended by the deadline, with the end of its log.
        """
        log = log or self.log
        given = {"account": self._account, "directory": self.workspace, **spawned}
        child = ChildProcess(name, argv, log=log, **given)
        try:
            code = child.wait(deadline_s=deadline_s)
        finally:
            child.stop(())
        if code != 0:
            raise SystemUnavailable(
                f"{name} ended with exit code {code}; its log {log} ends:\n{log_tail(log)}"
            )

    def _make_directories(self, *directories: Path) -> None:
        """Make the log, and directories for the account that the product runs under."""
        self.log.touch(mode=0o600)
        for directory in directories:
            directory.mkdir(mode=0o700)
        if self._account is None:
            return
        # The workspace is ours: the account may pass through it, not list it.
        self.workspace.chmod(self.workspace.stat().st_mode | 0o011)
        closed = first_closed_directory(self.workspace, self._account)
        if closed is not None:
            raise SystemUnavailable(
                f"{self.title} refuses root and runs as {self._account.name}, which can't enter "
                f"{closed}; choose a working directory below /tmp or /var/tmp, or run as a user"
            )
        for directory in directories:
            self._account.own(directory)

    def _reached_at(self, port: int, **more: Any) -> Endpoint:
        """Return where the instance is reached, as the lab's user."""
        return Endpoint(
            directory=self.data, host=HOST, port=port, user=USER, secret=self._secret, **more
        )


def new_secret() -> Secret:
    """Return a generated credential of letters, digits, ``-`` and ``_``."""
    return Secret(secrets.token_urlsafe(24))


def write_private(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file that we alone can read; return it. One that is there is replaced at once."""
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return aside.rename(path)
