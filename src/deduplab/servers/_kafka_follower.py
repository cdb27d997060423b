"""One more broker of a private Kafka: it has a copy of every topic, and follows the first node.

Sources: Apache Kafka documentation, "Replication", "KRaft", ``min.insync.replicas``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deduplab.server import Secret, Server
from deduplab.servers._kafka_settings import CONTROLLER
from deduplab.servers._members import Members, member_workspace
from deduplab.servers.kafka import KafkaServer

if TYPE_CHECKING:
    from confluent_kafka.admin._metadata import ClusterMetadata


class KafkaFollower(KafkaServer):
    """A broker of another node's cluster, with that one's credentials.

    Parameters
    ----------
    first
        The node that is the controller; it runs before this one starts.
    node
        The number of this one.
    """

    def __init__(self, workspace: Path, *, first: KafkaServer, node: int, **more: Any) -> None:
        super().__init__(workspace, **more)
        self.node = node
        self._first = first
        self._granted = True  # to the cluster, by the first

    def stop(self) -> None:
        """Shut down in order; by force if the controller is gone, which it would wait for."""
        child = self._child
        if child is not None and not self._first.processes():
            child.stop(())
            self._child = None
        super().stop()

    def _join_cluster(self) -> None:
        """Take over the cluster with its credentials."""
        first = self._first
        self._secret, self._administrator = first._secret, first._administrator
        self._controller, self._cluster = first._controller, first._cluster

    def _controller_port(self) -> int:
        """Return where the controller listens: at the first node."""
        return self._first._ports["controller"]

    def _users(self) -> Sequence[tuple[str, Secret]]:
        """Return none: the cluster has them already."""
        return ()

    def _has_joined(self, seen: ClusterMetadata) -> bool:
        """Whether the cluster has this node, and it has all of the topics that lie on it."""
        places = [place for topic in seen.topics.values() for place in topic.partitions.values()]
        return self.node in seen.brokers and all(
            self.node in place.isrs for place in places if self.node in place.replicas
        )


def replicated(workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
    """Return brokers on loopback, the first of which is the controller, too.

    A write is acknowledged when it is in the logs of all (``acks=all`` with
    ``min.insync.replicas`` as many as there are); at the durability ``fsync`` each has synced its
    log before.
    """
    options: dict[str, Any] = {"variant": variant, "durability": durability}
    first = KafkaServer(
        member_workspace(workspace, _name(CONTROLLER)), **options, replicas=replicas
    )
    servers: dict[str, KafkaServer] = {_name(CONTROLLER): first}
    for node in range(CONTROLLER + 1, CONTROLLER + replicas):
        directory = member_workspace(workspace, _name(node))
        follower = KafkaFollower(directory, **options, first=first, node=node, replicas=replicas)
        servers[_name(node)] = follower
    return Members(workspace, **options, servers=servers)


def _name(node: int) -> str:
    return f"broker-{node}"
