"""What the members of a replicated Redis have in common: who is followed, how, and by whom.

Sources: Redis documentation, "Redis replication", "ACL" (rules for replicas), the comments of
``redis.conf`` on ``repl-diskless-sync``, ``repl-diskless-load`` and
``client-output-buffer-limit``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deduplab.server import Endpoint, Server
from deduplab.servers import _redis_rights as rights
from deduplab.servers._members import Members, member_workspace
from deduplab.servers._private_server import new_secret
from deduplab.servers._redis_question import answer

if TYPE_CHECKING:
    from deduplab.servers.redis import RedisServer

LEADER: Final = "primary"

_REPLICATOR: Final = "replicator"
_TRIED: Final = f"{rights.ROOT}tried"
_ACKNOWLEDGED_MS: Final = 1500
_SETTINGS: Final = {
    # The first copy goes from memory to memory, so no member keeps a file that it left.
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    "repl-diskless-load": "swapdb",
    # A replica that is slower than a bulk is waited for; cut off it would begin anew.
    "client-output-buffer-limit": "replica 0 0 0",
}
_FOLLOWS: Final = (
    b"master_link_status:up",
    b"master_sync_in_progress:0",
    b"aof_rewrite_in_progress:0",
    b"aof_rewrite_scheduled:0",
)
"""Of ``INFO``: it has everything, and its own AOF begins with that."""


class Replication:
    """A secret of replicas alone, the settings of every member, and the member that is followed.

    Parameters
    ----------
    primary
        Who is followed; None for the primary itself.
    secret
        What a replica logs in by.
    number
        Which of the replicas it is, from 1 on; they start in this order.
    """

    def __init__(
        self, primary: RedisServer | None = None, secret: str | None = None, number: int = 0
    ) -> None:
        self.secret = secret or new_secret().reveal()
        self._primary = primary
        self._number = number

    def users(self) -> str:
        """Return the line of the file of users for those who follow."""
        digest = hashlib.sha256(self.secret.encode()).hexdigest()
        return f"user {_REPLICATOR} on #{digest} {rights.REPLICATOR}\n"

    def settings(self) -> Mapping[str, str]:
        """Return the settings of this member."""
        if self._primary is None:
            return _SETTINGS
        return {**_SETTINGS, "masteruser": _REPLICATOR, "masterauth": self.secret}

    def arguments(self) -> Sequence[str]:
        """Return what the program is told at its start: the primary's address of that moment."""
        if self._primary is None:
            return ()
        reached = self._primary.endpoint
        assert reached is not None
        return ("--replicaof", str(reached.host), str(reached.port))

    def is_ready(self, endpoint: Endpoint) -> bool:
        """Whether a member that answers has everything of the primary's, and gets what comes.

        The primary may hold back what comes for up to a second after the first copy, and says
        so nowhere: so a write is made, and replicas have to acknowledge it, as many as this one's
        number. The last has the highest: when all members are ready, all have acknowledged one.
        """
        if self._primary is None:
            return True
        lines = answer(endpoint, "INFO").splitlines()
        if not all(line in lines for line in _FOLLOWS):
            return False
        primary = self._primary.endpoint
        assert primary is not None
        tried = f"{_TRIED}-{self._number}"  # its own: else another's DEL would leave it no write
        wait = f"WAIT {self._number} {_ACKNOWLEDGED_MS}"
        acknowledged = answer(primary, f"SETNX {tried} 1", f"DEL {tried}", wait)
        return acknowledged.startswith(b":") and int(acknowledged[1:]) >= self._number


def replicated(
    recipe: type[RedisServer], workspace: Path, *, variant: str, durability: str, replicas: int
) -> Server:
    """Return a primary with replicas on loopback, each with files of its own.

    The product acknowledges a write when the primary has it; who wants to have it acknowledged by
    all has to ask (``WAIT``), which the adapter does at the durability ``fsync``.
    """
    options = {"variant": variant, "durability": durability}
    leading = Replication()
    primary = recipe(member_workspace(workspace, LEADER), **options, replication=leading)
    servers = {LEADER: primary}
    for number in range(1, replicas):
        name = f"replica-{number}"
        following = Replication(primary, leading.secret, number)
        servers[name] = recipe(member_workspace(workspace, name), **options, replication=following)
    return Members(workspace, variant=variant, durability=durability, servers=servers)
