"""The sink of a Kafka topic, against a real broker that asks for SASL/SCRAM."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from deduplab.errors import PlanError, SystemUnavailable
from deduplab.server import Secret
from deduplab.servers.kafka import KafkaServer
from deduplab.sinks.kafka import KafkaSettings
from deduplab.sinks.message import Message
from tests.contract.certificates import issued
from tests.contract.kafka_by_tls import KafkaByTls
from tests.end_to_end.conftest import write_plan

pytestmark = pytest.mark.server
confluent_kafka = pytest.importorskip("confluent_kafka", exc_type=ImportError)
admin = pytest.importorskip("confluent_kafka.admin", exc_type=ImportError)

_DEADLINE_S = 30.0


@dataclass
class Broker:
    server: KafkaServer
    settings: KafkaSettings

    def sink(self, topic: str, **changes: Any) -> KafkaSettings:
        return replace(self.settings, topic=f"deduplab.{topic}", **changes)

    def make(self, topic: str, partitions: int = 1) -> None:
        client = admin.AdminClient(self.settings.of_library())
        name = f"deduplab.{topic}"
        made = client.create_topics([admin.NewTopic(name, partitions, 1)])
        made[name].result(_DEADLINE_S)

    def messages(self, topic: str) -> list[list[tuple[bytes | None, Message]]]:
        """Return keys and values of all messages, by partition."""
        consumer = confluent_kafka.Consumer(
            {**self.settings.of_library(), "group.id": "deduplab.none", "enable.auto.commit": False}
        )
        name = f"deduplab.{topic}"
        try:
            found = []
            partitions = consumer.list_topics(name, timeout=_DEADLINE_S).topics[name].partitions
            for number in sorted(partitions):
                partition = confluent_kafka.TopicPartition(name, number, 0)
                _, end = consumer.get_watermark_offsets(partition, timeout=_DEADLINE_S)
                consumer.assign([partition])
                got: list[tuple[bytes | None, Message]] = []
                while len(got) < end:
                    message = consumer.poll(_DEADLINE_S)
                    assert message is not None, f"{len(got)} of {end} came"
                    assert message.error() is None
                    got.append((message.key(), json.loads(message.value())))
                found.append(got)
            return found
        finally:
            consumer.close()


def start() -> Broker:
    directory = Path(tempfile.mkdtemp(prefix="deduplab-sink-"))
    server = KafkaServer(directory, variant="default", durability="none")
    try:
        endpoint = server.start()
    except BaseException:
        shutil.rmtree(directory)
        raise
    address = f"{endpoint.host}:{endpoint.port}"
    settings = KafkaSettings(address, "", endpoint.user, endpoint.secret, tls="off")
    return Broker(server, settings)


def end(broker: Broker) -> None:
    broker.server.stop()
    shutil.rmtree(broker.server.workspace)


@pytest.fixture(scope="module")
def broker(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Broker]:
    try:
        started = start()
    except SystemUnavailable as error:
        not_brought_up("kafka", error)
    yield started
    end(started)


def told(cell: str, number: int) -> Message:
    return {"type": "sampled", "run": "r", "cell": cell, "number": number, "values": {"a": 1.5}}


def test_messages_of_a_cell_are_in_one_partition_in_their_order(broker: Broker) -> None:
    broker.make("ordered", partitions=3)
    sink = broker.sink("ordered").sink()
    sink.open()
    cells = [f"cell-{number}" for number in range(7)]
    for first in range(0, 200, 50):
        sink.take([told(cell, number) for number in range(first, first + 50) for cell in cells])
    sink.close(_DEADLINE_S)
    assert (sink.lost, sink.reason) == (0, "")
    assert sink.sent() == "1400 messages acknowledged"
    partitions = broker.messages("ordered")
    by_cell: dict[bytes | None, list[Message]] = {}
    for number, messages in enumerate(partitions):
        for key, message in messages:
            by_cell.setdefault(key, []).append({**message, "partition": number})
    assert set(by_cell) == {cell.encode() for cell in cells}
    for of_cell in by_cell.values():
        assert [one["number"] for one in of_cell] == list(range(200))
        assert len({one["partition"] for one in of_cell}) == 1
    some = next(message for messages in partitions for _, message in messages)
    assert some.keys() == told("", 0).keys()


def test_a_topic_that_is_not_there_is_made_only_if_that_is_asked_for(broker: Broker) -> None:
    with pytest.raises(PlanError, match=r"'deduplab\.wanted'.*partitions = 1"):
        broker.sink("wanted").sink().open()
    with pytest.raises(PlanError):
        broker.sink("wanted").sink().open()  # and the first look did not make it
    sink = broker.sink("wanted", partitions=2).sink()
    sink.open()
    sink.take([told("c", 0)])
    sink.close(_DEADLINE_S)
    found = broker.messages("wanted")
    assert [len(one) for one in found] in ([1, 0], [0, 1])


def test_a_wrong_password_is_told_as_such(broker: Broker) -> None:
    with pytest.raises(SystemUnavailable, match=r"(?i)authentication") as refused:
        broker.sink("ordered", secret=Secret("not " + os.urandom(4).hex())).sink().open()
    assert broker.settings.secret is not None
    assert broker.settings.secret.reveal() not in str(refused.value)


def test_nobody_at_the_address(broker: Broker) -> None:
    with pytest.raises(SystemUnavailable, match=r"127\.0\.0\.1:9: .*refused"):
        broker.sink("ordered", address="127.0.0.1:9").sink().open()


def test_a_broker_that_goes_away_costs_what_it_did_not_acknowledge() -> None:
    alone = start()
    try:
        alone.make("lost")
        sink = alone.sink("lost").sink()
        sink.open()
        sink.take([told("c", number) for number in range(10)])
        sink._producer.flush(_DEADLINE_S)  # type: ignore[attr-defined]
        assert sink.lost == 0
        alone.server.stop()
        sink.take([told("c", number) for number in range(10, 15)])
        sink.close(1.0)
        assert sink.lost == 5
        assert sink.reason
        assert sink.sent() == "10 messages acknowledged"
    finally:
        end(alone)


def test_a_broker_proves_who_it_is_by_tls(
    tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    (trusted, own), (other, _) = (issued(tmp_path, name) for name in ("own", "other"))
    directory = Path(tempfile.mkdtemp(prefix="deduplab-sink-"))
    server = KafkaByTls(directory, own)
    try:
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up("kafka", error)
        settings = KafkaSettings(
            f"127.0.0.1:{server.tls_port}",
            "deduplab.tls",
            endpoint.user,
            endpoint.secret,
            ssl_ca=str(trusted),
            partitions=1,
        )
        sink = settings.sink()
        sink.open()
        sink.take([told("c", 0)])
        sink.close(_DEADLINE_S)
        assert (sink.lost, sink.sent()) == (0, "1 messages acknowledged")
        for authority in (str(other), None):
            with pytest.raises(SystemUnavailable, match=r"(?i)certificate"):
                replace(settings, ssl_ca=authority).sink().open()
    finally:
        server.stop()
        shutil.rmtree(directory)


def test_a_run_is_told_to_a_topic_while_it_goes_on(
    broker: Broker, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.make("run")
    assert broker.settings.secret is not None
    password = broker.settings.secret.reveal()
    monkeypatch.setenv("TRACE_PASSWORD", password)
    plan = write_plan(tmp_path / "p.toml", ["sqlite"])
    sinks = tmp_path / "sinks.toml"
    sinks.write_text(
        f'[json_lines]\npath = "{tmp_path}/events.jsonl"\n[kafka]\n'
        f'address = "{broker.settings.address}"\ntopic = "deduplab.run"\n'
        f'user = "{broker.settings.user}"\nsecret = "env:TRACE_PASSWORD"\ntls = "off"\n'
    )
    done = cli("run", plan, "--sinks", sinks)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {one["type"] for one in lines} == {
        *("run_began", "cell_began", "marked", "sampled", "measured", "cell_ended", "run_ended")
    }
    (messages,) = broker.messages("run")
    assert [message for _, message in messages] == lines
    assert f"sink kafka: {len(lines)} messages acknowledged\n" in done.stdout
    # And the secret is nowhere that is kept or said.
    assert password not in done.stdout + done.stderr
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if password.encode() in path.read_bytes()]


def test_what_is_measured_is_no_sink(
    broker: Broker, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broker.settings.secret is not None
    monkeypatch.setenv("TRACE_PASSWORD", broker.settings.secret.reveal())
    host, port = broker.settings.address.split(":")
    plan = write_plan(tmp_path / "p.toml", ["kafka"])
    with plan.open("a") as file:
        file.write(
            f'[systems.kafka.remote]\nhost = "{host}"\nport = {port}\ntls = "off"\n'
            f'user = "{broker.settings.user}"\nsecret = "env:TRACE_PASSWORD"\n'
        )
    sinks = tmp_path / "sinks.toml"
    sinks.write_text(
        f'[kafka]\naddress = "localhost:{port}"\ntopic = "deduplab.run"\ntls = "off"\n'
    )
    done = cli("run", plan, "--sinks", sinks)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "must not be written into what it measures" in done.stderr
    assert not (tmp_path / "runs").exists()
