"""Redis and Valkey with replicas: every member is looked at behind the adapter's back."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import valkey

from deduplab.adapters.redis import RedisAdapter
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._members import Members
from deduplab.testing import AdapterContract, SystemUnderTest, batch_of, distinct_objects
from tests.contract.looks_redis import RedisLook
from tests.contract.test_redis import ENTRIES
from tests.required import Counted

NAMESPACE = "deduplab-lab"
OBJECTS = distinct_objects(60)


@dataclass
class Replicated:
    server: Members
    adapter: RedisAdapter
    endpoint: Endpoint

    @property
    def members(self) -> tuple[Endpoint, ...]:
        return (self.endpoint, *self.endpoint.members)

    def restart(self) -> None:
        self.adapter.close()
        self.endpoint = self.server.restart()
        self.adapter.open(self.endpoint)

    def counts(self) -> list[int]:
        """Count on each member, over connections of another client."""
        return [RedisLook().count(member, NAMESPACE) for member in self.members]

    def processes(self) -> list[psutil.Process]:
        """The members' processes, the primary's first."""
        found = [psutil.Process(number) for number in self.server.processes()]
        return [process for process in found if "server" in process.name()]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the last replica for a while."""
        process = self.processes()[-1]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


@contextmanager
def replicated(name: str, variant: str = "string", durability: str = "fsync") -> Iterator[Any]:
    recipe = ENTRIES[name].server_class()
    adapter = RedisAdapter()
    with tempfile.TemporaryDirectory(prefix="deduplab-test-") as directory:
        server = recipe.replicated(
            Path(directory), variant=variant, durability=durability, replicas=3
        )
        assert isinstance(server, Members)
        try:
            endpoint = server.start()
            adapter.open(endpoint)
            adapter.create(NAMESPACE, layout="blob", variant=variant, durability=durability)
            yield Replicated(server, adapter, endpoint)
        finally:
            adapter.close()
            server.stop()
        assert server.processes() == ()


class LastReplicaLook(RedisLook):
    """Looks at what the last replica has; only what a stranger does is done on the primary."""

    def keys(self, endpoint: Endpoint, pattern: str) -> list[bytes]:
        return super().keys(endpoint.members[-1], pattern)

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        return super().fetch(endpoint.members[-1], namespace, key)


class TestRedisAdapterWithReplicas(Counted, AdapterContract):
    """All that is promised of one instance holds on the last replica, too."""

    @pytest.fixture(scope="class", params=["valkey"])
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        recipe = ENTRIES[request.param].server_class()

        def server(workspace: Path, variant: str, durability: str) -> Server:
            return recipe.replicated(workspace, variant=variant, durability=durability, replicas=2)

        alone = SystemUnderTest.of(ENTRIES[request.param], LastReplicaLook())
        return replace(alone, server=server)


@pytest.fixture(scope="module", params=[*ENTRIES])
def always(request: pytest.FixtureRequest) -> Iterator[Replicated]:
    """Three members that sync every write; one set of them serves several tests."""
    with replicated(request.param) as found:
        yield found


@pytest.fixture
def system(always: Replicated) -> Replicated:
    """The same with its objects, and nothing else."""
    always.adapter.empty("drop")
    always.adapter.put_many(batch_of(OBJECTS))
    return always


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deduplab.adapters._redis_replicas._ANSWER_S", 1)
    monkeypatch.setattr("deduplab.adapters._redis_replicas._ACKNOWLEDGED_MS", 300)
    monkeypatch.setattr("deduplab.adapters._redis_replicas._REFUSED", 2)


def test_what_is_acknowledged_is_on_all_members(system: Replicated) -> None:
    assert system.counts() == [60, 60, 60]
    system.adapter.put("one", b"more")
    assert [RedisLook().fetch(one, NAMESPACE, "one") for one in system.members] == [b"more"] * 3
    system.adapter.delete(["one", *list(OBJECTS)[:10]])
    assert system.counts() == [50, 50, 50]
    system.adapter.empty("drop")
    assert system.counts() == [0, 0, 0]


def test_each_member_has_an_aof_of_its_own_as_long_as_the_primarys(system: Replicated) -> None:
    system.adapter.flush()
    found = []
    for member in system.server.members():
        files = [path for path in member.directory.rglob("*") if path.is_file()]
        assert not [path for path in files if path.suffix == ".rdb" and ".base." not in path.name]
        found.append(sum(path.stat().st_size for path in files if ".incr." in path.name))
    assert min(found) > 60 * 8192
    assert max(found) - min(found) < 200  # the first writes, that try whether replicas answer


def test_copies_are_counted_by_asking_each_member(system: Replicated) -> None:
    system.adapter.flush()
    assert system.adapter.physical_copies() == 3
    assert set(system.adapter.idle_signals().values()) == {0}
    assert "replicas_behind" in system.adapter.idle_signals()
    configuration = system.adapter.identity().configuration
    assert configuration["replicas"] == "3"
    assert configuration["acknowledgement"] == "WAIT 2"
    assert system.adapter.engine_reading().components["replication"] > 0


