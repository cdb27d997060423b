"""A private Redis: an instance of our own, on loopback, for one user with few rights.

See docs/systems/redis.md for every setting that differs from the product's
default, and why. Valkey is brought up by the same recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from deduplab.server import Client, Endpoint, Server
from deduplab.servers import _redis_rights as rights
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)
from deduplab.servers._redis_binaries import find_client, find_redis, version_of
from deduplab.servers._redis_question import answer
from deduplab.servers._redis_replication import Replication, replicated

_APPEND: Final = {
    "fsync": {"appendonly": "yes", "appendfsync": "always"},
    "interval": {"appendonly": "yes", "appendfsync": "everysec"},
    "none": {"appendonly": "no"},
}
_VARIANT: Final = {
    "aof": {"aof-use-rdb-preamble": "no"},
    "rdb-uncompressed": {"rdbcompression": "no"},
}
_WAITAOF_SINCE: Final = (7, 2, 0)


class RedisServer(PrivateServer):
    """One private Redis instance.

    Parameters
    ----------
    replication
        Where it is a member of a replicated system.

    Attributes
    ----------
    find
        What finds its program.
    rules
        What its only user may do, in the words of ``ACL SETUSER``.
    clients
        The programs that talk to it, the best first.
    """

    product = "redis"
    title = "Redis"
    durabilities = tuple(_APPEND)
    ready_s = 120.0
    taken = "Address already in use"
    rules: ClassVar[str] = rights.private_rules()
    find: ClassVar[Callable[[], Path]] = staticmethod(find_redis)
    clients: ClassVar[tuple[str, ...]] = ("redis-cli", "valkey-cli")

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        replication: Replication | None = None,
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._replication = replication

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return a primary with ``replicas - 1`` replicas, each with an AOF or RDB of its own."""
        return replicated(cls, workspace, variant=variant, durability=durability, replicas=replicas)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return commands for ``redis-cli``, for keys ``deduplab:namespace..`` alone."""
        return rights.grants(user, namespace)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return ``redis-cli`` or ``valkey-cli``; each takes the password by a variable."""
        assert endpoint.secret is not None
        program = find_client(*cls.clients)
        where = ["-h", str(endpoint.host), "-p", str(endpoint.port), "--user", str(endpoint.user)]
        return Client(
            (str(program), *where),
            environment_without("REDISCLI_", "VALKEYCLI_", REDISCLI_AUTH=endpoint.secret.reveal()),
            rights.WORDS,
        )

    def _prepare(self) -> None:
        program = type(self).find()
        if self._secret is not None:
            return
        self.data.mkdir(mode=0o700)
        secret = new_secret()
        digest = hashlib.sha256(secret.reveal().encode()).hexdigest()
        rules = self.rules
        if version_of(program) >= _WAITAOF_SINCE:
            rules += f" {rights.WAITAOF}"
        followers = ""
        if self._replication is not None:
            rules += f" {rights.WAIT}"
            followers = self._replication.users()
        users = write_private(
            self.workspace / "users.acl",
            f"user default off\nuser {USER} on #{digest} {rules}\n{followers}",
        )
        settings = {
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "daemonize": "no",
            "dir": _quoted(self.data),
            "aclfile": _quoted(users),
            "save": '""',
            **_APPEND[self.durability],
            **_VARIANT.get(self.variant, {}),
            **(self._replication.settings() if self._replication else {}),
        }
        write_private(self._configuration, "".join(f"{k} {v}\n" for k, v in settings.items()))
        self._secret = secret

    def _start_once(self) -> Endpoint:
        program, port = type(self).find(), self._port()
        endpoint = self._reached_at(port)
        where = ["--port", str(port)]
        if self._replication is not None:
            where += self._replication.arguments()
        self._launch(
            [str(program), str(self._configuration), *where],
            lambda: self._is_ready(endpoint),
            environment=server_environment(LC_ALL="C"),
            directory=self.data,
        )
        return endpoint

    def _is_ready(self, endpoint: Endpoint) -> bool:
        """Whether our user can log in and gets an answer that is not about loading files.

        A replica has everything of the primary's, too.
        """
        if answer(endpoint, "PING") != b"+PONG":
            return False
        return self._replication is None or self._replication.is_ready(endpoint)

    @property
    def _configuration(self) -> Path:
        return self.workspace / f"{self.product}.conf"


def _quoted(path: Path) -> str:
    """Return a path as a configuration takes it whatever stands in it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
