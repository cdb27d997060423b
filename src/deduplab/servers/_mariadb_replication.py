"""What the members of a replicated MariaDB have in common: who is followed, how, and by whom.

A replica begins with a data directory of its own, as the primary does, and applies the primary's
binary log from its beginning on, by global transaction ids. Sources: MariaDB Knowledge Base,
"Setting Up Replication", "Global Transaction ID", "CHANGE MASTER TO", "Replication and Binary Log
System Variables", "sync_binlog", "gtid_pos_auto_engines".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deduplab.server import Server
from deduplab.servers._members import Members, member_workspace
from deduplab.servers._private_server import HOST, new_secret

if TYPE_CHECKING:
    from deduplab.servers.mariadb import MariadbServer

LEADER: Final = "primary"

_REPLICATOR: Final = "replicator"
_SYNC_BINARY_LOG: Final = {"fsync": "1", "interval": "0", "none": "0"}
_CONNECTED: Final = b"Slave I/O thread: connected to master"
_MYROCKS: Final = "myrocks"


class Replication:
    """A secret of replicas alone, the options of every member, and the member that is followed.

    Parameters
    ----------
    primary
        Who is followed; None for the primary itself.
    secret
        What a replica logs in by.
    number
        Which of the replicas it is, from 1 on.
    """

    def __init__(
        self, primary: MariadbServer | None = None, secret: str | None = None, number: int = 0
    ) -> None:
        self.secret = secret or new_secret().reveal()
        self._primary = primary
        self._number = number

    def arguments(self, variant: str, durability: str) -> Sequence[str]:
        """Return the options of this member."""
        identity = f"--server-id={1 + self._number}"
        if self._primary is None:
            sync = _SYNC_BINARY_LOG[durability]
            # Rows, not statements: what is replicated is the same whatever the statement was.
            return (
                identity,
                "--log-bin=binlog",
                "--binlog-format=ROW",
                f"--sync-binlog={sync}",
            )
        options = (identity, "--relay-log=relay-log", "--read-only=ON", "--skip-slave-start")
        # A transaction with its position is one of one engine: else each is a commit in two phases.
        return (*options, *(["--gtid-pos-auto-engines=rocksdb"] if variant == _MYROCKS else []))

    def first_statements(self) -> str:
        """Return what is run before the user is made, so that each member has one of its own."""
        if self._primary is not None:
            return ""
        user = f"{_REPLICATOR}@'{HOST}'"
        return (
            "SET SESSION sql_log_bin = 0;\n"
            f"CREATE USER {user} IDENTIFIED BY '{self.secret}';\n"
            f"GRANT REPLICATION SLAVE ON *.* TO {user};\n"
        )

    def statements(self) -> str:
        """Return what is run at every start: the primary's address of that moment."""
        if self._primary is None:
            return ""
        reached = self._primary.endpoint
        assert reached is not None
        return (
            f"CHANGE MASTER TO MASTER_HOST='{reached.host}', MASTER_PORT={reached.port}, "
            f"MASTER_USER='{_REPLICATOR}', MASTER_PASSWORD='{self.secret}', "
            "MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1;\n"
            "START SLAVE;\n"
        )

    def is_ready(self, log: bytes) -> bool:
        """Whether a member has said, in its log since its start, that it follows the primary."""
        return self._primary is None or _CONNECTED in log


def replicated(
    recipe: type[MariadbServer], workspace: Path, *, variant: str, durability: str, replicas: int
) -> Server:
    """Return a primary with a binary log, and replicas that apply it.

    The product acknowledges a commit when the primary has it; who wants to have it acknowledged
    by all has to ask each (``MASTER_GTID_WAIT``), which the adapter does at the durability
    ``fsync``.
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
