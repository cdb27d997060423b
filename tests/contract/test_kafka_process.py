"""What a private Kafka promises beyond the contracts: cleaning, rights, secrets, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from deduplab.adapters.kafka import KafkaAdapter
from deduplab.errors import ProbeError, SystemUnavailable
from deduplab.server import Endpoint, Secret
from deduplab.servers._kafka_settings import ADMINISTRATOR
from deduplab.servers._kafka_tools import tool_command
from deduplab.servers._private_server import USER
from deduplab.servers._process import free_port
from deduplab.servers.kafka import KafkaServer
from deduplab.testing import SAMPLE_RECORDS, batch_of, distinct_objects, distinct_records
from deduplab.testing._fixtures import assert_holds
from tests.contract.shared_kafka import LOOK, SharedServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", autouse=True)
def _shared() -> Iterator[None]:
    yield
    SharedServer.end()


@pytest.fixture
def shared(not_brought_up: Callable[[str, Exception], NoReturn]) -> Endpoint:
    try:
        return SharedServer(Path(), variant="", durability="fsync").start()
    except SystemUnavailable as error:
        not_brought_up("kafka", error)


@pytest.fixture
def server(
    tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[KafkaServer]:
    """Yield a server that is up, and that nobody else uses."""
    instance = KafkaServer(tmp_path, variant="delete-policy", durability="fsync")
    try:
        instance.start()
    except SystemUnavailable as error:
        not_brought_up("kafka", error)
    yield instance
    instance.stop()


@contextmanager
def entered(endpoint: Endpoint, namespace: str, variant: str) -> Iterator[KafkaAdapter]:
    adapter = KafkaAdapter()
    try:
        adapter.open(endpoint)
        adapter.create(namespace, layout="blob", variant=variant, durability="fsync")
        yield adapter
    finally:
        adapter.close()


def copies_of(objects: dict[str, bytes], each: int) -> dict[str, bytes]:
    return {f"{key}-{n}": payload for n in range(each) for key, payload in objects.items()}


def log_bytes(endpoint: Endpoint, topic: str) -> int:
    """Return the bytes of a topic's segments on disk."""
    assert endpoint.directory is not None
    return sum(path.stat().st_size for path in endpoint.directory.glob(f"{topic}-0/*.log"))


def test_the_cleaner_removes_copies_of_equal_hash_and_every_object_stays(shared: Endpoint) -> None:
    objects = distinct_objects(100)
    stored = copies_of(objects, 10)
    logical = sum(map(len, stored.values()))
    with entered(shared, "cleaned-by-hash", "compact-by-hash") as adapter:
        assert adapter.put_many(batch_of(stored)) == 1000
        topic = "deduplab.cleaned-by-hash.payloads"
        adapter.reclaim("clean")
        data_bytes = adapter.engine_reading().components["data"]
        assert logical / 10 <= data_bytes <= logical / 10 * 1.05
        raw = LOOK.raw(shared)
        values = [m.value() for m in raw.messages(topic) if m.value() is not None]
        assert sorted(values) == sorted(objects.values())
        assert_holds(adapter, stored)
        adapter.delete(list(stored))
        adapter.reclaim("clean")
        assert adapter.engine_reading().components["data"] < 1000
        assert not [m for m in raw.messages(topic) if m.value() is not None]


def test_by_key_the_cleaner_removes_no_copy(shared: Endpoint) -> None:
    stored = copies_of(distinct_objects(20), 5)
    with entered(shared, "cleaned-by-key", "compact-by-key") as adapter:
        adapter.put_many(batch_of(stored))
        adapter.reclaim("clean")
        assert adapter.engine_reading().components["data"] >= sum(map(len, stored.values()))
        assert_holds(adapter, stored)


