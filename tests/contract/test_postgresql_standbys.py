"""PostgreSQL with standbys, looked at behind the adapter's back: by a connection to each member."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import psycopg
import pytest

from deduplab.adapters.postgresql import PostgresqlAdapter
from deduplab.batch import Batch
from deduplab.errors import SystemUnavailable
from deduplab.model import Layer, Ruler
from deduplab.probes.replicas import ReplicasProbe
from deduplab.server import Endpoint, Server
from deduplab.servers._postgresql_binaries import choose_binaries
from deduplab.servers.postgresql import PostgresqlServer
from tests.soon import soon

pytestmark = pytest.mark.server

NAMESPACE = "deduplab-lab"


class Cluster:
    """A primary with two standbys, and an adapter in a namespace of its own."""

    def __init__(self, server: Server, endpoint: Endpoint, adapter: PostgresqlAdapter) -> None:
        self.server = server
        self.endpoint = endpoint
        self.adapter = adapter
        self.probe = ReplicasProbe(server.members(), adapter.physical_copies)

    def ask(self, number: int, statement: str) -> str:
        """Ask a member (0: the primary) one thing, by the raw driver."""
        member = (self.endpoint, *self.endpoint.members)[number]
        assert member.secret is not None
        with psycopg.connect(
            host=member.host,
            port=member.port,
            user=member.user,
            password=member.secret.reveal(),
            dbname=member.database,
            autocommit=True,
        ) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return str(row[0]) if row else ""

    def objects(self, number: int) -> int:
        return int(self.ask(number, f'SELECT count(*) FROM "{NAMESPACE}".objects'))


def batch(first: int, count: int) -> Batch:
    payloads = [os.urandom(4000) for _ in range(count)]
    offsets = np.cumsum([0, *map(len, payloads)], dtype=np.int64)
    keys = [f"key-{number}" for number in range(first, first + count)]
    return Batch(keys, memoryview(b"".join(payloads)), offsets)


def processes(server: Server) -> list[psutil.Process]:
    """Return a server's processes, without those that just ended: a worker may at any time."""
    found = []
    for number in server.processes():
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


