"""One topic of one partition as a place for objects: a log, and where each key's last message lies.

Kafka has no index by key. The place of every key is remembered from what was
acknowledged, as a user would do it, and found by reading the log from its
beginning where nothing is remembered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from deduplab.adapters._kafka_client import PARTITION, REQUEST_S, KafkaClient
from deduplab.adapters._kafka_errors import translated
from deduplab.adapters._kafka_reader import WITNESS, KafkaReader
from deduplab.adapters._kafka_topics import MOST_MESSAGE_BYTES
from deduplab.adapters._rights import advice
from deduplab.errors import OperationFailed, SystemUnavailable

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

Headers: TypeAlias = list[tuple[str, bytes]]

_BATCH_BYTES: Final = 1_000_000
_BATCH_MESSAGES: Final = 100_000
_DELIVERY_S: Final = 120.0
_POLL_S: Final = 0.5


class KafkaLog:
    """A topic with its producers and consumers.

    Parameters
    ----------
    topic
        Its name; it exists.
    compression
        What batches are compressed with.
    fresh
        Whether it is empty and ours alone, so that nothing has to be looked for.
    alone
        Whether nobody else writes to it meanwhile.
    """

    def __init__(
        self, client: KafkaClient, topic: str, compression: str, *, fresh: bool, alone: bool = True
    ) -> None:
        from confluent_kafka import KafkaException, Producer

        self._client_error: type[Exception] = KafkaException
        self.topic = topic
        self._alone = alone
        self.client = client
        producing = {
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": compression,
            "message.max.bytes": MOST_MESSAGE_BYTES,
            "message.timeout.ms": int(_DELIVERY_S * 1000),
            "queue.buffering.max.messages": 0,
            "batch.size": _BATCH_BYTES,
            "batch.num.messages": _BATCH_MESSAGES,
        }
        self._failures: list[KafkaError] = []
        self._single = Producer(client.settings(**producing, **{"linger.ms": 0}))
        self._many = Producer(
            client.settings(
                **producing,
                **{"delivery.report.only.error": True, "on_delivery": self._failed, "linger.ms": 5},
            )
        )
        self.reader = KafkaReader(client, topic)
        self._places: dict[str, int] | None = {} if fresh else None
        self._end = self.reader.bounds()[1]
        # Connected now, so that no stage pays for it.
        with client.translating(f"{topic}, producers"):
            for producer in (self._single, self._many):
                producer.list_topics(topic, timeout=REQUEST_S)

    def close(self) -> None:
        """Give up what is under way, and disconnect."""
        for producer in (self._single, self._many):
            # After a fatal error of the library these raise it once more.
            with contextlib.suppress(self._client_error):
                producer.purge()
            with contextlib.suppress(self._client_error):
                producer.close()
        self.reader.close()

    @property
    def places(self) -> dict[str, int]:
        """The offset of each key's last message that is no tombstone."""
        if self._places is None:
            self._places = {}
            for offset, key, value in self.reader.scan():
                if value is None:
                    self._places.pop(key, None)
                else:
                    self._places[key] = offset
        return self._places

    def forget(self) -> None:
        """Remember that nothing is stored any more."""
        self._places = {}

    def look_again(self) -> None:
        """Forget where messages lie, and ask where the log ends: others have written to it."""
        self._places = None
        self._end = self.reader.bounds()[1]

    # Writing

    def send(self, key: str, value: bytes | None, headers: Headers | None = None) -> Sent:
        """Hand one message to the producer, and return what is awaited."""
        return Sent(self, key, value, headers)

    def put(self, key: str, value: bytes, headers: Headers | None = None) -> None:
        """Write one message, and return when it was acknowledged."""
        self.places[key] = self.send(key, value, headers).offset()

    def put_many(
        self, keys: Sequence[str], values: Iterable[bytes | None], headers: Headers | None = None
    ) -> int:
        """Write messages in large batches; return how many were acknowledged.

        The offsets follow one another where nobody else writes; that they do is
        checked by the broker's own count. Else where they lie is found by ``look_again``.
        """
        places = self.places
        first = self._end
        produce, topic = self._many.produce, self.topic
        more: dict[str, Any] = {"headers": headers} if headers else {}
        try:
            for key, value in zip(keys, values, strict=True):
                try:
                    produce(topic, value, key, PARTITION, **more)
                except BufferError:  # its queue is full
                    self._drain()
                    produce(topic, value, key, PARTITION, **more)
        except self._client_error as error:
            self._many.purge()
            raise self._refused(error) from error
        self._drain()
        if not self._alone:
            return len(keys)
        self._end = self.reader.bounds()[1]
        if self._end != first + len(keys):
            raise OperationFailed(
                f"kafka, {topic}: {self._end - first} messages were added where {len(keys)} were "
                "written; somebody else writes to this topic"
            )
        places.update(zip(keys, range(first, self._end), strict=True))
        return len(keys)

    def erase(self, keys: Sequence[str]) -> None:
        """Write a tombstone for each of these keys."""
        self.put_many(keys, [None] * len(keys))
        for key in keys:
            self.places.pop(key, None)

    def _drain(self) -> None:
        """Wait until everything was acknowledged, for as long as somebody answers."""
        for _ in range(int(_DELIVERY_S / _POLL_S)):
            with self.fatal_errors_told():
                left = self._many.flush(_POLL_S)
            if self._failures:
                failure = self._failures[0]
                self._failures.clear()
                self._many.purge()
                raise translated(failure, f"{self.topic}, write")
            if not left:
                return
            self.client.check_reachable()
        raise SystemUnavailable(f"kafka, {self.topic}: {left} messages were not acknowledged")

    @contextlib.contextmanager
    def fatal_errors_told(self) -> Iterator[None]:
        """Translate what the library raises from a poll: errors after which it writes no more."""
        try:
            yield
        except self._client_error as error:
            raise translated(error.args[0], f"{self.topic}, write") from error

    def _failed(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def _refused(self, error: Exception) -> OperationFailed:
        if error.args[0].name() == "_FATAL":
            self.client.check_reachable()
            return OperationFailed(
                f"kafka, {self.topic}: the client library writes no more after a fatal error, as "
                f"where the right Write on the topic is missing; {advice('kafka')}"
            )
        return OperationFailed(
            f"kafka, {self.topic}: a message can't be written (at most "
            f"{MOST_MESSAGE_BYTES} bytes are taken): {error}"
        )

    # Reading

    def read(self, key: str) -> bytes | None:
        """Return the value of a key's last message, None if there is none."""
        offset = self.places.get(key)
        if offset is None:
            return None
        message = self.reader.message_at(offset)
        if message is None or message.offset() != offset or message.key() != key.encode():
            return None
        value: bytes | None = message.value()
        return value

    # Maintenance

    def cut(self, offset: int) -> None:
        """Delete all messages before an offset (DeleteRecords)."""
        self.client.delete_records(self.topic, offset)

    def mark(self, at_ms: int) -> int:
        """Write a tombstone of our own with this time, and return its offset."""
        return Sent(self, WITNESS, None, None, at_ms).offset()


class Sent:
    """One message on its way."""

    __slots__ = ("_error", "_log", "_offset")

    def __init__(
        self,
        log: KafkaLog,
        key: str,
        value: bytes | None,
        headers: Headers | None,
        at_ms: int | None = None,
    ) -> None:
        self._log = log
        self._offset: int | None = None
        self._error: KafkaError | None = None
        more: dict[str, Any] = {"headers": headers} if headers else {}
        if at_ms is not None:
            more["timestamp"] = at_ms
        try:
            log._single.produce(
                log.topic, value, key, PARTITION, on_delivery=self._delivered, **more
            )
        except log._client_error as error:
            raise log._refused(error) from error

    def offset(self) -> int:
        """Wait for the acknowledgement, and return the message's offset."""
        log = self._log
        poll = log._single.poll
        waits = int(_DELIVERY_S / _POLL_S)
        with log.fatal_errors_told():
            while self._offset is None:
                if self._error is not None:
                    raise translated(self._error, f"{log.topic}, write")
                if not poll(_POLL_S) and self._offset is None:
                    log.client.check_reachable()
                    waits -= 1
                    if waits <= 0:
                        raise SystemUnavailable(f"kafka, {log.topic}: a write was not acknowledged")
        log._end = self._offset + 1
        return self._offset

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = error
        else:
            self._offset = message.offset()
