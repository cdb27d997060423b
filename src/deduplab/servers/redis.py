"""A private Redis: an instance of our own, on loopback, for one user with few rights.

See docs/systems/redis.md for every setting that differs from the product's
default, and why. Valkey is brought up by the same recipe.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._process import (
    ChildProcess,
    free_port,
    log_tail,
    started_on_a_free_port,
)
from deduplab.servers._redis_binaries import find_redis, version_of

USER: Final = "deduplab"
_READY_S: Final = 30.0
_STOP_STEPS: Final = ((signal.SIGTERM, 30.0),)

_APPEND: Final = {
    "fsync": {"appendonly": "yes", "appendfsync": "always"},
    "interval": {"appendonly": "yes", "appendfsync": "everysec"},
    "none": {"appendonly": "no"},
}
_VARIANT: Final = {
    "aof": {"aof-use-rdb-preamble": "no"},
    "rdb-uncompressed": {"rdbcompression": "no"},
}

RIGHTS: Final = (
    "resetkeys ~deduplab:* resetchannels -@all "
    "+auth +select +ping +info +time +scan +config|get +get +setnx +msetnx "
    "+multi +exec +hget +hsetnx +hgetall +hset +exists +eval +del +unlink +blpop "
    "+bgsave +bgrewriteaof +memory|purge"
)
"""What the lab's user may do: these commands, on keys that begin with ``deduplab:``."""

GRANTS: Final = (f"ACL SETUSER deduplab on ><password> {RIGHTS}", "ACL SAVE")
"""For an administrator of a server that runs already; since 7.2 with ``+waitaof`` as well."""

_WAITAOF_SINCE: Final = (7, 2, 0)


class RedisServer(Server):
    """One private Redis instance.

    Attributes
    ----------
    product, find
        The product's name, and what finds its program.
    rights
        What its only user may do, in the words of ``ACL SETUSER``.
    """

    product: ClassVar[str] = "redis"
    rights: ClassVar[str] = RIGHTS
    find: ClassVar[Callable[[], Path]] = staticmethod(find_redis)

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability not in _APPEND:
            raise Unsupported(
                f"{self.product} has no durability {durability!r}; it has: {[*_APPEND]}"
            )
        self.data = workspace / "data"
        self.log = workspace / f"{self.product}.log"
        self._configuration = workspace / f"{self.product}.conf"
        self._users = workspace / "users.acl"
        self._child: ChildProcess | None = None
        self._secret: Secret | None = None

    def start(self) -> Endpoint:
        """Write configuration and user where there are none yet, and start the server.

        Raises
        ------
        SystemUnavailable
            If there is no program, or the server does not answer by the deadline
            (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the {self.product} in {self.workspace} runs already")
        program = type(self).find()
        if self._secret is None:
            self._initialise(version_of(program))
        return started_on_a_free_port(
            lambda: self._start_at(program, free_port()),
            lambda: "Address already in use" in log_tail(self.log),
        )

    def stop(self) -> None:
        """Shut down in order (the AOF is synced), then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the server and of the children that write its files."""
        return self._child.process_ids() if self._child is not None else ()

    def _initialise(self, version: tuple[int, int, int]) -> None:
        self.data.mkdir(mode=0o700)
        secret = Secret(secrets.token_urlsafe(24))
        digest = hashlib.sha256(secret.reveal().encode()).hexdigest()
        rights = self.rights + (" +waitaof" if version >= _WAITAOF_SINCE else "")
        _write(self._users, f"user default off\nuser {USER} on #{digest} {rights}\n")
        settings = {
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "daemonize": "no",
            "dir": f'"{self.data}"',
            "aclfile": f'"{self._users}"',
            "save": '""',
            **_APPEND[self.durability],
            **_VARIANT.get(self.variant, {}),
        }
        _write(self._configuration, "".join(f"{k} {v}\n" for k, v in settings.items()))
        self._secret = secret

    def _start_at(self, program: Path, port: int) -> Endpoint:
        self._child = ChildProcess(
            self.product,
            [str(program), str(self._configuration), "--port", str(port)],
            log=self.log,
            environment={**os.environ, "LC_ALL": "C"},
            directory=self.data,
        )
        endpoint = Endpoint(
            directory=self.data, host="127.0.0.1", port=port, user=USER, secret=self._secret
        )
        try:
            self._child.wait_ready(lambda: _answers(endpoint), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        return endpoint


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _answers(endpoint: Endpoint) -> bool:
    """Whether our user can log in and gets an answer that is not about loading files."""
    assert endpoint.secret is not None
    commands = f"AUTH {USER} {endpoint.secret.reveal()}\r\nPING\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=2) as connection:
            connection.sendall(commands)
            received = b""
            while received.count(b"\r\n") < 2:
                piece = connection.recv(4096)
                if not piece:
                    return False
                received += piece
    except OSError:
        return False
    return received == b"+OK\r\n+PONG\r\n"
