"""The brokers that follow a Kafka's leader: what each has in its own logs, asked at itself.

Sources: Apache Kafka documentation, "Replication" (in-sync replicas, ``min.insync.replicas``) and
"Kafka protocol guide" (ListOffsets, DescribeLogDirs, Metadata).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from deduplab.adapters._kafka_wire import END, FIRST, KafkaWire
from deduplab.errors import OperationFailed, ProbeError, SystemUnavailable
from deduplab.server import Endpoint

LEAST_IN_SYNC: Final = "min.insync.replicas"
BEHIND: Final = "replicas_behind"

_CHANGING: Final = "changing_replicas"
_ANSWER_S: Final = 5.0  # one that hangs must not hold the others up for long

Ends: TypeAlias = Mapping[str, tuple[int, int]]
"""Where each topic's log begins, and ends."""


class Followers:
    """Connections to the brokers that follow, made when they are needed first.

    Parameters
    ----------
    addresses
        Host and port of each by its number; none without replication.
    endpoint
        Where user, secret and TLS are taken from.
    """

    def __init__(self, addresses: Mapping[int, tuple[str, int]], endpoint: Endpoint) -> None:
        self._addresses = dict(addresses)
        self._endpoint = endpoint
        self._wires: dict[int, KafkaWire] = {}
        self._seen_bytes: dict[int, Mapping[str, int] | None] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def close(self) -> None:
        """Disconnect from all."""
        for wire in self._wires.values():
            wire.close()
        self._wires = {}

    def settings(self) -> dict[str, str]:
        """Return what a topic is set to beside the rest: all have a message, or it is refused."""
        return {LEAST_IN_SYNC: str(1 + len(self))} if self else {}

    def described(self) -> dict[str, str]:
        """Return what an identity says of them; nothing without."""
        return {"replicas": str(1 + len(self)), **self.settings()} if self else {}

    def all(self, condition: Callable[[KafkaWire], bool]) -> bool:
        """Whether something holds on each of them; true without."""
        return all(condition(self._wire(node)) for node in self._addresses)

    def signals(self, leader: KafkaWire, topics: Sequence[str]) -> dict[str, int]:
        """Return how many are behind, and how many have another size than at the last look.

        Behind is whose logs do not begin and end where the leader's do, who is not in sync in the
        leader's view, and who does not answer. Nothing without replication.
        """
        if not self:
            return {}
        ends = _ends(leader, topics)
        in_sync = [leader.partition(topic).in_sync for topic in topics]
        behind = changing = 0
        for node in self._addresses:
            before, found = self._seen_bytes.get(node), self._log_bytes(node, topics)
            self._seen_bytes[node] = found
            changing += before != found
            behind += (
                found is None
                or any(node not in one for one in in_sync)
                or self._ends(node, topics) != ends
            )
        return {BEHIND: behind, _CHANGING: changing}

    def copies(self, leader: KafkaWire, topics: Sequence[str]) -> int:
        """Return how many brokers have all that the leader has, and it is one of them.

        Each is asked where its own logs end. A follower appends the leader's batches as they
        are and in order, so a log that ends where the leader's does has had them all.

        Raises
        ------
        ProbeError
            If the leader does not tell.
        """
        try:
            ends = _ends(leader, topics)
        except (SystemUnavailable, OperationFailed) as error:
            raise ProbeError(f"the leader does not tell where its logs end: {error}") from error
        followers = (self._ends(node, topics) for node in self._addresses)
        return 1 + sum(_has_all(found, ends) for found in followers if found)

    def _ends(self, node: int, topics: Sequence[str]) -> Ends | None:
        """Return where its logs begin and end; None if it does not answer, or has not all."""
        try:
            return _ends(self._wire(node), topics)
        except (SystemUnavailable, OperationFailed):
            return None

    def _log_bytes(self, node: int, topics: Sequence[str]) -> Mapping[str, int] | None:
        """Return the bytes of its logs; None if it does not answer."""
        try:
            return self._wire(node).log_bytes(topics)
        except (SystemUnavailable, OperationFailed):
            return None

    def _wire(self, node: int) -> KafkaWire:
        if node not in self._wires:
            self._wires[node] = KafkaWire(*self._addresses[node], self._endpoint, _ANSWER_S)
        return self._wires[node]


def _ends(wire: KafkaWire, topics: Sequence[str]) -> Ends:
    """Return where the logs of one broker begin and end.

    Raises
    ------
    OperationFailed
        If it does not have all of them.
    """
    first, end = wire.offsets(topics, FIRST), wire.offsets(topics, END)
    return {topic: (first[topic], end[topic]) for topic in topics}


def _has_all(found: Ends, wanted: Ends) -> bool:
    return all(
        found[topic][0] <= first and found[topic][1] >= end
        for topic, (first, end) in wanted.items()
    )
