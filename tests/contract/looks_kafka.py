"""A look behind the Kafka adapter's back: the raw client reads the topics from their beginning."""

from __future__ import annotations

import time
from typing import Any

from blake3 import blake3

from deduplab.server import Endpoint

_TIMEOUT_S = 20.0
_OURS = b"\x00deduplab"


def settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the raw client needs to log in as the lab's user."""
    assert endpoint.secret is not None
    return {
        "bootstrap.servers": f"{endpoint.host}:{endpoint.port}",
        "broker.address.family": "v4",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": endpoint.user,
        "sasl.password": endpoint.secret.reveal(),
        "log_level": 0,
    }


class Raw:
    """The raw clients of one instance, as its user."""

    def __init__(self, endpoint: Endpoint) -> None:
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        more = {
            "group.id": "deduplab.look",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
        self.admin: Any = AdminClient(settings(endpoint))
        self._consumer: Any = Consumer({**settings(endpoint), **more})

    def topics(self, namespace: str) -> list[str]:
        found = self.admin.list_topics(timeout=_TIMEOUT_S).topics
        return [name for name in found if name.startswith(f"deduplab.{namespace}.")]

    def messages(self, topic: str) -> list[Any]:
        """Return all messages of a topic, read from its beginning."""
        from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

        self._consumer.list_topics(topic, timeout=_TIMEOUT_S)
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        found = []
        while (message := self._consumer.poll(_TIMEOUT_S)) is not None:
            error = message.error()
            if error is None:
                found.append(message)
                continue
            assert error.code() == KafkaError._PARTITION_EOF, error
            return found
        raise AssertionError(f"{topic} was not read to its end in time")

    def done(self, futures: dict[Any, Any]) -> None:
        for future in futures.values():
            future.result(_TIMEOUT_S)


class KafkaLook:
    """Counts as a reader of the topics would: messages, less what tombstones deleted."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str | None, int | None, str], Raw] = {}

    def raw(self, endpoint: Endpoint) -> Raw:
        """Return the clients of an instance, made once: no two share address and password."""
        assert endpoint.secret is not None
        instance = (endpoint.host, endpoint.port, endpoint.secret.reveal())
        if instance not in self._clients:
            self._clients[instance] = Raw(endpoint)
        return self._clients[instance]

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        raw = self.raw(endpoint)
        if f"deduplab.{namespace}.references" in raw.topics(namespace):
            return len(self._referred(raw, namespace))
        live: dict[bytes, int] = {}
        for message in raw.messages(f"deduplab.{namespace}.objects"):
            if message.value() is None:
                live.pop(message.key(), None)
            else:
                live[message.key()] = live.get(message.key(), 0) + 1
        return sum(live.values())

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        raw = self.raw(endpoint)
        if f"deduplab.{namespace}.references" in raw.topics(namespace):
            return self._referred(raw, namespace).get(key)
        return self._last(raw, f"deduplab.{namespace}.objects").get(key)

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        return bool(self.raw(endpoint).topics(namespace))

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        from confluent_kafka.cimpl import NewTopic

        raw, name = self.raw(endpoint), f"deduplab.{namespace}.objects"
        raw.done(raw.admin.create_topics([NewTopic(name, 1, 1)]))
        # The broker lists a new topic a moment after its controller has made it.
        deadline = time.monotonic() + _TIMEOUT_S
        while name not in raw.admin.list_topics(timeout=_TIMEOUT_S).topics:
            assert time.monotonic() < deadline, f"{name} is not listed"

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        raw = self.raw(endpoint)
        marker = f"deduplab.{namespace}.marker"
        assert any(b"deduplab" in message.key() for message in raw.messages(marker))
        raw.done(raw.admin.delete_topics([marker]))

    def _last(self, raw: Raw, topic: str) -> dict[str, bytes]:
        found = {message.key(): message.value() for message in raw.messages(topic)}
        return {
            key.decode(): value
            for key, value in found.items()
            if value is not None and key != _OURS
        }

    def _referred(self, raw: Raw, namespace: str) -> dict[str, bytes]:
        payloads = self._last(raw, f"deduplab.{namespace}.payloads")
        digests = self._last(raw, f"deduplab.{namespace}.references")
        found = {key: payloads[digest.decode()] for key, digest in digests.items()}
        for key, payload in found.items():
            assert blake3(payload).hexdigest(16) == digests[key].decode()
        return found
