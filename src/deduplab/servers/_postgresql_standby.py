"""A standby of a private PostgreSQL: a copy of its cluster that replays its log.

Sources: PostgreSQL documentation, "Log-Shipping Standby Servers" (streaming replication,
replication slots, synchronous replication), "pg_basebackup".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Server
from deduplab.servers._environment import server_environment
from deduplab.servers._members import Members, member_workspace
from deduplab.servers._private_server import write_private
from deduplab.servers.postgresql import PostgresqlServer, answers_with

_COPYING_S: Final = 120.0
_STREAMS: Final = "SELECT status FROM pg_stat_wal_receiver"

LEADER: Final = "primary"

_AT_ONCE: Final = 2
"""So many standbys may be copied at the same time: each takes two of the primary's
``max_wal_senders`` meanwhile, by default ten, and one afterwards."""


class PostgresqlStandby(PostgresqlServer):
    """Follows a primary over a replication slot of its own, which keeps the log that it needs."""

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        primary: PostgresqlServer,
        slot: str,
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._primary = primary
        self._slot = slot

    def _make_cluster(self) -> None:
        """Copy the primary's cluster; the copy knows how to reach it from then on."""
        primary = self._primary.endpoint
        assert primary is not None
        assert primary.secret is not None
        # It stays: the copy's own connection to the primary names this file.
        password_file = self.workspace / "pgpass"
        line = f"{primary.host}:{primary.port}:*:{primary.user}:{primary.secret.reveal()}\n"
        write_private(password_file, line)
        if self._account:
            self._account.own(password_file)
        self._reserve(primary)
        self._run_tool(
            "pg_basebackup",
            self._copying(primary),
            deadline_s=_COPYING_S,
            environment=server_environment(LC_ALL="C", PGPASSFILE=str(password_file)),
        )
        self._secret = primary.secret

    def _reserve(self, primary: Endpoint) -> None:
        """Make the slot before the copy, which could do so itself, but only when it has begun.

        By then the checkpoint of another copy may have removed log that this one needs.
        """
        made = "SELECT slot_name::text FROM pg_create_physical_replication_slot('{}', true)"
        if not answers_with(primary, made.format(self._slot), self._slot):
            raise SystemUnavailable(
                f"the primary made no replication slot {self._slot}; see its log"
            )

    def _copying(self, primary: Endpoint) -> Sequence[str]:
        return [
            str(self.binaries / "pg_basebackup"),
            f"--pgdata={self.data}",
            f"--host={primary.host}",
            f"--port={primary.port}",
            f"--username={primary.user}",
            "--no-password",
            "--write-recovery-conf",
            "--wal-method=stream",
            f"--slot={self._slot}",
            "--checkpoint=fast",
            "--no-sync",
        ]

    def _is_ready(self, endpoint: Endpoint) -> bool:
        """Whether it lets clients in and receives the primary's log."""
        return answers_with(endpoint, _STREAMS, "streaming")

    def _use_up_spare_segments(self, endpoint: Endpoint) -> None:
        """Do nothing: it has the primary's segments, which has none to spare any more."""


def replicated(workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
    """Return a primary with standbys on loopback.

    Every commit at the durability ``fsync`` waits until all standbys have its log on stable
    storage (``synchronous_standby_names``, ``synchronous_commit = on``); at ``interval`` it waits
    for nobody.
    """
    standbys = [f"standby-{number}" for number in range(1, replicas)]
    options = {"variant": variant, "durability": durability}
    primary = PostgresqlServer(
        member_workspace(workspace, LEADER), **options, standbys=len(standbys)
    )
    servers = {LEADER: primary} | {
        name: PostgresqlStandby(
            member_workspace(workspace, name),
            **options,
            primary=primary,
            slot=name.replace("-", "_"),
        )
        for name in standbys
    }
    return Members(
        workspace, variant=variant, durability=durability, servers=servers, at_once=_AT_ONCE
    )
