"""The source of Kafka topics against a real Apache Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from deduplab.bound.sources import kafka, open_source
from deduplab.errors import PlanError, SystemUnavailable
from deduplab.servers._kafka_settings import ADMINISTRATOR
from deduplab.servers.kafka import KafkaServer
from tests.unit.sources_reading import objects_of, reasons, rows_of

pytestmark = pytest.mark.server
confluent_kafka = pytest.importorskip("confluent_kafka", exc_type=ImportError)
admin = pytest.importorskip("confluent_kafka.admin", exc_type=ImportError)

_DEADLINE_S = 30.0
_PARTITIONS = 3


@dataclass
class Broker:
    settings: dict[str, Any]
    host: str
    user: str
    administrator: dict[str, Any]

    def url(self, topic: str) -> str:
        return f"kafka://{self.user}@{self.host}/{topic}?secret=env:LAB_SOURCE_SECRET"

    def create(self, topic: str, **configuration: str) -> None:
        new = admin.NewTopic(topic, _PARTITIONS, 1, config=configuration)
        client = admin.AdminClient(self.settings)
        client.create_topics([new])[topic].result(_DEADLINE_S)

    def fill(self, topic: str, messages: int, length: int = 20) -> None:
        producer = confluent_kafka.Producer(self.settings)
        for number in range(messages):
            value = None if number % 50 == 49 else b"%d " % number * (length // 4)
            producer.produce(topic, value, b"key %d" % number, number % _PARTITIONS)
            producer.poll(0)
        assert producer.flush(_DEADLINE_S) == 0


@pytest.fixture(scope="module")
def broker(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Broker]:
    with (
        TemporaryDirectory(prefix="deduplab-sources-") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        server = KafkaServer(Path(folder), variant="default", durability="none")
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up("kafka", error)
        try:
            assert endpoint.secret is not None
            assert endpoint.user is not None
            m.setenv("LAB_SOURCE_SECRET", endpoint.secret.reveal())
            host = f"{endpoint.host}:{endpoint.port}"
            settings = {
                "bootstrap.servers": host,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": endpoint.user,
                "sasl.password": endpoint.secret.reveal(),
            }
            administrator = {
                **settings,
                "sasl.username": ADMINISTRATOR,
                "sasl.password": server._administrator.reveal(),
            }
            yield Broker(settings, host, endpoint.user, administrator)
        finally:
            server.stop()


def test_all_messages_of_a_topic(broker: Broker) -> None:
    broker.create("deduplab.whole")
    broker.fill("deduplab.whole", 3000)
    source = open_source(broker.url("deduplab.whole"))
    found = objects_of(source)
    expected = [b"" if n % 50 == 49 else b"%d " % n * 5 for n in range(3000)]
    assert sorted(found[""]) == sorted(expected)
    assert sorted(found["key"]) == sorted(b"key %d" % number for number in range(3000))
    assert source.left_out == []
    parts = source.shards(8)
    assert [len(rows_of(part)) for part in parts] == [1000] * _PARTITIONS


def test_compressed_topics_and_large_messages(broker: Broker) -> None:
    broker.create("deduplab.large", **{"compression.type": "zstd"})
    broker.fill("deduplab.large", 60, length=400_000)
    found = objects_of(open_source(broker.url("deduplab.large"), column_pages=100))
    assert len(found[""]) == 60
    assert sum(map(len, found[""])) == sum(
        len(b"%d " % n) * 100_000 for n in range(60) if n % 50 != 49
    )
    assert b"".join(found["key"]).count(b"key") == 60


def test_empty_topics_and_those_that_are_not_there(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.create("deduplab.empty")
    source = open_source(broker.url("deduplab.empty"))
    assert objects_of(source) == {}
    assert source.left_out == []
    with pytest.raises(PlanError, match="did you mean"):
        rows_of(open_source(broker.url("deduplab.emty")))
    monkeypatch.setenv("LAB_SOURCE_SECRET", "wrong")
    monkeypatch.setattr(kafka, "_ANSWER_S", 2.0)
    with pytest.raises(SystemUnavailable, match="no broker answers"):
        rows_of(open_source(broker.url("deduplab.empty")))


def test_messages_deleted_from_the_front_are_no_gap(broker: Broker) -> None:
    broker.create("deduplab.cut")
    broker.fill("deduplab.cut", 300)
    until = [confluent_kafka.TopicPartition("deduplab.cut", n, 40) for n in range(_PARTITIONS)]
    client = admin.AdminClient(broker.settings)
    for future in client.delete_records(until).values():
        future.result(_DEADLINE_S)
    source = open_source(broker.url("deduplab.cut"))
    assert len(rows_of(source)) == 300 - 40 * _PARTITIONS
    assert source.left_out == []


def test_messages_deleted_before_they_are_read_are_said(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.create("deduplab.expiring")
    broker.fill("deduplab.expiring", 300)
    client = admin.AdminClient(broker.settings)
    make = kafka.KafkaSource._consumer

    class Late:
        """A consumer that begins when the first messages of a partition are gone."""

        def __init__(self, source: kafka.KafkaSource, *given: str) -> None:
            self._consumer = make(source, *given)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._consumer, name)

        def assign(self, starts: list[Any]) -> None:
            until = confluent_kafka.TopicPartition("deduplab.expiring", 0, 40)
            client.delete_records([until])[until].result(_DEADLINE_S)
            self._consumer.assign(starts)

    monkeypatch.setattr(kafka.KafkaSource, "_consumer", lambda *given: Late(*given))
    source = open_source(broker.url("deduplab.expiring"))
    assert len(rows_of(source)) == 200
    assert "partition 0: can't be read any further" in reasons(source)


def test_only_committed_messages_count_and_open_transactions_are_said(broker: Broker) -> None:
    topic = "deduplab.transactions"
    broker.create(topic)
    settings = {**broker.administrator, "transactional.id": "deduplab.test"}
    producer = confluent_kafka.Producer(settings)
    producer.init_transactions(_DEADLINE_S)

    def begin(value: bytes) -> None:
        producer.begin_transaction()
        for number in range(30):
            producer.produce(topic, value, partition=number % _PARTITIONS)
        assert producer.flush(_DEADLINE_S) == 0

    begin(b"committed")
    producer.commit_transaction(_DEADLINE_S)
    begin(b"aborted")
    producer.abort_transaction(_DEADLINE_S)
    source = open_source(broker.url(topic))
    assert rows_of(source) == [b"committed"] * 30
    assert source.left_out == []
    begin(b"open")
    try:
        broker.fill(topic, 30)
        assert rows_of(source) == [b"committed"] * 30
        assert reasons(source).count("a transaction is open") == _PARTITIONS
    finally:
        producer.abort_transaction(_DEADLINE_S)
    assert len(rows_of(source)) == 60
    assert source.left_out == []
