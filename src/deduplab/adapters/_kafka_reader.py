"""Reading one topic of one partition: its ends, a message at an offset, all messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from deduplab.adapters._kafka_client import REQUEST_S, KafkaClient
from deduplab.adapters._kafka_errors import translated
from deduplab.errors import OperationFailed, SystemUnavailable

WITNESS: Final = "\x00deduplab"
"""Key of the tombstones by which a segment is closed and the cleaner's work is seen."""

_POLL_S: Final = 0.5
_POLLS: Final = 40
_NOTHING_THERE: Final = ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE")
_NO_LEADER_YET: Final = (
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_FOR_PARTITION",
    "UNKNOWN_TOPIC_OR_PART",
    "_UNKNOWN_PARTITION",
)


class KafkaReader:
    """A topic's consumers: no group, no commits, offsets by ``assign``."""

    def __init__(self, client: KafkaClient, topic: str) -> None:
        from confluent_kafka import Consumer

        self.topic = topic
        self._client = client
        consuming = {
            "group.id": f"{topic}.none",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
        # A read wants one message: the broker sends the one batch that holds it. What was fetched
        # beyond it must not hold up the next read.
        reading = {
            "fetch.message.max.bytes": 1,
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": 0,
        }
        scanning = {"enable.partition.eof": True, "fetch.queue.backoff.ms": 5}
        self._single = Consumer(client.settings(**consuming, **reading))
        self._scanner = Consumer(client.settings(**consuming, **scanning))
        # After a start of the broker, its logs get their leaders one after another.
        try:
            client.wait_until(self._has_leader, f"{topic}, election of its leader", REQUEST_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        self._single.close()
        self._scanner.close()

    def bounds(self) -> tuple[int, int]:
        """Return the offsets of the first message and behind the last, as the broker tells them."""
        with self._client.translating(f"{self.topic}, offsets"):
            low, high = self._single.get_watermark_offsets(
                self._client.place(self.topic), timeout=REQUEST_S, cached=False
            )
        return low, high

    def message_at(self, offset: int) -> Any:
        """Return the first message at or behind an offset, None if none was ever there."""
        with self._client.translating(f"{self.topic}, read"):
            self._single.assign([self._client.place(self.topic, offset)])
            message = self._polled(self._single)
        if message.error() is not None:
            if message.error().name() in _NOTHING_THERE:
                return None
            raise translated(message.error(), f"{self.topic}, read")
        return message

    def is_gone(self, offset: int) -> bool:
        """Whether the message at an offset is not there any more, but a later one is."""
        message = self.message_at(offset)
        return message is not None and message.offset() != offset

    def scan(self) -> Iterator[tuple[int, str, bytes | None]]:
        """Yield offset, key and value of every message, from the first to the last."""
        low, high = self.bounds()
        if low == high:
            return
        with self._client.translating(f"{self.topic}, scan"):
            self._scanner.assign([self._client.place(self.topic, low)])
            try:
                while (message := self._next()) is not None:
                    key = (message.key() or b"").decode()
                    if key != WITNESS:
                        yield message.offset(), key, message.value()
            finally:
                self._scanner.unassign()

    def _has_leader(self) -> bool:
        from confluent_kafka import KafkaException

        try:
            place = self._client.place(self.topic)
            self._single.get_watermark_offsets(place, timeout=REQUEST_S, cached=False)
        except KafkaException as error:
            if error.args[0].name() not in _NO_LEADER_YET:
                raise translated(error.args[0], f"{self.topic}, offsets") from error
            if self.topic not in self._client.topics():
                raise OperationFailed(f"kafka, {self.topic}: it was deleted meanwhile") from error
            return False
        return True

    def _next(self) -> Any:
        """Return the scan's next message, None behind the last."""
        message = self._polled(self._scanner)
        if message.error() is None:
            return message
        if message.error().name() == "_PARTITION_EOF":
            return None
        raise translated(message.error(), f"{self.topic}, scan")

    def _polled(self, consumer: Any) -> Any:
        """Return the next message or error, for as long as somebody answers."""
        for _ in range(_POLLS):
            message = consumer.poll(_POLL_S)
            if message is not None:
                return message
            self._client.check_reachable()
        raise SystemUnavailable(f"kafka, {self.topic}: no message in {_POLLS * _POLL_S:g} s")
