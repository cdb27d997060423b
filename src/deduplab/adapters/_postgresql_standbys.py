"""The standbys of a PostgreSQL: what they have of the primary's log, and their checkpoints.

Sources: PostgreSQL documentation, "Monitoring Statistics" (``pg_stat_replication``), "Backup
Control Functions" and "Recovery Information Functions", ``synchronous_commit``; "WAL
Configuration" (a ``CHECKPOINT`` on a standby is a restartpoint).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deduplab.adapters._asked_member import AskedMember
from deduplab.adapters._pgwire import Wire
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint

_BEHIND: Final = """
SELECT {standbys} - count(*) FROM pg_stat_replication
 WHERE replay_lsn >= pg_current_wal_flush_lsn()
"""
_REPLAYED_BY_ALL: Final = (
    "BEGIN",
    "SET LOCAL synchronous_commit = remote_apply",
    "SELECT pg_logical_emit_message(true, 'deduplab', 'replayed by all')",
    "COMMIT",
)


class Standbys:
    """Connections to the standbys of a primary, made when they are needed first.

    Parameters
    ----------
    endpoints
        Where the standbys are; none without replication.
    """

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._standbys = [AskedMember(endpoint, Wire.connect) for endpoint in endpoints]

    def __len__(self) -> int:
        return len(self._standbys)

    def close(self) -> None:
        """Disconnect from all."""
        for standby in self._standbys:
            standby.close()

    def behind(self, primary: Wire) -> dict[str, int]:
        """Return how many standbys have not replayed all of the log yet, by the primary's view.

        Nothing without replication.
        """
        if not self._standbys:
            return {}
        return {"standbys_behind": int(primary.scalar(_BEHIND.format(standbys=len(self))) or 0)}

    def follow(self, primary: Wire) -> None:
        """Wait until all have replayed the log, and the primary knows that they need it no more.

        The wait is the server's: a transaction that commits when all standbys have applied it.
        """
        if self._standbys:
            for statement in _REPLAYED_BY_ALL:
                primary.query(statement)

    def checkpoint(self, primary: Wire) -> None:
        """Have each do a checkpoint once it has replayed that of the primary, which it repeats.

        It removes the log that it does not need any more.
        """
        self.follow(primary)
        for standby in self._standbys:
            with standby.asked() as wire:
                wire.query("CHECKPOINT")

    def copies(self, primary: Wire) -> int:
        """Return how many have all of the primary's log replayed, each asked itself; and one.

        The log is the same byte by byte, so what is replayed is the same page by page. One
        that does not answer does not count.
        """
        reached = primary.scalar("SELECT pg_current_wal_flush_lsn()")
        question = f"SELECT pg_last_wal_replay_lsn() >= '{reached}'::pg_lsn"
        return 1 + sum(_answer(standby, question) == "t" for standby in self._standbys)

    def configuration(self, *, all_acknowledge: bool) -> dict[str, str]:
        """Return how many copies there are, and whose acknowledgement is an operation's."""
        if not self._standbys:
            return {}
        every = "a flush of all standbys" if all_acknowledge else "the primary's alone"
        return {"replicas": str(1 + len(self)), "acknowledgement": every}


def _answer(standby: AskedMember[Wire], question: str) -> str | None:
    """Ask a standby; None if it does not answer."""
    try:
        with standby.asked() as wire:
            return wire.scalar(question)
    except SystemUnavailable:
        return None