@pytest.mark.usefixtures("impatient")
def test_a_replica_that_stops_counts_no_more_and_is_waited_for_by_a_deadline(
    system: Replicated,
) -> None:
    system.adapter._replicas.close()  # it has its connections from before, with their patience
    with system.paused():
        assert system.adapter.physical_copies() == 2
        assert system.adapter.idle_signals()["replicas_behind"] == 1
        with pytest.raises(SystemUnavailable, match="1 of 2 replicas acknowledged"):
            system.adapter.put("late", b"written, and not acknowledged")
        with pytest.raises(SystemUnavailable, match="1 of 2 replicas do not answer"):
            system.adapter.flush()
    system.adapter.flush()
    assert system.adapter.physical_copies() == 3
    assert system.counts() == [61, 61, 61]


def test_a_rewrite_is_one_of_all_members_and_seen_on_each(system: Replicated) -> None:
    system.adapter.delete(list(OBJECTS)[10:])
    system.adapter.reclaim("rewrite")
    system.adapter.reclaim("memory-purge")
    for member in system.server.members():
        aof_bytes = sum(path.stat().st_size for path in member.directory.glob("*/*.aof"))
        base_bytes = sum(path.stat().st_size for path in member.directory.glob("*/*.base.rdb"))
        assert aof_bytes == 0
        assert 10 * 8192 < base_bytes < 12 * 8192
    with RedisLook().opened(system.members[-1]) as raw:
        opened: Any = raw
        for _ in range(20):
            opened.execute_command("BGREWRITEAOF")
            if system.adapter.idle_signals()["aof_rewrites"]:
                break
        else:
            pytest.fail("a rewrite on a replica was never seen")
    system.adapter.reclaim("rewrite")  # after the one that runs


def test_all_members_come_back_with_everything(system: Replicated) -> None:
    before = system.members
    system.restart()
    assert [one.port for one in system.members] == [one.port for one in before]
    assert system.counts() == [60, 60, 60]
    assert system.adapter.physical_copies() == 3
    system.adapter.put("after", b"the restart")
    assert system.counts() == [61, 61, 61]


def test_who_may_follow_may_do_nothing_else(system: Replicated) -> None:
    directory = system.server.members()[-1].directory.parent
    (configuration,) = directory.glob("*.conf")
    assert configuration.stat().st_mode & 0o077 == 0
    password = re.findall(r"^masterauth (\S+)$", configuration.read_text(), re.MULTILINE)[0]
    for process in system.processes():
        assert password not in " ".join(process.cmdline())
    follower = replace(system.endpoint, user="replicator", secret=Secret(password))
    with RedisLook().opened(follower) as opened:
        client: Any = opened
        assert client.ping() is True
        for words in (("GET", f"deduplab:{NAMESPACE}"), ("SET", "deduplab:x", "y"), ("INFO",)):
            with pytest.raises(valkey.exceptions.NoPermissionError):
                client.execute_command(*words)


def test_a_killed_replica_is_named_and_nothing_waits_for_it_long() -> None:
    with replicated("valkey") as system:
        os.kill(system.processes()[-1].pid, signal.SIGKILL)
        assert "replica-2" in str(system.server.ended())
        assert system.adapter.physical_copies() == 2
        with pytest.raises(SystemUnavailable, match="do not answer"):
            system.adapter.flush()


@pytest.mark.parametrize(
    ("name", "variant", "durability"),
    [("redis", "string", "interval"), ("valkey", "hash", "interval"), ("valkey", "rdb", "none")],
)
def test_what_was_flushed_is_on_the_disk_of_every_member(
    name: str, variant: str, durability: str
) -> None:
    with replicated(name, variant, durability) as system:
        system.adapter.put_many(batch_of(OBJECTS))
        system.adapter.flush()
        assert system.adapter.identity().configuration["acknowledgement"] == "the primary's alone"
        assert system.adapter.physical_copies() == 3
        for process in system.processes():
            process.kill()
            process.wait(timeout=10)
        for member in system.server._servers.values():
            member.stop()
            alone = member._replication
            member._replication = None  # each by what it has itself
            try:
                assert _count_alone(member.start()) == 60
            finally:
                member.stop()
                member._replication = alone


def _count_alone(endpoint: Endpoint) -> int:
    with RedisLook().opened(endpoint) as client:
        return len(set(client.scan_iter(match=f"deduplab:{NAMESPACE}:*")))


@pytest.mark.parametrize("name", [*ENTRIES])
def test_nothing_is_left_where_one_of_the_members_does_not_come_up(name: str) -> None:
    recipe = ENTRIES[name].server_class()
    with tempfile.TemporaryDirectory(prefix="deduplab-test-") as directory:
        server = recipe.replicated(
            Path(directory), variant="string", durability="fsync", replicas=4
        )
        second = server.members()[2].directory
        second.mkdir()  # in the way of its own
        with pytest.raises(FileExistsError, match=str(second)):
            server.start()
        assert server.processes() == ()
        left = [
            process
            for process in psutil.Process().children(recursive=True)
            if directory in " ".join(process.cmdline())
        ]
        assert not left
        second.rmdir()
        try:
            assert len(server.start().members) == 3, "then all come up, as if nothing had been"
            assert server.ended() is None
        finally:
            server.stop()
