"""Apache Kafka: a log a topic, kept whole (delete policy) or cleaned by key (compaction).

A namespace is a few topics of one partition, ``deduplab.NAMESPACE.*``, one of
which bears our marker in a message. What each verb asks for, and what the sizes
include, is told in docs/systems/kafka.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._kafka_cleaner import clean, drop_segments
from deduplab.adapters._kafka_client import KafkaClient
from deduplab.adapters._kafka_followers import BEHIND
from deduplab.adapters._kafka_log import Headers
from deduplab.adapters._kafka_namespace import MARKER_PART, KafkaNamespace
from deduplab.adapters._kafka_objects import Objects
from deduplab.adapters._kafka_topics import DURABILITIES, SCHEMES
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import Settings
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.datasets.record_types import json_record
from deduplab.errors import OperationFailed, ProbeError, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

_JSON_HEADERS: Final[Headers] = [("content-type", b"application/json")]
_COMPONENTS: Final = {"references": "references", MARKER_PART: "metadata"}
_MICROSECONDS: Final = 10**6


class KafkaAdapter(ServerAdapter[KafkaClient, KafkaNamespace]):
    """Drives one Kafka broker over TCP, or a cluster in which each broker has a copy."""

    product: ClassVar[str] = "kafka"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("delete-policy", "all messages stay until they expire; no compression"),
            Variant("delete-policy-lz4", "the same, the producer compresses batches with lz4"),
            Variant("delete-policy-zstd", "the same, the producer compresses batches with zstd"),
            Variant("compact-by-key", "the cleaner keeps the last message of each object's key"),
            Variant("compact-by-hash", "payloads keyed by their hash: the cleaner removes copies"),
        ),
        layouts=LAYOUTS,
        durability=DURABILITIES,
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("clean",),
        unique_keys=False,
        most_replicas=5,
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("__cluster_metadata-*", "metadata"),
        ("*.deleted", "temporary"),
        ("*-delete/*", "temporary"),
        ("*.cleaned", "temporary"),
        ("*.swap", "temporary"),
        ("*.log", "data"),
        ("*.index", "index"),
        ("*.timeindex", "index"),
        ("*", "metadata"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._codec: RecordType | None = None
        self._objects: Objects | None = None
        self._seen_bytes: dict[str, int] = {}

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any.

        Raises
        ------
        SystemUnavailable
            If the driver is missing, or nobody answers, or the login is refused.
        """
        self.close()
        self._connection = KafkaClient(endpoint)
        namespace = self._namespace
        if namespace is not None and namespace.existing(self._connection):
            namespace.check_marker(self._connection)
            alone = not self._has_joined
            self._objects = namespace.enter(self._connection, fresh=False, alone=alone)
            self._objects.locate()
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect; what is there stays."""
        self._leave()
        super().close()

    def entered(self) -> object | None:
        """Return the namespace without its layout, which only objects have."""
        return None if self._namespace is None else replace(self._namespace, layout=Layout())

    def destroy(self) -> None:
        """Delete the namespace's topics, that of the marker last."""
        self._check_owner()
        self._entered.destroy(self._wire)
        self._leave()
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Write one message (by hash: two), and return when the broker acknowledged it."""
        self._stored_objects.put(key, self._encoded(payload), self._headers)

    def put_many(self, batch: Batch) -> int:
        """Write a batch of messages by the producer's own batches; return when all are there."""
        codec = self._codec
        values = batch.payloads if codec is None else [codec.serialise(r) for r in batch.records]
        return self._stored_objects.put_many(batch.keys, values, self._headers)

    def get(self, key: str) -> Stored | None:
        """Read the message at the offset that is remembered for the key."""
        value = self._stored_objects.get(key)
        return value if value is None or self._codec is None else self._codec.parse(value)

    def delete(self, keys: Sequence[str]) -> int:
        """Write tombstones (compacted), or cut the log off behind its oldest messages.

        Raises
        ------
        Unsupported
            With the delete policy, if these are not the log's oldest messages.
        """
        return self._stored_objects.delete(keys)

    def empty(self, mode: str) -> None:
        """Delete all records up to the end (DeleteRecords), or the topics, and create them anew."""
        self._check_owner()
        if mode not in ("truncate", "drop"):
            raise Unsupported(f"kafka can't empty by {mode!r}; it has: truncate, drop")
        objects = self._stored_objects
        if mode == "truncate":
            for log in objects.logs:
                log.cut(log.reader.bounds()[1])
            objects.truncated()
            return
        namespace, client = self._entered, self._wire
        self._leave()
        client.delete_topics(list(namespace.object_topics))
        namespace.create_topics(client)
        self._objects = namespace.enter(client, fresh=True)

    def count(self) -> int:
        """Count by offsets (delete policy), or by reading the messages (compacted)."""
        return self._stored_objects.count()

    def flush(self) -> None:
        """Do nothing more: all is acknowledged, and Kafka has no request that syncs a log.

        With followers, an acknowledgement means that they have it, too.
        """
        self._stored_objects  # noqa: B018  (outside a namespace it is refused as every verb is)

    def reclaim(self, mode: str) -> None:
        """Have segments removed whose records are all deleted, and compacted logs cleaned."""
        if mode not in self.capabilities.reclaim_modes:
            raise Unsupported(f"kafka has no reclaim {mode!r}; it has: clean")
        for log in self._stored_objects.logs:
            low, high = log.reader.bounds()
            if low == high:
                drop_segments(log)
            elif self._entered.scheme.compacted:
                clean(log)

    def engine_reading(self) -> Reading:
        """Return the size of the namespace's segments, as the leader tells it (DescribeLogDirs).

        Components: ``data`` (objects or payloads), ``references``, ``metadata`` (the
        marker). Index files and the cluster's own logs are not included.
        """
        components = {"data": 0}
        try:
            found = self._entered.log_bytes(self._wire)
        except OperationFailed as error:
            raise ProbeError(str(error)) from error
        for part, size_bytes in found.items():
            name = _COMPONENTS.get(part, "data")
            components[name] = components.get(name, 0) + size_bytes
        return Reading.of_parts(
            components,
            source="DescribeLogDirs",
            at_unix_ns=round(datetime.now(UTC).timestamp() * _MICROSECONDS) * 1000,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return how many logs have another size than at the last look.

        That is all that Kafka's protocol tells of its cleaner and of retention. With followers,
        also how many of them are behind or out of sync, and how many clean.

        Raises
        ------
        SystemUnavailable
            If the leader does not answer, or nobody listens at a follower any more.
        """
        client = self._wire
        found = self._entered.log_bytes(client)
        before, self._seen_bytes = self._seen_bytes, found
        changing = sum(before.get(part) != found[part] for part in found)
        followers = client.followers.signals(client.wire, self._entered.topics)
        if followers.get(BEHIND):
            client.check_reachable()
        return {"changing_logs": changing, **followers}

    def physical_copies(self) -> int:
        """Return how many brokers have all that the leader has, each asked where its logs end."""
        client = self._wire
        return client.followers.copies(client.wire, self._entered.topics)

    def counters(self) -> Mapping[str, int]:
        """Return the bytes of the namespace's segments."""
        return {"log_bytes": sum(self._entered.log_bytes(self._wire).values())}

    def identity(self) -> Identity:
        """Return version, cluster with its leader's epoch (a restart begins another), settings."""
        client, namespace = self._wire, self._namespace
        if client.followers:
            client.check_reachable()
        version = f"{client.product_version} (metadata.version {client.metadata_level})".strip()
        instance = client.cluster_id()
        if namespace is None:
            return Identity("Apache Kafka", version, instance)
        epoch = client.wire.partition(namespace.marker_topic).leader_epoch
        configuration = namespace.configuration(client)
        return Identity("Apache Kafka", version, instance, configuration, f"leader epoch {epoch}")

    # The state

    def _create(self, settings: Settings) -> None:
        """Create the topics, and check that their durability is the declared one."""
        self._leave()
        ours = _namespace_of(settings)
        ours.create(self._wire)
        self._enter(ours, fresh=True)

    def _join(self, settings: Settings) -> None:
        """Enter the topics with producers and consumers of its own."""
        ours = _namespace_of(settings)
        ours.check_marker(self._wire)
        self._enter(ours, fresh=False)
        self._stored_objects.locate()

    def look_again(self) -> None:
        """Find where each key's last message lies, since others have written to the logs."""
        self._stored_objects.look_again()

    def _enter(self, ours: KafkaNamespace, *, fresh: bool) -> None:
        ours.check_durability(self._wire)
        self._namespace = ours
        native = ours.layout.record_type
        self._codec = json_record(native.name, native.fields) if native else None
        self._objects = ours.enter(self._wire, fresh=fresh, alone=not self._has_joined)

    @property
    def _stored_objects(self) -> Objects:
        if self._objects is None:
            raise OperationFailed("no namespace was entered; call open() and create() first")
        return self._objects

    @property
    def _headers(self) -> Headers | None:
        return None if self._codec is None else _JSON_HEADERS

    def _encoded(self, stored: Stored) -> bytes:
        if isinstance(stored, tuple):
            if self._codec is not None:
                return self._codec.serialise(stored)
        elif self._codec is None:
            return stored
        raise OperationFailed("kafka: a payload where the layout is native, or a record in blob")

    def _leave(self) -> None:
        if self._objects is not None:
            for log in self._objects.logs:
                log.close()
        self._objects = None


def _namespace_of(settings: Settings) -> KafkaNamespace:
    scheme = SCHEMES[settings.variant]
    return KafkaNamespace(settings.namespace, scheme, settings.durability, settings.layout)
