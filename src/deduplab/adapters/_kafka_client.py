"""Kafka's client library (confluent-kafka), as the adapter uses it, with one login.

Administration is asked for here; producing and consuming are in ``_kafka_log``.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

from deduplab.adapters._kafka_errors import translated
from deduplab.adapters._kafka_followers import Followers
from deduplab.adapters._kafka_scram import MECHANISM
from deduplab.adapters._kafka_wire import CLIENT_ID, KafkaWire
from deduplab.adapters._tls import Tls
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

REQUEST_S: Final = 30.0
PARTITION: Final = 0  # every topic has one
_PAUSE_S: Final = 0.01
_CONNECT_S: Final = 2.0
_VERSION: Final = "product.version"  # an endpoint's option, of a private instance

LEAST_METADATA_LEVEL: Final = 11
"""The level of ``metadata.version`` of Kafka 3.5, the first without ZooKeeper that has SCRAM."""

_Result = TypeVar("_Result")


class KafkaClient:
    """The ways to one cluster: administration, and the settings of every other client.

    Topics lie in one partition on the broker with the lowest number, which leads
    them, and sizes are asked there; where the endpoint has members, on these too.

    Raises
    ------
    SystemUnavailable
        If the driver is missing, nobody answers by the deadline, the login is refused, or a
        member is missing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            from confluent_kafka.admin import AdminClient
        except ImportError as error:
            raise driver_missing(system("kafka"), error) from error
        if endpoint.host is None or endpoint.port is None:
            raise SystemUnavailable("kafka is reached over TCP; the endpoint names no address")
        self._endpoint = endpoint
        # Login and address are tried first by our own connection: the library goes on for
        # minutes where nobody answers, and does not tell why.
        KafkaWire(endpoint.host, endpoint.port, endpoint).close()
        self._admin: Any = AdminClient(self.settings())
        with self.translating("metadata"):
            brokers: Any = self._admin.list_topics(timeout=REQUEST_S).brokers
        copies = 1 + len(endpoint.members)
        if len(brokers) < copies:
            raise SystemUnavailable(f"kafka lists {len(brokers)} brokers where {copies} are")
        self.brokers = sorted(brokers)[:copies]
        addresses = {node: (brokers[node].host, brokers[node].port) for node in self.brokers}
        self.broker = self.brokers[0]
        self.wire = KafkaWire(*addresses.pop(self.broker), endpoint)
        self.followers = Followers(addresses, endpoint)
        self.metadata_level = _supported_level(self.wire)

    def close(self) -> None:
        """Disconnect, from followers too."""
        self.followers.close()
        self.wire.close()
        self._admin = None

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the settings of a client of the library, with some of its own."""
        endpoint = self._endpoint
        tls = Tls.of(endpoint)
        authority = {"ssl.ca.location": tls.authority} if tls and tls.authority else {}
        return {
            "bootstrap.servers": endpoint.address,
            "client.id": CLIENT_ID,
            # The library verifies certificates, and names in them, unless it is told otherwise.
            "security.protocol": "SASL_PLAINTEXT" if tls is None else "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": endpoint.user or "",
            "sasl.password": endpoint.secret.reveal() if endpoint.secret else "",
            "broker.address.family": "v4" if endpoint.host == "127.0.0.1" else "any",
            "socket.timeout.ms": int(REQUEST_S * 1000),
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,  # else the library prints on our standard error
            **authority,
            **more,
        }

    @property
    def product_version(self) -> str:
        """The version that whoever started the server knows; empty for one of the user's own."""
        return self._endpoint.options.get(_VERSION, "")

    def cluster_id(self) -> str:
        """Return the cluster's own identity, made when its storage was formatted."""
        with self.translating("metadata"):
            found: str | None = self._admin.list_topics(timeout=REQUEST_S).cluster_id
        return found or ""

    @contextlib.contextmanager
    def translating(self, what: str) -> Iterator[None]:
        """Translate the library's exceptions."""
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:
            if error.args[0].name().startswith("_"):
                # The library's own errors may be but a consequence of a broker that is gone.
                self.check_reachable()
            raise translated(error.args[0], what) from error

    def check_reachable(self) -> None:
        """Raise SystemUnavailable where nobody listens any more, at a member neither."""
        for one in (self._endpoint, *self._endpoint.members):
            try:
                socket.create_connection((one.host, one.port), _CONNECT_S).close()
            except OSError as error:
                raise SystemUnavailable(
                    f"kafka at {one.address} does not answer any more: {error}"
                ) from error

    def everywhere(self, condition: Callable[[KafkaWire], bool]) -> bool:
        """Whether something holds on the leader and on all followers."""
        return condition(self.wire) and self.followers.all(condition)

    def is_soon(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Ask until the condition holds, at least until the deadline; return whether it did.

        In between, the library's events are served.
        """
        for _ in range(int(deadline_s / _PAUSE_S)):
            if condition():
                return True
            self._admin.poll(_PAUSE_S)
        return False

    def wait_until(self, condition: Callable[[], bool], what: str, deadline_s: float) -> None:
        """Wait until the condition holds.

        Raises
        ------
        OperationFailed
            If it does not by the deadline.
        """
        if not self.is_soon(condition, deadline_s):
            raise OperationFailed(f"kafka, {what}: not done after {deadline_s:g} s")

    # Topics

    def topics(self) -> dict[str, bool]:
        """Return the names of all topics that the user sees, and whether each has a leader."""
        with self.translating("list of topics"):
            found = self._admin.list_topics(timeout=REQUEST_S).topics
        return {
            name: topic.error is None
            and PARTITION in topic.partitions
            and topic.partitions[PARTITION].leader >= 0
            for name, topic in found.items()
        }

    def create_topics(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Create topics with their settings, and wait until they can be written to.

        With followers, a write is acknowledged when all have it: in-sync are never fewer.
        """
        from confluent_kafka.cimpl import NewTopic

        described = [
            NewTopic(
                name,
                1,
                replica_assignment=[self.brokers],
                config={**settings, **self.followers.settings()},
            )
            for name, settings in topics.items()
        ]
        self._finish(self._admin.create_topics(described), "creation of topics")

        def ready() -> bool:
            seen = self.topics()
            return all(seen.get(name) for name in topics) and self.everywhere(
                lambda wire: len(wire.log_bytes(topics)) == len(topics)
            )

        try:
            self.wait_until(ready, f"creation of {', '.join(topics)}", REQUEST_S)
        except DeduplabError:
            # They were made just now; what is not ours for sure must not stay behind.
            with contextlib.suppress(DeduplabError):
                self.delete_topics(list(topics))
            raise

    def delete_topics(self, names: list[str]) -> None:
        """Delete topics, and wait until they are gone."""
        self._finish(self._admin.delete_topics(names), "deletion of topics")
        self.wait_until(
            lambda: not set(names) & set(self.topics()),
            f"deletion of {', '.join(names)}",
            REQUEST_S,
        )

    def delete_records(self, topic: str, offset: int) -> None:
        """Delete all records before an offset (DeleteRecords): they can't be read any more."""
        futures = self._admin.delete_records([self.place(topic, offset)])
        self._finish(futures, f"{topic}, deletion of records")

    def place(self, topic: str, offset: int = 0) -> TopicPartition:
        """Return an offset in a topic's only partition, in the library's words."""
        from confluent_kafka import TopicPartition

        return TopicPartition(topic, PARTITION, offset)

    # Settings

    def described(self, kind: str, name: str) -> dict[str, str]:
        """Return the settings in force of a ``TOPIC`` or a ``BROKER``."""
        from confluent_kafka.admin._config import ConfigResource

        resource = ConfigResource(ConfigResource.Type[kind], name)
        futures = self._admin.describe_configs([resource])
        (entries,) = self._finish(futures, f"settings of {name}")
        return {key: entry.value or "" for key, entry in entries.items()}

    @contextlib.contextmanager
    def altered(self, topic: str, settings: Mapping[str, str]) -> Iterator[None]:
        """Change a topic's settings for a while; what was in force comes back at the end."""
        before = self.described("TOPIC", topic)
        self._alter(topic, settings)
        try:
            yield
        finally:
            self._alter(topic, {name: before[name] for name in settings})

    def _alter(self, topic: str, settings: Mapping[str, str]) -> None:
        from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        self._finish(self._admin.incremental_alter_configs([resource]), f"settings of {topic}")

        def in_force() -> bool:
            found = self.described("TOPIC", topic)
            return all(_equal(found[name], value) for name, value in settings.items())

        self.wait_until(in_force, f"settings of {topic}", REQUEST_S)

    def _finish(self, futures: Mapping[Any, Future[_Result]], what: str) -> list[_Result]:
        """Wait for the library's answers."""
        with self.translating(what):
            try:
                return [future.result(REQUEST_S) for future in futures.values()]
            except TimeoutError as error:
                raise SystemUnavailable(
                    f"kafka, {what}: no answer after {REQUEST_S:g} s"
                ) from error


def _equal(found: str, wanted: str) -> bool:
    """Whether two settings are the same; the server may write a number in another way."""
    try:
        return float(found) == float(wanted)
    except ValueError:
        return found == wanted


def _supported_level(wire: KafkaWire) -> int:
    """Return the cluster's level of ``metadata.version``; refuse one that is too old."""
    try:
        level = wire.feature_levels().get("metadata.version", 0)
    except OperationFailed as error:
        raise SystemUnavailable(f"this Kafka is too old, version 3.5 is needed: {error}") from error
    if level < LEAST_METADATA_LEVEL:
        raise SystemUnavailable(
            f"this Kafka is too old, or runs with ZooKeeper: its metadata.version is {level}, "
            f"and {LEAST_METADATA_LEVEL} (Kafka 3.5) is needed"
        )
    return level