def test_the_engine_tells_what_lies_on_disk(shared: Endpoint) -> None:
    with entered(shared, "on-disk", "delete-policy") as adapter:
        adapter.put_many(batch_of(distinct_objects(64)))
        told = adapter.engine_reading().components["data"]
        assert told == log_bytes(shared, "deduplab.on-disk.objects")
        adapter.empty("truncate")
        assert log_bytes(shared, "deduplab.on-disk.objects") == told
        adapter.reclaim("clean")
        assert log_bytes(shared, "deduplab.on-disk.objects") == 0


def test_the_engine_tells_what_the_products_own_tool_tells(shared: Endpoint) -> None:
    assert SharedServer.running is not None
    assert shared.port is not None
    server, _ = SharedServer.running
    with entered(shared, "by-tool", "compact-by-hash") as adapter:
        adapter.put_many(batch_of(distinct_objects(10)))
        names = ("payloads", "references", "marker")
        topics = ",".join(f"deduplab.by-tool.{name}" for name in names)
        properties = server.client_properties(shared)
        arguments = ("--describe", "--topic-list", topics)
        done = subprocess.run(
            tool_command(server.kafka, properties, shared.port, "kafka-log-dirs", *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        (broker,) = json.loads(done.stdout.splitlines()[-1])["brokers"]
        told = [place for found in broker["logDirs"] for place in found["partitions"]]
        assert len(told) == len(names)
        reading = adapter.engine_reading()
        assert sum(place["size"] for place in told) == reading.total_bytes


def test_records_are_keyed_json_with_a_content_type(shared: Endpoint) -> None:
    records = distinct_records(3)
    adapter = KafkaAdapter()
    adapter.open(shared)
    adapter.create(
        "as-json",
        layout="native",
        variant="delete-policy",
        durability="fsync",
        record_type=SAMPLE_RECORDS,
    )
    adapter.put_many(batch_of(records, SAMPLE_RECORDS))
    adapter.close()
    found = LOOK.raw(shared).messages("deduplab.as-json.objects")
    assert [message.key().decode() for message in found] == list(records)
    for message in found:
        assert message.headers() == [("content-type", b"application/json")]
        assert set(json.loads(message.value())) == {field.name for field in SAMPLE_RECORDS.fields}


@pytest.mark.parametrize(
    ("durability", "setting", "value"),
    [
        ("fsync", "flush.messages", "1"),
        ("interval", "flush.ms", "200"),
        ("none", "flush.ms", str(2**63 - 1)),
        ("none", "flush.messages", str(2**63 - 1)),
    ],
)
def test_durability_is_what_the_topics_have(
    shared: Endpoint, durability: str, setting: str, value: str
) -> None:
    adapter = KafkaAdapter()
    adapter.open(shared)
    adapter.create("durable", layout="blob", variant="delete-policy", durability=durability)
    assert adapter.identity().configuration[setting] == value
    adapter.destroy()
    adapter.close()


def test_a_wrong_password_is_refused(shared: Endpoint) -> None:
    stranger = replace(shared, secret=Secret("not the password"))
    with pytest.raises(SystemUnavailable, match="login"):
        KafkaAdapter().open(stranger)


def test_the_user_has_no_right_beyond_the_lab(shared: Endpoint) -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.cimpl import NewTopic

    raw = LOOK.raw(shared)
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        raw.done(raw.admin.create_topics([NewTopic("somebody-elses", 1, 1)]))
    for consumed in ("__consumer_offsets", "somebody-elses"):
        assert consumed not in raw.admin.list_topics(timeout=20).topics
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        raw.done(raw.admin.delete_acls([any_acl()]))


def any_acl() -> Any:
    from confluent_kafka.admin import _acl, _resource

    filter_of: Any = _acl.AclBindingFilter
    return filter_of(
        _resource.ResourceType.ANY,
        None,
        _resource.ResourcePatternType.ANY,
        None,
        None,
        _acl.AclOperation.ANY,
        _acl.AclPermissionType.ANY,
    )


def test_the_passwords_are_in_files_that_only_we_can_read(server: KafkaServer) -> None:
    assert server.endpoint is not None
    assert server.endpoint.secret is not None
    secrets = [server.endpoint.secret, server._administrator, server._controller]
    assert len({secret.reveal() for secret in secrets}) == 3
    (process,) = (psutil.Process(number) for number in server.processes())
    shown = [" ".join(process.cmdline()), " ".join(process.environ().values())]
    shown += [path.read_text() for path in server.workspace.glob("*.log")]
    assert not [secret for secret in secrets if any(secret.reveal() in text for text in shown)]
    assert {path.name for path in server.workspace.iterdir()} == {
        "data",
        "kafka.log",
        server.properties.name,
    }
    assert server.properties.stat().st_mode & 0o077 == 0


def test_a_killed_server_is_unavailable_and_keeps_what_it_acknowledged(server: KafkaServer) -> None:
    endpoint = server.endpoint
    assert endpoint is not None
    objects = distinct_objects(20)
    adapter = KafkaAdapter()
    adapter.open(endpoint)
    adapter.create("killed", layout="blob", variant="compact-by-hash", durability="fsync")
    assert adapter.put_many(batch_of(objects)) == 20
    adapter.put("alone", b"put alone")
    before = adapter.identity()
    for number in server.processes():
        os.kill(number, signal.SIGKILL)
    for verb in (
        lambda: adapter.put("other", b"payload"),
        lambda: adapter.put_many(batch_of({"more": b"payload"})),
        lambda: adapter.get("alone"),
        lambda: adapter.engine_reading(),
    ):
        with pytest.raises(SystemUnavailable):
            verb()
    adapter.close()
    server.stop()
    adapter.open(server.start())
    after = adapter.identity()
    assert_holds(adapter, objects | {"alone": b"put alone"})
    assert after.since != before.since
    assert after.instance == before.instance
    assert after.configuration == before.configuration
    adapter.close()


def test_a_missing_right_makes_the_size_missing(server: KafkaServer) -> None:
    endpoint = server.endpoint
    assert endpoint is not None
    admin = LOOK.raw(replace(endpoint, user=ADMINISTRATOR, secret=server._administrator)).admin
    with entered(endpoint, "no-right", "delete-policy") as adapter:
        assert adapter.engine_reading().total_bytes > 0
        for future in admin.delete_acls([describe_cluster()]).values():
            assert future.result(20)

        def until_refused() -> None:
            # The broker learns of it a little later than the controller.
            for _ in range(1000):
                adapter.engine_reading()

        with pytest.raises(ProbeError, match="right Describe"):
            until_refused()


def describe_cluster() -> Any:
    from confluent_kafka.admin import _acl

    found = any_acl()
    filter_of: Any = _acl.AclBindingFilter
    return filter_of(
        found.restype,
        None,
        found.resource_pattern_type,
        f"User:{USER}",
        None,
        _acl.AclOperation.DESCRIBE,
        found.permission_type,
    )


def test_a_taken_port_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Endpoint
) -> None:
    taken = shared.port
    assert taken is not None
    offered = iter([taken, *(free_port() for _ in range(3))])
    monkeypatch.setattr("deduplab.servers._private_server.free_port", lambda: next(offered))
    instance = KafkaServer(tmp_path, variant="", durability="fsync")
    try:
        assert instance.start().port != taken
    finally:
        instance.stop()


def test_an_owner_that_is_killed_takes_its_server_with_it(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from deduplab.servers.kafka import KafkaServer\n"
        "server = KafkaServer(Path(sys.argv[1]), variant='', durability='fsync')\n"
        "server.start()\n"
        "print(*server.processes(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        family = [psutil.Process(int(word)) for word in owner.stdout.readline().split()]
        assert family
        owner.kill()
        _, alive = psutil.wait_procs(family, timeout=15)
    for process in alive:
        process.kill()
    assert alive == []
