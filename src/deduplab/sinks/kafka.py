"""The sink that sends messages to a Kafka topic: the cell's id is the key, JSON the value.

So the messages of a cell are in one partition, in their order. Login is by SASL, as the broker
asks for it; SCRAM-SHA-512 unless something else is said.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from deduplab.errors import PlanError, SystemUnavailable, unknown_name
from deduplab.optional_module import optional_module
from deduplab.server import Secret
from deduplab.sinks.message import Message
from deduplab.sinks.sink import Sink

MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_ANSWER_S: Final = 15.0
_LOOK_S: Final = 0.5
_DELIVERED_S: Final = 60.0
_MOST_BYTES: Final = 32 << 20
_FULL_S: Final = 0.5
_COPIES_OF_BROKER: Final = -1  # as many as the broker's own default says
_SILENT: Final = logging.getLogger("deduplab.sinks.kafka")
"""Takes what the library would print on standard error."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the broker is, the topic, and the login.

    ``partitions`` is how many a topic gets that is not there; None makes none. ``tls`` is
    ``verify`` or ``off``.
    """

    address: str
    topic: str
    user: str | None = None
    secret: Secret | None = field(default=None, repr=False)
    mechanism: str = MECHANISMS[0]
    tls: str = "verify"
    ssl_ca: str | None = None
    partitions: int | None = None

    def sink(self) -> Sink:
        """Return the sink."""
        return Kafka(self)

    def of_library(self) -> dict[str, Any]:
        """Return them as those of the client library."""
        way = "PLAINTEXT" if self.tls == "off" else "SSL"
        settings: dict[str, Any] = {
            "bootstrap.servers": self.address,
            "client.id": "deduplab-sink",
            "security.protocol": f"SASL_{way}" if self.user else way,
            "allow.auto.create.topics": False,
        }
        if self.user:
            settings |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user}
            settings["sasl.password"] = self.secret.reveal() if self.secret else ""
        if self.ssl_ca:
            settings["ssl.ca.location"] = self.ssl_ca
        return settings


class Kafka(Sink):
    """Produces idempotently, each message acknowledged by all replicas in sync."""

    name = "kafka"

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings
        self._library: Any = None
        self._producer: Any = None
        self._said = self._last = ""
        self._delivered = 0

    def open(self) -> None:
        """Log in, and find the topic, or make it where the settings say so."""
        self._library = optional_module("confluent_kafka", "kafka", "kafka")
        settings = self._settings.of_library() | {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 50,
            "compression.type": "zstd",
            "message.timeout.ms": int(_DELIVERED_S * 1000),
            "queue.buffering.max.kbytes": _MOST_BYTES >> 10,
            "error_cb": self._note_error,
        }
        self._producer = self._library.Producer(settings, logger=_SILENT)
        topics = self._topics()
        if self._settings.topic not in topics:
            self._make_topic(topics)

    def _send(self, messages: Sequence[Message]) -> None:
        """Hand messages to the library, and take what it tells of earlier ones."""
        for message in messages:
            self._produce(str(message.get("cell", "")), msgspec.json.encode(message))
        self._producer.poll(0)

    def close(self, deadline_s: float) -> None:
        """Wait for what is on its way; what is still then is lost."""
        if self._producer.flush(deadline_s) and not self.reason:
            self.reason = self._said or f"not acknowledged within {deadline_s:.0f} s"

    def sent(self) -> str:
        """Return how many messages were acknowledged."""
        return f"{self._delivered} messages acknowledged"

    def _topics(self) -> Collection[str]:
        """Return the topics that there are; the library itself would go on trying for long."""
        deadline = time.monotonic() + _ANSWER_S
        while True:
            try:
                found: Collection[str] = self._producer.list_topics(timeout=_LOOK_S).topics
                return found
            except self._library.KafkaException as error:
                self._producer.poll(0)  # then it is said what was wrong
                if self._said or time.monotonic() > deadline:
                    words = self._said or error.args[0].str()
                    raise SystemUnavailable(f"kafka: {self._settings.address}: {words}") from error

    def _produce(self, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(
                    self._settings.topic, value, key or None, on_delivery=self._note_delivery
                )
                return
            except BufferError:  # full: wait for room, while the outlet keeps what comes
                self._producer.poll(_FULL_S)

    def _make_topic(self, topics: Collection[str]) -> None:
        topic, partitions = self._settings.topic, self._settings.partitions
        if partitions is None:
            what = unknown_name("topic", topic, tuple(topics))
            raise PlanError(f"kafka: {what}; make it, or let it be made: partitions = 1")
        admin: Any = optional_module("confluent_kafka.admin", "kafka", "kafka")
        wanted = admin.NewTopic(topic, partitions, _COPIES_OF_BROKER)
        client = admin.AdminClient(self._settings.of_library(), logger=_SILENT)
        try:
            made = client.create_topics([wanted], operation_timeout=_ANSWER_S)
            made[topic].result(_ANSWER_S)
        except self._library.KafkaException as error:
            words = error.args[0].str()
            raise SystemUnavailable(f"kafka: the topic {topic!r} can't be made: {words}") from error

    def _note_error(self, error: Any) -> None:
        """Keep what says that it can't be reached as things are; a refused login says most."""
        codes = self._library.KafkaError
        if error.code() == codes._AUTHENTICATION:
            self._said = error.str()
        elif error.code() == codes._ALL_BROKERS_DOWN and not self._said:
            self._said = self._last or error.str()
        self._last = error.str()

    def _note_delivery(self, error: Any, message: Any) -> None:
        if error is None:
            self._delivered += 1
            self._got_rid_of(1)
        else:
            self.reason = error.str()
