"""Kafka topics: an object is a message's value, from the first offset to the last one at the start.

Partition by partition in the order in which they answer; keys are a stream of
their own. Offsets that compaction or transactions left empty hold no message.
Nothing is committed and no group is joined.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final
from uuid import uuid4

from deduplab.bound.sources.address import Address
from deduplab.bound.sources.base import BLOCK_BYTES, ScanSource, driver, words_of
from deduplab.bound.sources.table import StreamBlocks, TableOptions, block_of
from deduplab.bound.stream import Block, Source
from deduplab.errors import PlanError, SystemUnavailable, unknown_name

OPTIONS: Final = ("tls", "mechanism")
KEYS: Final = "key"
_PORT: Final = 9092
_ANSWER_S: Final = 10.0
_SILENCE_S: Final = 60.0
_POLL_S: Final = 0.2
_AT_ONCE: Final = 1_000
_MECHANISM: Final = "SCRAM-SHA-512"
_SILENT: Final = logging.getLogger("deduplab.kafka")
"""Takes what the library would print on standard error."""


class KafkaSource(ScanSource):
    """The messages of a topic, or of some of its partitions.

    Only committed messages are read. The stream ``""`` holds the values (a
    tombstone is an object without bytes), the stream ``key`` the keys.

    Parameters
    ----------
    address
        ``kafka://user@host:port/topic?secret=env:NAME``; with a user SASL is
        used (``mechanism``, SCRAM-SHA-512 unless said), elsewhere than on this
        machine TLS too (``tls=no`` refrains).
    options
        ``columns=()`` leaves the keys out. Order can't be chosen.
    partitions
        Which partitions; None takes all.

    Raises
    ------
    PlanError
        If no topic is named, or a column that there is not.
    """

    def __init__(
        self,
        address: Address,
        options: TableOptions | None = None,
        partitions: tuple[int, ...] | None = None,
    ) -> None:
        if not address.path:
            raise PlanError(f"{address.shown}: name a topic: {address.shown}TOPIC")
        super().__init__(address.shown)
        self.address = address
        self.options = options or TableOptions()
        self.options.chosen([KEYS], self.name)
        self.partitions = partitions

    def shards(self, count: int) -> Sequence[Source]:
        """Return parts with a partition or some each."""
        if self.partitions is not None:
            return [self]
        with closing(self._consumer()) as consumer:
            numbers = self._numbers(consumer)
        parts = [tuple(numbers[first::count]) for first in range(min(count, len(numbers)))]
        return [KafkaSource(self.address, self.options, part) for part in parts]

    def blocks(self) -> Iterator[Block]:
        """Read until the last offset that each partition had at the start.

        Raises
        ------
        PlanError
            If there is no such topic.
        SystemUnavailable
            If confluent-kafka is missing, or no broker answers.
        """
        self.left_out.clear()
        kafka: Any = driver("confluent_kafka", "kafka", self.name)
        with closing(self._consumer()) as consumer:
            ends = self._begin(kafka, consumer)
            packer = _MessagePacker(self.options)
            for message in self._messages(kafka, consumer, ends):
                packer.add(message)
                if packer.full:
                    yield from packer.hand_out()
            yield from packer.last()
            for number, end in sorted(ends.items()):
                self.leave_out(
                    f"{self.name} partition {number}",
                    f"nothing came for {_SILENCE_S:.0f} s before offset {end}; "
                    "what came until then is counted",
                )

    def _begin(self, kafka: Any, consumer: Any) -> dict[int, int]:
        """Take the partitions from their first offset on; return their ends, without empty ones."""
        topic = self.address.path
        starts: list[Any] = []
        ends: dict[int, int] = {}
        try:
            numbers = self.partitions or tuple(self._numbers(consumer))
            with closing(self._consumer("read_uncommitted")) as other:
                lasts = {number: self._watermarks(kafka, other, number)[1] for number in numbers}
            for number, last in lasts.items():
                low, high = self._watermarks(kafka, consumer, number)
                if high < last:
                    self.leave_out(
                        f"{self.name} partition {number}",
                        f"a transaction is open, which holds back what stands from offset {high} "
                        f"up to {last}; what comes before is counted",
                    )
                if high > low:
                    starts.append(kafka.TopicPartition(topic, number, low))
                    ends[number] = high
            consumer.assign(starts)
        except kafka.KafkaException as error:
            raise SystemUnavailable(f"{self.name} can't be read: {words_of(error)}") from error
        return ends

    def _messages(self, kafka: Any, consumer: Any, ends: dict[int, int]) -> Iterator[Any]:
        """Yield messages; a partition leaves ``ends`` when its end was reached."""
        heard = time.monotonic()
        while ends and time.monotonic() - heard < _SILENCE_S:
            messages = consumer.consume(_AT_ONCE, timeout=_POLL_S)
            if messages:
                heard = time.monotonic()
            for message in messages:
                number, error = message.partition(), message.error()
                if error is not None:
                    if error.code() == kafka.KafkaError._PARTITION_EOF:
                        ends.pop(number, None)
                    elif number in ends and not error.retriable():
                        ends.pop(number)
                        self.leave_out(
                            f"{self.name} partition {number}",
                            f"can't be read any further: {error.str()}; "
                            "what came until then is counted",
                        )
                    continue
                end = ends.get(number)
                if end is None:
                    continue
                if message.offset() < end:
                    yield message
                if message.offset() + 1 >= end:
                    ends.pop(number)

    def _numbers(self, consumer: Any) -> list[int]:
        kafka: Any = driver("confluent_kafka", "kafka", self.name)
        topic = self.address.path
        try:
            topics = consumer.list_topics(timeout=_ANSWER_S).topics
        except kafka.KafkaException as error:
            raise SystemUnavailable(f"{self.name}: no broker answers: {words_of(error)}") from error
        if topic not in topics:
            raise PlanError(f"{self.name}: {unknown_name('topic', topic, tuple(topics))}")
        return sorted(topics[topic].partitions)

    def _watermarks(self, kafka: Any, consumer: Any, number: int) -> tuple[int, int]:
        """Return the first offset of a partition, and the one behind the last that is given."""
        partition = kafka.TopicPartition(self.address.path, number)
        found: tuple[int, int] = consumer.get_watermark_offsets(partition, timeout=_ANSWER_S)
        return found

    def _consumer(self, isolation: str = "read_committed") -> Any:
        kafka: Any = driver("confluent_kafka", "kafka", self.name)
        address = self.address
        settings: dict[str, Any] = {
            "bootstrap.servers": f"{address.host}:{address.port or _PORT}",
            # The library asks for a group's name; with assign() no group is joined.
            "group.id": f"deduplab.scan-{uuid4()}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # What retention deletes before it is read is said, not passed over.
            "auto.offset.reset": "error",
            "allow.auto.create.topics": False,
            "isolation.level": isolation,
            "security.protocol": ("SASL_" if address.user else "")
            + ("SSL" if address.tls else "PLAINTEXT"),
        }
        if address.user:
            settings["sasl.mechanism"] = address.options.get("mechanism", _MECHANISM)
            settings["sasl.username"] = address.user
            settings["sasl.password"] = address.password() or ""
        try:
            return kafka.Consumer(settings, logger=_SILENT)
        except kafka.KafkaException as error:
            raise SystemUnavailable(f"{self.name}: {words_of(error)}") from error


class _MessagePacker:
    """Collects messages' values and keys."""

    def __init__(self, options: TableOptions) -> None:
        self._apart = options.apart
        self._shape = StreamBlocks(options)
        self._values: list[bytes | None] = []
        self._keys: list[bytes | None] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether a block's worth of messages is there."""
        return self._bytes >= BLOCK_BYTES

    def add(self, message: Any) -> None:
        """Take a message."""
        value = message.value()
        self._values.append(value)
        self._bytes += len(value or b"") + 64
        if self._apart:
            self._keys.append(message.key())

    def hand_out(self) -> Iterator[Block]:
        """Yield one block for the values, and one for the keys."""
        if self._values:
            yield block_of(self._values, "")
        if self._keys:
            yield from self._shape.shaped(block_of(self._keys, KEYS))
        self._values, self._keys, self._bytes = [], [], 0

    def last(self) -> Iterator[Block]:
        """Yield what is left, and the end of an open page."""
        yield from self.hand_out()
        yield from self._shape.last()
