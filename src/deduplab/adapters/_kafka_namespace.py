"""One namespace: its topics, the marker that guards them, and what they were created as.

Kafka's topics have no comments, so the marker is a message in a topic of its own.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Final

from deduplab.adapters._kafka_client import KafkaClient
from deduplab.adapters._kafka_followers import LEAST_IN_SYNC
from deduplab.adapters._kafka_log import KafkaLog
from deduplab.adapters._kafka_objects import (
    CompactedObjects,
    HashedObjects,
    Objects,
    RetainedObjects,
)
from deduplab.adapters._kafka_reader import KafkaReader
from deduplab.adapters._kafka_topics import MARKER_SETTINGS, Scheme, topic_name
from deduplab.adapters._layout import Layout
from deduplab.errors import DeduplabError, NamespaceRefused, OperationFailed, Unsupported

MARKER: Final = "deduplab namespace, deleted with everything in it"
MARKER_PART: Final = "marker"
MARKER_KEY: Final = "deduplab"

_TOPIC_SETTINGS: Final = (
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "max.message.bytes",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
)
_BROKER_SETTINGS: Final = (
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.threads",
    "log.flush.scheduler.interval.ms",
    "log.retention.check.interval.ms",
    "num.io.threads",
    "num.network.threads",
)


@dataclass(frozen=True, slots=True)
class KafkaNamespace:
    """A namespace as it was or will be created; it holds no connection.

    Parameters
    ----------
    name
        Checked at the door.
    scheme
        How the variant keeps objects.
    durability
        What an acknowledgement means.
    layout
        What a message's value is.
    """

    name: str
    scheme: Scheme = field(default_factory=Scheme)
    durability: str = "fsync"
    layout: Layout = field(default_factory=Layout)

    @property
    def marker_topic(self) -> str:
        """The topic of the marker."""
        return topic_name(self.name, MARKER_PART)

    @property
    def object_topics(self) -> tuple[str, ...]:
        """The topics of the objects."""
        return tuple(topic_name(self.name, part) for part in self.scheme.parts)

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics, the marker's at last."""
        return (*self.object_topics, self.marker_topic)

    def existing(self, client: KafkaClient) -> list[str]:
        """Return all topics of this name that are there, ours or not; the marker's is the last."""
        prefix = topic_name(self.name, "")
        found = [topic for topic in client.topics() if topic.startswith(prefix)]
        return sorted(found, key=lambda topic: (topic == self.marker_topic, topic))

    def check_marker(self, client: KafkaClient) -> None:
        """Refuse what is not ours.

        Raises
        ------
        NamespaceRefused
            If there is no marker, or a foreign one.
        """
        if self.marker_topic in client.topics() and self._has_marker(client):
            return
        raise NamespaceRefused(
            f"topics {topic_name(self.name, '*')} are without our marker, or gone; nothing is used "
            "or deleted: choose another namespace or look at them yourself"
        )

    def create(self, client: KafkaClient) -> None:
        """Create the topics, the marker first; what is there with our marker is deleted before.

        Raises
        ------
        NamespaceRefused
            If something of that name is there without our marker.
        """
        if existing := self.existing(client):
            self.check_marker(client)
            client.delete_topics(existing)
        client.create_topics({self.marker_topic: MARKER_SETTINGS})
        try:
            self._write_marker(client)
        except DeduplabError:
            # It is empty and we made it just now; without a marker it would never be deleted.
            with contextlib.suppress(DeduplabError):
                client.delete_topics([self.marker_topic])
            raise
        self.create_topics(client)

    def create_topics(self, client: KafkaClient) -> None:
        """Create the topics of the objects."""
        settings = self.scheme.settings(self.durability)
        client.create_topics(dict.fromkeys(self.object_topics, settings))

    def destroy(self, client: KafkaClient) -> None:
        """Delete all topics of the namespace, that of the marker when the others are gone."""
        self.check_marker(client)
        *others, marker = self.existing(client)
        if others:
            client.delete_topics(others)
        client.delete_topics([marker])

    def enter(self, client: KafkaClient, *, fresh: bool, alone: bool = True) -> Objects:
        """Return the objects; ``fresh`` if the topics were just created.

        ``alone`` is false where other processes write and delete at the same time.
        """
        logs = [
            KafkaLog(client, topic, self.scheme.compression, fresh=fresh, alone=alone)
            for topic in self.object_topics
        ]
        if self.scheme.by_hash:
            return HashedObjects(*logs, fresh=fresh, alone=alone)
        if self.scheme.compacted:
            return CompactedObjects(*logs)
        return RetainedObjects(*logs, alone=alone)

    def check_durability(self, client: KafkaClient) -> None:
        """Read back what an acknowledgement means now.

        Raises
        ------
        Unsupported
            If it is not what was declared.
        """
        wanted = self.scheme.settings(self.durability) | client.followers.settings()
        for topic in self.object_topics:
            found = client.described("TOPIC", topic)
            for name in ("flush.messages", "flush.ms", LEAST_IN_SYNC):
                if name in wanted and found[name] != wanted[name]:
                    raise Unsupported(
                        f"durability {self.durability!r} needs {name} = {wanted[name]}, "
                        f"but {topic} has {found[name]}"
                    )
        if self.durability != "interval":
            return
        broker = client.described("BROKER", str(client.broker))
        scheduler_ms = int(broker["log.flush.scheduler.interval.ms"])
        if scheduler_ms > int(wanted["flush.ms"]):
            raise Unsupported(
                f"durability 'interval' needs the broker's log.flush.scheduler.interval.ms to be "
                f"at most {wanted['flush.ms']}, but it is {scheduler_ms}"
            )

    def log_bytes(self, client: KafkaClient) -> dict[str, int]:
        """Return the bytes of each topic's segments, by the last word of its name.

        Raises
        ------
        OperationFailed
            If the broker does not tell that of each.
        """
        found = client.wire.log_bytes(self.topics)
        missing = set(self.topics) - set(found)
        if missing:
            raise OperationFailed(f"kafka tells no size of {', '.join(sorted(missing))}")
        return {topic.rpartition(".")[2]: found[topic] for topic in self.topics}

    def configuration(self, client: KafkaClient) -> dict[str, str]:
        """Return the settings in force that sizes and times depend on."""
        broker = client.described("BROKER", str(client.broker))
        topic = client.described("TOPIC", self.object_topics[0])
        return {
            **{f"broker.{name}": broker.get(name, "") for name in _BROKER_SETTINGS},
            **{name: topic.get(name, "") for name in _TOPIC_SETTINGS},
            "producer.compression.type": self.scheme.compression,
            **client.followers.described(),
            **self.layout.described(),
        }

    def _write_marker(self, client: KafkaClient) -> None:
        content = {"mark": MARKER, "namespace": self.name, **self.layout.described()}
        log = KafkaLog(client, self.marker_topic, "none", fresh=True)
        try:
            log.put(MARKER_KEY, json.dumps(content).encode())
        finally:
            log.close()

    def _has_marker(self, client: KafkaClient) -> bool:
        """Tell whether our marker is in its topic, which somebody may be deleting."""
        try:
            with contextlib.closing(KafkaReader(client, self.marker_topic)) as reader:
                return any(self._is_marker(value) for _, _, value in reader.scan())
        except OperationFailed:
            if self.marker_topic in client.topics():
                raise
            return False

    def _is_marker(self, value: bytes | None) -> bool:
        try:
            found = json.loads(value or b"")
        except ValueError:
            return False
        return (
            isinstance(found, dict)
            and found.get("mark") == MARKER
            and found.get("namespace") == self.name
        )
