"""The source of Kafka topics, against the mock cluster inside librdkafka.

It speaks the protocol over TCP, but is not Kafka: what a real broker does is
tested where one is given in ``DEDUPLAB_KAFKA`` (``host:port``).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from deduplab.bound.sources import kafka, open_source
from deduplab.errors import PlanError, SystemUnavailable
from tests.unit.sources_reading import objects_of, reasons, rows_of

confluent_kafka = pytest.importorskip("confluent_kafka", exc_type=ImportError)

_DEADLINE_S = 20.0
_PARTITIONS = 4  # what the mock cluster gives a topic


def _fill(producer: Any, topic: str, messages: int) -> None:
    for number in range(messages):
        value = None if number % 50 == 49 else b"value %d" % (number % 100)
        producer.produce(topic, value=value, key=b"key %d" % number, partition=number % _PARTITIONS)
    assert producer.flush(_DEADLINE_S) == 0


@pytest.fixture
def cluster() -> Iterator[tuple[Any, str]]:
    """Return a producer that holds a cluster, and the cluster's address."""
    settings = {"test.mock.num.brokers": 1, "log_level": 0}
    producer = confluent_kafka.Producer(settings)
    (broker,) = producer.list_topics(timeout=_DEADLINE_S).brokers.values()
    yield producer, f"{broker.host}:{broker.port}"
    del producer


def test_all_messages_of_a_topic(cluster: tuple[Any, str]) -> None:
    producer, address = cluster
    _fill(producer, "topic", 3000)
    source = open_source(f"kafka://{address}/topic")
    found = objects_of(source)
    assert len(found[""]) == len(found["key"]) == 3000
    expected = [b"" if n % 50 == 49 else b"value %d" % (n % 100) for n in range(3000)]
    assert sorted(found[""]) == sorted(expected)
    assert sorted(found["key"]) == sorted(b"key %d" % number for number in range(3000))
    assert source.left_out == []
    alone = objects_of(open_source(f"kafka://{address}/topic", columns=()))
    assert set(alone) == {""}


def test_shards_are_partitions(cluster: tuple[Any, str]) -> None:
    producer, address = cluster
    _fill(producer, "topic", 600)
    parts = open_source(f"kafka://{address}/topic").shards(2)
    assert len(parts) == 2
    counts = [len(rows_of(pickle.loads(pickle.dumps(part)))) for part in parts]
    assert counts == [300, 300]


def test_what_comes_after_the_start_is_not_read(cluster: tuple[Any, str]) -> None:
    producer, address = cluster
    _fill(producer, "topic", 300)
    source = open_source(f"kafka://{address}/topic", columns=())
    blocks = source.blocks()
    begun = next(blocks)
    _fill(producer, "topic", 300)
    rows = len(begun.offsets) - 1 + sum(len(block.offsets) - 1 for block in blocks)
    assert rows == 300


def test_an_empty_topic_has_no_objects(cluster: tuple[Any, str]) -> None:
    producer, address = cluster
    producer.list_topics("empty", timeout=_DEADLINE_S)
    source = open_source(f"kafka://{address}/empty")
    assert objects_of(source) == {}
    assert source.left_out == []


def test_a_topic_that_is_not_there_is_told(cluster: tuple[Any, str]) -> None:
    producer, address = cluster
    _fill(producer, "measurements", 3)
    with pytest.raises(PlanError, match="did you mean 'measurements'"):
        rows_of(open_source(f"kafka://{address}/measurement"))


def test_a_partition_that_falls_silent_is_said(
    cluster: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, address = cluster
    _fill(producer, "topic", 300)
    monkeypatch.setattr(kafka, "_SILENCE_S", 0.0)
    source = open_source(f"kafka://{address}/topic")
    assert objects_of(source) == {}
    assert reasons(source).count("before offset 75") == 4


def test_columns_that_a_topic_has_not() -> None:
    assert open_source("kafka://127.0.0.1:1/topic", columns=["key"])
    with pytest.raises(PlanError, match="unknown column 'value'"):
        open_source("kafka://127.0.0.1:1/topic", columns=["value"])


def test_no_broker_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_ANSWER_S", 0.3)
    with pytest.raises(SystemUnavailable, match="no broker answers"):
        rows_of(open_source("kafka://127.0.0.1:1/topic"))


@pytest.mark.server
def test_a_real_broker() -> None:
    address = os.environ.get("DEDUPLAB_KAFKA")
    if not address:
        pytest.skip("no address of a Kafka broker is given in DEDUPLAB_KAFKA")
    admin: Any = pytest.importorskip("confluent_kafka.admin")
    topic = f"deduplab-test-{uuid4()}"
    client = admin.AdminClient({"bootstrap.servers": address})
    client.create_topics([admin.NewTopic(topic, _PARTITIONS, 1)])[topic].result(_DEADLINE_S)
    try:
        _fill(confluent_kafka.Producer({"bootstrap.servers": address}), topic, 3000)
        source = open_source(f"kafka://{address}/{topic}")
        assert len(objects_of(source)["key"]) == 3000
        assert source.left_out == []
    finally:
        client.delete_topics([topic])[topic].result(_DEADLINE_S)
