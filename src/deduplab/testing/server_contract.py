"""What every server must do, as tests that are run against the real product."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import pytest

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.testing._fixtures import NewWorkspace, SystemFixtures, Unavailable, assert_holds
from deduplab.testing.payloads import batch_of, distinct_objects
from deduplab.testing.system import SystemUnderTest

GONE_DEADLINE_S: Final = 10.0


class ServerContract(SystemFixtures):
    """The contract of :class:`deduplab.server.Server`; a sub-class gives the fixture ``sut``.

    An embedded engine works in this process, which is neither private nor ever
    gone; everything else holds for it too.
    """

    @pytest.fixture
    def workspace(self, new_workspace: NewWorkspace) -> Path:
        """Return an empty directory for one instance."""
        return new_workspace()

    @pytest.fixture
    def started(
        self, sut: SystemUnderTest, workspace: Path, unavailable: Unavailable
    ) -> Iterator[tuple[Server, Endpoint]]:
        """Yield a server that is up for one test, which may stop it, and its endpoint."""
        yield from _up(sut, workspace, unavailable)

    @pytest.fixture(scope="class")
    @classmethod
    def running_in(cls, sut: SystemUnderTest, new_workspace: NewWorkspace) -> Path:
        """Return the workspace of the instance that tests share, another for each system."""
        return new_workspace()

    @pytest.fixture(scope="class")
    @classmethod
    def running(
        cls, sut: SystemUnderTest, running_in: Path, unavailable: Unavailable
    ) -> Iterator[tuple[Server, Endpoint]]:
        """Yield a server that is up for all tests that only look at it, and its endpoint."""
        yield from _up(sut, running_in, unavailable)

    def test_it_starts_and_answers(
        self, sut: SystemUnderTest, running: tuple[Server, Endpoint]
    ) -> None:
        """Once start returns, the instance takes a namespace."""
        server, endpoint = running
        assert server.processes()
        adapter = sut.adapter()
        try:
            adapter.open(endpoint)
            adapter.create("is-it-up", **sut.default_settings)
            assert adapter.count() == 0
            adapter.destroy()
        finally:
            adapter.close()

    def test_it_keeps_everything_in_its_workspace(
        self, running: tuple[Server, Endpoint], running_in: Path
    ) -> None:
        """The data directory lies in the workspace."""
        _, endpoint = running
        assert endpoint.directory is not None
        assert endpoint.directory.resolve().is_relative_to(running_in.resolve())
        assert endpoint.directory.is_dir()

    def test_it_is_reached_on_loopback_only(self, running: tuple[Server, Endpoint]) -> None:
        """No process of the instance listens on another interface."""
        server, endpoint = running
        if endpoint.host is not None and not endpoint.host.startswith("/"):
            assert _is_loopback(endpoint.host)
        listening = _listening(server)
        assert endpoint.port is None or endpoint.port in {port for _, port in listening}
        assert all(_is_loopback(host) for host, _ in listening), listening

    def test_it_asks_for_a_credential(self, running: tuple[Server, Endpoint]) -> None:
        """Whoever reaches it over a network needs a generated credential, which does not show."""
        _, endpoint = running
        if endpoint.port is None:
            # Reached inside this process, by its directory and nothing else.
            assert (endpoint.host, endpoint.user, endpoint.secret) == (None, None, None)
            return
        assert isinstance(endpoint.secret, Secret)
        assert len(endpoint.secret.reveal()) >= 16
        assert endpoint.secret.reveal() not in repr(endpoint)

    def test_its_client_shows_no_secret(
        self, running: tuple[Server, Endpoint], tmp_path: Path
    ) -> None:
        """What a person logs in by has the secret where nobody else sees it."""
        server, endpoint = running
        try:
            client = server.client(endpoint, tmp_path)
        except (Unsupported, SystemUnavailable):
            return  # none is named, or it is not installed; the sentence says which
        assert endpoint.secret is not None
        shown = " ".join([*client.argv, client.words, repr(client)])
        assert endpoint.secret.reveal() not in shown
        for path in tmp_path.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_two_instances_are_two(
        self, sut: SystemUnderTest, running: tuple[Server, Endpoint], new_workspace: NewWorkspace
    ) -> None:
        """Two instances share no directory, port or credential."""
        _, first = running
        other = _server(sut, new_workspace())
        try:
            second = other.start()
            assert second.directory != first.directory
            assert first.port is None or second.port != first.port
            assert first.secret is None or second.secret is not None
            if first.secret is not None and second.secret is not None:
                assert first.secret.reveal() != second.secret.reveal()
        finally:
            other.stop()

    def test_stop_leaves_no_process_and_a_removable_workspace(
        self, started: tuple[Server, Endpoint], workspace: Path
    ) -> None:
        """After stop all processes are gone, and the workspace can be removed."""
        server, _ = started
        processes = _own_processes(server)
        server.stop()
        _, alive = psutil.wait_procs(processes, timeout=GONE_DEADLINE_S)
        assert not alive
        shutil.rmtree(workspace)
        assert not workspace.exists()

    def test_stop_is_safe_at_any_time(
        self, sut: SystemUnderTest, new_workspace: NewWorkspace
    ) -> None:
        """Stop works before start, and twice."""
        server = _server(sut, new_workspace())
        server.stop()
        server.stop()

    def test_a_restart_keeps_data_address_and_credentials(
        self, sut: SystemUnderTest, started: tuple[Server, Endpoint]
    ) -> None:
        """After a restart the same instance answers at the same place, and holds what it held."""
        server, endpoint = started
        objects = distinct_objects(20)
        adapter = sut.adapter()
        running: list[tuple[int, ...]] = []
        try:
            adapter.open(endpoint)
            adapter.create("restarted", **sut.default_settings)
            adapter.put_many(batch_of(objects))
            adapter.flush()
            before, processes = adapter.identity(), _own_processes(server)
            adapter.close()
            again = server.restart(lambda: running.append(server.processes()))
            assert running in ([()], [(os.getpid(),)])  # an embedded engine is this process
            assert not psutil.wait_procs(processes, timeout=GONE_DEADLINE_S)[1]
            assert _reached(again) == _reached(endpoint)
            adapter.open(endpoint)
            after = adapter.identity()
            assert dataclasses.replace(after, since=before.since) == before
            assert adapter.count() == (len(objects) if adapter.capabilities.stores_data else 0)
            if adapter.capabilities.stores_data:
                assert_holds(adapter, objects)
            adapter.destroy()
        finally:
            adapter.close()

    def test_a_second_stop_does_nothing(self, started: tuple[Server, Endpoint]) -> None:
        """Stop works twice after a start."""
        server, _ = started
        server.stop()
        server.stop()


def _reached(endpoint: Endpoint) -> dict[str, object]:
    """Return what an endpoint says, with the secret as its text."""
    secret = endpoint.secret.reveal() if endpoint.secret else None
    found = {each.name: getattr(endpoint, each.name) for each in dataclasses.fields(endpoint)}
    return found | {"secret": secret}


def _server(sut: SystemUnderTest, workspace: Path) -> Server:
    settings = sut.default_settings
    return sut.server(workspace, settings["variant"], settings["durability"])


def _up(
    sut: SystemUnderTest, workspace: Path, unavailable: Unavailable
) -> Iterator[tuple[Server, Endpoint]]:
    server = _server(sut, workspace)
    try:
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            unavailable(sut.name, error)
        yield server, endpoint
    finally:
        server.stop()


def _own_processes(server: Server) -> list[psutil.Process]:
    """Return the server's processes with all their children, but not this one."""
    found: dict[int, psutil.Process] = {}
    for identifier in server.processes():
        if identifier == os.getpid():
            continue
        with suppress(psutil.NoSuchProcess):  # a worker may end at any time
            process = psutil.Process(identifier)
            for each in (process, *process.children(recursive=True)):
                found[each.pid] = each
    return list(found.values())


def _listening(server: Server) -> list[tuple[str, int]]:
    """Return address and port of every network socket that the server listens on."""
    found: list[tuple[str, int]] = []
    for process in _own_processes(server):
        with suppress(psutil.NoSuchProcess):
            found += [
                (connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            ]
    return found


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
