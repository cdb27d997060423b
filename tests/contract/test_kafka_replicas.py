"""Three Kafka brokers: each has everything in logs of its own, or is not counted as a copy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from deduplab.adapters import _kafka_followers
from deduplab.adapters.kafka import KafkaAdapter
from deduplab.errors import ProbeError, SystemUnavailable
from deduplab.server import Endpoint, Member, Server
from deduplab.servers._kafka_settings import ADMINISTRATOR
from deduplab.servers._members import Members
from deduplab.servers.kafka import KafkaServer
from deduplab.testing import batch_of, distinct_objects
from deduplab.testing._fixtures import assert_holds
from tests.contract.looks_kafka import settings
from tests.contract.shared_kafka import LOOK
from tests.soon import soon

pytestmark = pytest.mark.server

SOON_S = 60.0
NODES = (1, 2, 3)


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> Iterator[tuple[Members, Endpoint]]:
    """Yield three brokers that are up."""
    directory = tmp_path_factory.mktemp("cluster")
    server = KafkaServer.replicated(directory, variant="", durability="fsync", replicas=len(NODES))
    assert isinstance(server, Members)
    try:
        endpoint = server.start()
    except SystemUnavailable as error:
        not_brought_up("kafka", error)
    yield server, endpoint
    server.stop()


@pytest.fixture
def cluster(started: tuple[Members, Endpoint]) -> tuple[Members, Endpoint]:
    """Return the brokers, all up again where a test has killed some."""
    server, _ = started
    if len(server.processes()) < len(NODES):
        server.restart()
    return started


@contextmanager
def entered(endpoint: Endpoint, namespace: str, variant: str) -> Iterator[KafkaAdapter]:
    adapter = KafkaAdapter()
    try:
        adapter.open(endpoint)
        adapter.create(namespace, layout="blob", variant=variant, durability="fsync")
        yield adapter
    finally:
        adapter.close()


def logs_of(server: Server, topic: str) -> dict[str, bytes]:
    """Return the segments of a topic that lie on each broker's disk, one after the other."""

    def segments(member: Member) -> bytes:
        paths = sorted(member.directory.glob(f"{topic}-0/*.log"))
        return b"".join(path.read_bytes() for path in paths)

    return {member.name: segments(member) for member in server.members()}


def is_at_rest(adapter: KafkaAdapter) -> bool:
    return not any(adapter.idle_signals().values())


def process_of(server: Members, name: str) -> int:
    (process,) = server._servers[name].processes()
    return process


def super_user(server: Members, endpoint: Endpoint) -> Any:
    """Return the raw administration of the cluster, which sees all topics."""
    first = server._servers["broker-1"]
    assert isinstance(first, KafkaServer)
    return LOOK.raw(replace(endpoint, user=ADMINISTRATOR, secret=first._administrator)).admin


def test_every_broker_has_every_record_in_a_log_of_its_own(
    cluster: tuple[Members, Endpoint],
) -> None:
    server, endpoint = cluster
    objects = distinct_objects(50)
    with entered(endpoint, "on-each", "delete-policy") as adapter:
        assert adapter.put_many(batch_of(objects)) == 50
        adapter.put("alone", b"put alone " * 100)
        found = logs_of(server, "deduplab.on-each.objects")
        assert list(found) == ["broker-1", "broker-2", "broker-3"]
        assert len(set(found.values())) == 1  # the leader's batches, byte by byte
        for payload in (*objects.values(), b"put alone " * 100):
            assert found["broker-3"].count(payload) == 1
        assert adapter.physical_copies() == 3
        assert adapter.engine_reading().components["data"] == len(found["broker-1"])
        assert adapter.identity().configuration["replicas"] == "3"
        soon(lambda: is_at_rest(adapter), "rest")
        assert set(adapter.idle_signals()) == {
            "changing_logs",
            "changing_replicas",
            "replicas_behind",
        }


def test_all_topics_have_three_replicas_and_the_first_broker_leads_ours(
    cluster: tuple[Members, Endpoint],
) -> None:
    server, endpoint = cluster
    with entered(endpoint, "assigned", "compact-by-hash"):
        found = super_user(server, endpoint).list_topics(timeout=20).topics
    ours = [name for name in found if name.startswith("deduplab.assigned.")]
    assert len(ours) == 3
    for name in ours:
        (place,) = found[name].partitions.values()
        assert (place.leader, place.replicas, sorted(place.isrs)) == (1, [*NODES], [*NODES])
    internal = [name for name in found if name.startswith("__")]
    assert "__consumer_offsets" in internal
    for name in internal:
        for place in found[name].partitions.values():
            assert sorted(place.replicas) == [*NODES]


