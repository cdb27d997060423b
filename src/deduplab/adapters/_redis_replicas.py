"""The replicas of a Redis: what they have of the primary's writes, each asked itself.

Sources: Redis documentation, "Redis replication", "INFO" (section replication), "WAIT",
"WAITAOF".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from deduplab.adapters import _redis_status as told
from deduplab.adapters._asked_member import AskedMember
from deduplab.adapters._resp import Resp
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint

_ANSWER_S: Final = 5
_ACKNOWLEDGED_MS: Final = 30_000
_LOOKS: Final = 15_000
_REFUSED: Final = 5
"""How often in a row a replica may not answer before it is given up."""


class _Replica(AskedMember[Resp]):
    """One replica."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, partial(Resp.connect, answer_s=_ANSWER_S))

    def info(self) -> dict[str, str]:
        """Return what it tells of itself; nothing where it does not answer."""
        try:
            with self.asked() as wire:
                return told.info(wire)
        except SystemUnavailable:
            return {}


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

    def wires(self) -> Iterator[Resp]:
        """Yield a connection to each.

        Raises
        ------
        SystemUnavailable
            If one can't be reached.
        """
        for replica in self._replicas:
            with replica.asked() as wire:
                yield wire

    def acknowledge(self, primary: Resp) -> None:
        """Wait until all have what was written over this connection to the primary.

        Raises
        ------
        SystemUnavailable
            If they don't say so within thirty seconds.
        """
        wanted = len(self)
        found = primary.call(b"WAIT", b"%d" % wanted, b"%d" % _ACKNOWLEDGED_MS)
        if found < wanted:
            raise SystemUnavailable(
                f"redis: {found} of {wanted} replicas acknowledged a write within "
                f"{_ACKNOWLEDGED_MS // 1000} s; is one of them down or stopped? See its log"
            )

    def follow(self, primary: Resp, pause: told.Pause) -> None:
        """Wait until all have what the primary has, whoever wrote it.

        Raises
        ------
        SystemUnavailable
            If one does not answer, or is behind after five minutes.
        """
        if not self._replicas:
            return
        refused = 0
        for _ in range(_LOOKS):
            reached = told.info(primary)
            found = [replica.info() for replica in self._replicas]
            if all(_has(one, reached) for one in found):
                return
            refused = 0 if all(found) else refused + 1
            if refused == _REFUSED:
                break
            pause(told.LOOK_S)
        missing = sum(not _has(one, reached) for one in found)
        how = "do not answer" if refused else "are behind"
        raise SystemUnavailable(f"redis: {missing} of {len(self)} replicas {how}; see their logs")

    def signals(self, primary: Mapping[str, str]) -> Iterator[Mapping[str, int]]:
        """Yield what is under way in each, and whether it is behind what the primary told."""
        for replica in self._replicas:
            found = replica.info()
            yield told.numbers(found, told.BUSY) | {
                "replicas_behind": int(not _has(found, primary))
            }

    def copies(self, primary: Resp, count: Callable[[Resp], int]) -> int:
        """Return how many of primary and replicas have all of it.

        Parameters
        ----------
        count
            Counts what is there over a connection.
        """
        objects = count(primary)
        reached = told.info(primary)
        return 1 + sum(_holds(replica, reached, objects, count) for replica in self._replicas)

    def configuration(self, *, all_acknowledge: bool) -> dict[str, str]:
        """Return how many copies there are, and whose acknowledgement is an operation's."""
        if not self._replicas:
            return {}
        every = f"WAIT {len(self)}" if all_acknowledge else "the primary's alone"
        return {"replicas": str(1 + len(self)), "acknowledgement": every}


def _holds(
    replica: _Replica, reached: Mapping[str, str], objects: int, count: Callable[[Resp], int]
) -> bool:
    if not _has(replica.info(), reached):
        return False
    try:
        with replica.asked() as wire:
            return count(wire) == objects
    except SystemUnavailable:
        return False


def _has(replica: Mapping[str, str], primary: Mapping[str, str]) -> bool:
    """Whether a replica has all that the primary had, by what both told of themselves."""
    return (
        replica.get("master_link_status") == "up"
        and replica.get("master_replid") == primary["master_replid"]
        and int(replica["slave_repl_offset"]) >= int(primary["master_repl_offset"])
    )