def pids_of(cluster: Cluster, *, member: int) -> set[int]:
    """Return the processes of a member that have its data directory on their command line."""
    data = str(cluster.server.members()[member].directory)
    return {one.pid for one in processes(cluster.server) if data in one.cmdline()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        choose_binaries("default")
    except SystemUnavailable as error:
        pytest.skip(f"postgresql can't be brought up: {error}")
    with TemporaryDirectory(prefix="deduplab-postgresql-") as directory:
        server = PostgresqlServer.replicated(
            Path(directory), variant="default", durability="fsync", replicas=3
        )
        adapter = PostgresqlAdapter()
        try:
            endpoint = server.start()
            with closing(adapter):
                adapter.open(endpoint)
                adapter.create(NAMESPACE, layout="blob", variant="default", durability="fsync")
                yield Cluster(server, endpoint, adapter)
        finally:
            server.stop()


def test_what_is_acknowledged_is_on_stable_storage_of_every_member(cluster: Cluster) -> None:
    assert cluster.ask(0, "SHOW synchronous_standby_names") == "2 (*)"
    assert cluster.adapter.put_many(batch(0, 50)) == 50
    cluster.adapter.flush()
    assert [cluster.objects(number) for number in range(3)] == [50, 50, 50]
    assert cluster.adapter.physical_copies() == 3
    assert cluster.adapter.idle_signals()["standbys_behind"] == 0


def test_members_are_alike_on_the_disk(cluster: Cluster) -> None:
    allocated, apparent = cluster.probe.measure()
    assert (allocated.layer, allocated.ruler) == (Layer.REPLICAS, Ruler.ALLOCATED)
    assert list(apparent.components) == ["primary", "standby-1", "standby-2"]
    assert apparent.copies == 3
    least, most = min(apparent.components.values()), max(apparent.components.values())
    assert most - least < 0.1 * most


def test_a_standby_that_replays_no_more_is_no_copy_until_it_does(cluster: Cluster) -> None:
    before = cluster.objects(2)
    cluster.ask(2, "SELECT pg_wal_replay_pause()")
    try:
        soon(
            lambda: cluster.ask(2, "SELECT pg_get_wal_replay_pause_state()") == "paused",
            "replay is paused",
        )
        cluster.adapter.put_many(batch(100, 20))
        assert cluster.objects(0) == before + 20
        assert cluster.objects(2) == before
        soon(lambda: cluster.objects(1) == before + 20, "the other standby has it")
        soon(lambda: cluster.adapter.physical_copies() == 2, "two copies")
        soon(lambda: cluster.adapter.idle_signals()["standbys_behind"] == 1, "one is behind")
        assert cluster.probe.measure()[0].copies == 2
    finally:
        cluster.ask(2, "SELECT pg_wal_replay_resume()")
    soon(lambda: cluster.adapter.idle_signals()["standbys_behind"] == 0, "none is behind")
    assert cluster.adapter.physical_copies() == 3
    assert cluster.objects(2) == before + 20


def test_a_commit_whose_wait_was_ended_is_not_acknowledged(cluster: Cluster) -> None:
    """PostgreSQL has it on the primary alone then, answers that it is done, and only warns."""
    (receiver,) = [
        process
        for process in processes(cluster.server)
        if "walreceiver" in " ".join(process.cmdline())
        and process.ppid() in pids_of(cluster, member=2)
    ]
    backend = cluster.adapter._wire.scalar("SELECT pg_backend_pid()")
    ended = threading.Timer(1, cluster.ask, (0, f"SELECT pg_cancel_backend({backend})"))
    receiver.send_signal(signal.SIGSTOP)
    ended.start()
    try:
        with pytest.raises(SystemUnavailable, match="on the primary alone"):
            cluster.adapter.put("key-300", b"x")
    finally:
        receiver.send_signal(signal.SIGCONT)
        ended.join()
    assert cluster.adapter.get("key-300") == b"x", "it is there all the same"
    soon(lambda: cluster.adapter.physical_copies() == 3, "three copies again")
    cluster.adapter.put("key-301", b"x")


def test_a_flush_leaves_one_segment_of_log_on_each_member(cluster: Cluster) -> None:
    cluster.adapter.put_many(batch(1000, 600))
    cluster.adapter.flush()
    segments = "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    assert int(cluster.ask(0, segments)) == 1
    assert all(int(cluster.ask(number, segments)) <= 2 for number in (1, 2))


def test_all_members_come_back_from_a_restart_with_what_they_had(cluster: Cluster) -> None:
    before = cluster.objects(0)
    identity = cluster.adapter.identity()
    assert identity.configuration["replicas"] == "3"
    old = processes(cluster.server)
    left: list[psutil.Process] = []

    def while_down() -> None:
        left.extend(psutil.wait_procs(old, timeout=5)[1])

    cluster.adapter.close()
    endpoint = cluster.server.restart(while_down)
    assert left == []
    assert endpoint == cluster.endpoint
    cluster.adapter.open(endpoint)
    found = cluster.adapter.identity()
    assert (found.instance, found.configuration) == (identity.instance, identity.configuration)
    soon(lambda: cluster.adapter.physical_copies() == 3, "three copies after the restart")
    assert [cluster.objects(number) for number in range(3)] == [before] * 3
    assert cluster.adapter.put_many(batch(5000, 5)) == 5


def test_a_member_that_was_killed_is_named(cluster: Cluster) -> None:
    """The last of these tests: the cluster is one member short afterwards."""
    assert cluster.server.ended() is None
    data = str(cluster.server.members()[1].directory)
    (killed,) = [process for process in processes(cluster.server) if data in process.cmdline()]
    killed.send_signal(signal.SIGKILL)
    soon(lambda: cluster.server.ended() is not None, "a member has ended")
    assert str(cluster.server.ended()).startswith("standby-1: PostgreSQL was killed by SIGKILL")
    assert cluster.adapter.physical_copies() == 2
    soon(lambda: cluster.adapter.idle_signals()["standbys_behind"] == 1, "the killed one is behind")
    begun_s = time.monotonic()
    with pytest.raises(SystemUnavailable, match=r"standby 1 of 2 \(127.*\) has ended"):
        cluster.adapter.put("key-9000", b"x")
    assert time.monotonic() - begun_s < 20
    with pytest.raises(SystemUnavailable):  # it does not go on as if nothing had been
        cluster.adapter.count()