def test_each_broker_cleans_its_own_log_and_all_are_waited_for(
    cluster: tuple[Members, Endpoint],
) -> None:
    server, endpoint = cluster
    objects = distinct_objects(60)
    stored = {f"{key}-{n}": payload for n in range(5) for key, payload in objects.items()}
    topic = "deduplab.all-clean.payloads"
    with entered(endpoint, "all-clean", "compact-by-hash") as adapter:
        adapter.put_many(batch_of(stored))
        before = logs_of(server, topic)
        assert {log.count(objects[key]) for log in before.values() for key in objects} == {5}
        adapter.reclaim("clean")
        after = logs_of(server, topic)
        assert {log.count(objects[key]) for log in after.values() for key in objects} == {1}
        assert len({len(log) for log in after.values()}) == 1
        assert adapter.physical_copies() == 3
        assert_holds(adapter, stored)
        adapter.delete(list(stored))
        adapter.reclaim("clean")
        assert all(len(log) < 1000 for log in logs_of(server, topic).values())
        adapter.put_many(batch_of(objects))
        adapter.empty("truncate")
        adapter.reclaim("clean")
        assert all(log == b"" for log in logs_of(server, topic).values())
        assert adapter.physical_copies() == 3


def test_a_write_is_acknowledged_when_all_have_it_and_never_before(
    cluster: tuple[Members, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that stands still: no acknowledgement, and one copy less until it has all."""
    server, endpoint = cluster
    monkeypatch.setattr(_kafka_followers, "_ANSWER_S", 0.5)
    topic = "deduplab.stands-still.objects"
    with entered(endpoint, "stands-still", "delete-policy") as adapter:
        adapter.put("before", b"payload")
        os.kill(process_of(server, "broker-2"), signal.SIGSTOP)
        try:
            assert unacknowledged(endpoint, topic, acks="all", each=b"a" * 1000) == 1
            assert adapter.physical_copies() == 2
            assert adapter.idle_signals()["replicas_behind"] == 1
            assert adapter.get("before") == b"payload"
            # As a careless user would write: the leader alone acknowledges these.
            assert unacknowledged(endpoint, topic, acks="1", each=b"b" * 100_000, number=80) == 0
            assert adapter.physical_copies() == 2
        finally:
            os.kill(process_of(server, "broker-2"), signal.SIGCONT)
        soon(lambda: adapter.physical_copies() == 3, "the third copy")
        found = logs_of(server, topic)
        assert len(set(found.values())) == 1
        assert found["broker-2"].count(b"b" * 100_000) == 80
        soon(lambda: is_at_rest(adapter), "rest")
        adapter.put("after", b"payload")


def unacknowledged(
    endpoint: Endpoint, topic: str, *, acks: str, each: bytes, number: int = 1
) -> int:
    """Write messages by the raw client, and return how many were not acknowledged in time."""
    from confluent_kafka import Producer

    missed: list[Any] = []

    def told(error: Any, _: Any) -> None:
        if error is not None:
            missed.append(error)

    more = {"acks": acks, "delivery.timeout.ms": 2000, "linger.ms": 0, "batch.size": 200_000}
    producer = Producer({**settings(endpoint), **more})
    for _ in range(number):
        producer.produce(topic, each, on_delivery=told)
    assert producer.flush(SOON_S) == 0
    return len(missed)


def test_all_restart_with_what_they_had(cluster: tuple[Members, Endpoint]) -> None:
    server, endpoint = cluster
    objects = distinct_objects(20)
    with entered(endpoint, "restarted", "delete-policy") as adapter:
        adapter.put_many(batch_of(objects))
        before = adapter.identity()
        adapter.close()
        processes = set(server.processes())
        assert len(processes) == len(NODES)
        assert server.restart() == endpoint
        assert not processes & set(server.processes())
        adapter.open(endpoint)
        after = adapter.identity()
        assert replace(after, since="") == replace(before, since="")
        assert after.since != before.since
        assert adapter.physical_copies() == 3
        assert_holds(adapter, objects)


def test_one_that_is_killed_is_told_at_once_and_none_waits_for_it(
    cluster: tuple[Members, Endpoint],
) -> None:
    server, endpoint = cluster
    objects = distinct_objects(20)
    with entered(endpoint, "killed", "delete-policy") as adapter:
        adapter.put_many(batch_of(objects))
        told = kill(server, "broker-3")
        assert told.startswith("Kafka was killed by SIGKILL")
        assert server.ended() == f"broker-3: {told}"
        assert adapter.physical_copies() == 2
        assert_holds(adapter, objects)
        begun = time.monotonic()
        verbs: list[Callable[[], object]] = [
            lambda: adapter.put("other", b"payload"),
            lambda: adapter.put_many(batch_of({"more": b"payload"})),
            adapter.idle_signals,
            adapter.identity,
        ]
        for verb in verbs:
            with pytest.raises(SystemUnavailable, match="does not answer any more"):
                verb()
        kill(server, "broker-1")
        with pytest.raises(SystemUnavailable, match="does not answer any more"):
            adapter.put("other", b"payload")
        with pytest.raises(ProbeError, match="leader"):
            adapter.physical_copies()
    # In order, the one that is left would ask its controller first, for half a minute.
    assert len(server.processes()) == 1
    server.stop()
    assert server.processes() == ()
    assert time.monotonic() - begun < 20


def kill(server: Members, name: str) -> str:
    """Kill a broker; return what its server says of its end."""
    os.kill(process_of(server, name), signal.SIGKILL)
    ended = server._servers[name].ended()  # which waits for it
    assert ended is not None
    return ended
