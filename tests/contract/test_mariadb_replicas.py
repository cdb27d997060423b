"""MariaDB with replicas: every member is looked at behind the adapter's back."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pymysql
import pytest

from deduplab.adapters.mariadb import MariadbAdapter
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Secret
from deduplab.servers._members import Members
from deduplab.servers.mariadb import MariadbServer
from deduplab.testing import batch_of, distinct_objects
from tests.contract.looks_mariadb import MariadbLook

NAMESPACE = "deduplab-lab"
OBJECTS = distinct_objects(300)
ALL = [300, 300, 300]


@dataclass
class Replicated:
    server: Members
    adapter: MariadbAdapter
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
        return [MariadbLook().count(member, NAMESPACE) for member in self.members]

    def logs(self) -> list[dict[str, int]]:
        """Return the bytes of each member's binary or relay logs, by name."""
        return [
            {path.name: path.stat().st_size for path in member.directory.glob("[br]*log.[0-9]*")}
            for member in self.server.members()
        ]

    def last_process(self) -> psutil.Process:
        """Return the process of the last replica."""
        return psutil.Process([*self.server._servers.values()][-1].processes()[0])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the last replica for a while."""
        process = self.last_process()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


@contextmanager
def replicated(variant: str, durability: str) -> Iterator[Replicated]:
    adapter = MariadbAdapter()
    with tempfile.TemporaryDirectory(prefix="deduplab-mariadb-") as directory:
        server = MariadbServer.replicated(
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


@pytest.fixture(scope="module")
def always() -> Iterator[Replicated]:
    """Three members that sync every commit; one set of them serves all tests but one."""
    with replicated("default", "fsync") as found:
        yield found


@pytest.fixture
def system(always: Replicated) -> Replicated:
    """The same with its objects, and nothing else."""
    always.adapter.empty("drop")
    always.adapter.put_many(batch_of(OBJECTS))
    return always


def test_what_is_acknowledged_is_on_all_members(system: Replicated) -> None:
    look = MariadbLook()
    assert system.counts() == ALL
    system.adapter.put("one", b"more")
    assert [look.fetch(one, NAMESPACE, "one") for one in system.members] == [b"more"] * 3
    system.adapter.delete(["one", *list(OBJECTS)[:100]])
    assert system.counts() == [200, 200, 200]
    system.adapter.empty("truncate")
    assert system.counts() == [0, 0, 0]


def test_flush_leaves_one_empty_log_a_member_and_tables_of_one_size(system: Replicated) -> None:
    filled = system.logs()
    assert min(sum(member.values()) for member in filled) > 300 * 8192
    system.adapter.flush()
    primary, *replicas = system.logs()
    assert len(primary) == 1
    for member in (primary, *replicas):
        assert sum(member.values()) < 2048
    tables = [
        [path.stat().st_size for path in member.directory.glob("deduplab@002dlab/*.ibd")]
        for member in system.server.members()
    ]
    assert tables[0] == tables[1] == tables[2]


def test_copies_are_counted_by_asking_each_member(system: Replicated) -> None:
    system.adapter.flush()
    assert system.adapter.physical_copies() == 3
    assert system.adapter.idle_signals()["replicas_behind"] == 0
    configuration = system.adapter.identity().configuration
    assert configuration["replicas"] == "3"
    assert configuration["acknowledgement"] == "MASTER_GTID_WAIT of all replicas"
    assert (configuration["binlog_format"], configuration["sync_binlog"]) == ("ROW", "1")


def test_a_replica_that_stops_counts_no_more_and_is_waited_for_by_a_deadline(
    system: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deduplab.adapters._mariadb_replicas._ANSWER_S", 1)
    monkeypatch.setattr("deduplab.adapters._mariadb_replicas._WAIT_S", 0.5)
    system.adapter._replicas.close()  # it has its connections from before, with their patience
    with system.paused():
        assert system.adapter.physical_copies() == 2
        assert system.adapter.idle_signals()["replicas_behind"] == 1
        with pytest.raises(SystemUnavailable, match="replica 2 of 2 does not answer"):
            system.adapter.put("late", b"written, and not acknowledged")
        with pytest.raises(SystemUnavailable, match="replica 2 of 2 does not answer"):
            system.adapter.flush()
    system.adapter._replicas.close()
    system.adapter.flush()
    assert system.adapter.physical_copies() == 3
    assert system.counts() == [301, 301, 301]


def test_a_replica_that_applies_nothing_is_behind_though_it_answers(
    system: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deduplab.adapters._mariadb_replicas._WAIT_S", 0.2)
    monkeypatch.setattr("deduplab.adapters._mariadb_replicas._ACKNOWLEDGED_WAITS", 2)
    look, last = MariadbLook(), system.members[-1]
    look.rows(last, "STOP SLAVE SQL_THREAD")
    with pytest.raises(SystemUnavailable, match="replica 2 of 2 has not applied"):
        system.adapter.put("late", b"written, and not acknowledged")
    assert system.counts() == [301, 301, 300]
    assert system.adapter.physical_copies() == 2
    assert system.adapter.idle_signals()["replicas_behind"] == 1
    look.rows(last, "START SLAVE SQL_THREAD")
    system.adapter.flush()
    assert system.counts() == [301, 301, 301]


def test_optimize_is_one_of_all_members(system: Replicated) -> None:
    system.adapter.flush()
    system.adapter.delete(list(OBJECTS))
    system.adapter.flush()

    def table_bytes() -> list[int]:
        directories = [member.directory for member in system.server.members()]
        return [(one / "deduplab@002dlab/objects.ibd").stat().st_size for one in directories]

    filled = table_bytes()
    system.adapter.reclaim("optimize")
    assert all(now < before / 10 for now, before in zip(table_bytes(), filled, strict=True))


def test_all_members_come_back_with_everything(system: Replicated) -> None:
    before = system.members
    system.restart()
    assert [one.port for one in system.members] == [one.port for one in before]
    assert system.counts() == ALL
    system.adapter.put("after", b"the restart")
    assert system.counts() == [301, 301, 301]
    assert system.adapter.physical_copies() == 3


def test_who_may_follow_may_read_nothing_and_its_secret_is_not_shown(system: Replicated) -> None:
    told = (system.server.members()[-1].directory / "master.info").read_text().splitlines()
    user, secret = told[4:6]
    assert user == "replicator"
    for number in system.server.processes():
        assert secret not in " ".join(psutil.Process(number).cmdline())
    for member in system.server.members():
        workspace = member.directory.parent
        assert not (workspace / "first.sql").exists()
        assert secret.encode() not in (workspace / "mariadb.log").read_bytes()
    follower = replace(system.endpoint, user=user, secret=Secret(secret))
    with pytest.raises(pymysql.err.MySQLError, match="denied"):
        MariadbLook().count(follower, NAMESPACE)


def test_myrocks_has_replicas_too_and_one_that_is_killed_is_named() -> None:
    with replicated("myrocks", "interval") as system:
        system.adapter.put_many(batch_of(OBJECTS))
        system.adapter.flush()
        assert system.adapter.identity().configuration["acknowledgement"] == "the primary's alone"
        assert system.adapter.physical_copies() == 3
        assert system.counts() == ALL
        os.kill(system.last_process().pid, signal.SIGKILL)
        assert "replica-2" in str(system.server.ended())
        assert system.adapter.physical_copies() == 2
        with pytest.raises(SystemUnavailable, match="replica 2 of 2 does not answer"):
            system.adapter.flush()
