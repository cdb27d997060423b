"""The replicas of a MariaDB: what they have applied of the primary's binary log, each asked itself.

Sources: MariaDB Knowledge Base, "Global Transaction ID" (``gtid_binlog_pos``, ``last_gtid``),
"MASTER_GTID_WAIT", "MASTER_POS_WAIT", "FLUSH" (binary logs), "PURGE BINARY LOGS".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from deduplab.adapters import _mariadb_status as told
from deduplab.adapters._asked_member import AskedMember
from deduplab.adapters._mariadb_connector import Connection
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint

_ANSWER_S: Final = 5
_WAIT_S: Final = 3
"""How long a replica waits by itself before it answers that it is behind."""

_ACKNOWLEDGED_WAITS: Final = 10
_FOLLOWED_WAITS: Final = 100
_PURGE_LOOKS: Final = 1_500

_POSITION: Final = "SELECT @@global.gtid_binlog_pos"
_CURRENT: Final = "SHOW MASTER STATUS"
_LAST: Final = "SELECT @@last_gtid"


class _Replica(AskedMember[Connection]):
    """One replica."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, partial(Connection.connect, answer_s=_ANSWER_S))

    def working(self) -> closing[Connection]:
        """Return a connection of its own, for statements that take long."""
        return closing(Connection.connect(self.endpoint))

    def has(self, position: str) -> bool:
        """Whether it has applied the log up to a position; not where it does not answer."""
        try:
            with self.asked() as sql:
                return _has(sql, position)
        except SystemUnavailable:
            return False

    def signals(self, position: str, variant: str) -> Mapping[str, int]:
        """Return what is under way, and whether it is behind a position or does not answer."""
        try:
            with self.asked() as sql:
                behind = {"replicas_behind": int(not _has(sql, position))}
                return behind | told.signals(sql, variant)
        except SystemUnavailable:
            return {"replicas_behind": 1}

    def wait(self, call: str, waits: int) -> bool:
        """Have it wait until a function of the product says that it is there; whether it did."""
        for _ in range(waits):
            with self.asked() as sql:
                answer = sql.scalar(f"SELECT {call}, {_WAIT_S})") or "-1"
            if int(answer) >= 0:
                return True
        return False


class Replicas:
    """The replicas of a primary.

    Parameters
    ----------
    endpoints
        Where they are; none without replication.
    """

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._replicas = tuple(map(_Replica, endpoints))

    def __len__(self) -> int:
        return len(self._replicas)

    def close(self) -> None:
        """Disconnect from all."""
        for replica in self._replicas:
            replica.close()

    def working(self) -> Iterator[Connection]:
        """Yield a connection to each, for statements that take long; it is closed behind."""
        for replica in self._replicas:
            with replica.working() as sql:
                yield sql

    def acknowledge(self, primary: Connection) -> None:
        """Wait until all have committed what was committed last over this connection.

        Raises
        ------
        SystemUnavailable
            If one has not by half a minute, or does not answer.
        """
        last = primary.scalar(_LAST)
        if last:
            self._wait_all(f"MASTER_GTID_WAIT('{last}'", _ACKNOWLEDGED_WAITS)

    def follow(self, primary: Connection) -> None:
        """Wait until all have applied the primary's log, whoever wrote it.

        Raises
        ------
        SystemUnavailable
            If one has not by five minutes, or does not answer.
        """
        if self._replicas:
            position = primary.scalar(_POSITION)
            self._wait_all(f"MASTER_GTID_WAIT('{position}'", _FOLLOWED_WAITS)

    def purge_logs(self, primary: Connection) -> None:
        """Begin a new binary log and remove all older ones, which every replica has applied.

        A replica begins a new relay log with it, and removes the older ones itself. A log that is
        still sent to a replica, or that the engine needs after a crash before its own log is
        synced, is left by the server without a word: so it is asked again.

        Raises
        ------
        OperationFailed
            If older logs are still there after half a minute.
        """
        if not self._replicas:
            return
        primary.query("FLUSH BINARY LOGS")
        current = primary.query(_CURRENT)[0][0]
        for _ in range(_PURGE_LOOKS):
            primary.query(f"PURGE BINARY LOGS TO '{current}'")
            if len(primary.query("SHOW BINARY LOGS")) == 1:
                break
            primary.query("SELECT SLEEP(0.02)")
        else:
            raise OperationFailed(f"mariadb: binary logs before {current} can't be removed")
        reached = primary.query(_CURRENT)[0][1]
        self._wait_all(f"MASTER_POS_WAIT('{current}', {reached}", _FOLLOWED_WAITS)

    def signals(self, primary: Connection, variant: str) -> Iterator[Mapping[str, int]]:
        """Yield what is under way in each, and whether it is behind the primary."""
        position = primary.scalar(_POSITION) if self._replicas else None
        for replica in self._replicas:
            yield replica.signals(position or "", variant)

    def copies(self, primary: Connection) -> int:
        """Return how many of primary and replicas have all that is in the primary's log."""
        if not self._replicas:
            return 1
        position = primary.scalar(_POSITION) or ""
        return 1 + sum(replica.has(position) for replica in self._replicas)

    def configuration(self, *, all_acknowledge: bool) -> dict[str, str]:
        """Return how many copies there are, and whose acknowledgement is an operation's."""
        if not self._replicas:
            return {}
        every = "MASTER_GTID_WAIT of all replicas" if all_acknowledge else "the primary's alone"
        return {"replicas": str(1 + len(self)), "acknowledgement": every}

    def _wait_all(self, call: str, waits: int) -> None:
        for number, replica in enumerate(self._replicas, 1):
            try:
                reached = replica.wait(call, waits)
            except SystemUnavailable as error:
                raise SystemUnavailable(
                    f"mariadb: replica {number} of {len(self)} does not answer; see its log "
                    f"({error})"
                ) from error
            if not reached:
                raise SystemUnavailable(
                    f"mariadb: replica {number} of {len(self)} has not applied the primary's log "
                    f"after {waits * _WAIT_S} s; see SHOW SLAVE STATUS there"
                )


def _has(sql: Connection, position: str) -> bool:
    """Whether a replica has applied the primary's log up to a position, by its own word."""
    return sql.scalar(f"SELECT MASTER_GTID_WAIT('{position}', 0)") == "0"
