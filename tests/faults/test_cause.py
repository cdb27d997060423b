"""What the bench sees beside a driver's words: a server that ended, a disk that is full."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from deduplab.bench import cause
from deduplab.bench.cause import causes_told
from deduplab.cell import RemoteAddress
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.remote import RemoteServer
from deduplab.server import Server
from deduplab.servers._process import ChildProcess
from deduplab.servers.embedded import EmbeddedServer

SLEEPER = (sys.executable, "-c", "print('about to sleep', flush=True); import time; time.sleep(60)")


class OneChild(EmbeddedServer):
    """A server that is one process, without anything to ask it for."""

    def run(self, *argv: str) -> ChildProcess:
        self.child = ChildProcess("the product", argv, log=self.workspace / "log")
        return self.child

    def ended(self) -> str | None:
        return self.child.ended()


def told(server: Server, error: Exception) -> Exception:
    kind = type(error) if server.ended() is None else DeduplabError
    with pytest.raises(kind) as caught, causes_told(server, "the stage bulk"):
        raise error
    return caught.value


@pytest.fixture
def server(tmp_path: Path) -> OneChild:
    return OneChild(tmp_path, variant="default", durability="fsync")


def test_a_server_that_runs_changes_nothing(server: OneChild) -> None:
    child = server.run(*SLEEPER)
    error = OperationFailed("refused")
    try:
        assert told(server, error) is error
    finally:
        child.stop(())


def test_a_killed_server_is_the_cause_of_whatever_it_showed_as(server: OneChild) -> None:
    os.kill(server.run(*SLEEPER).pid, signal.SIGKILL)
    for error in (OperationFailed("reset"), SystemUnavailable("reset"), ValueError("half a row")):
        found = told(server, error)
        assert isinstance(found, SystemUnavailable)
        assert "the server ended during the stage bulk: the product was killed by SIGKILL" in str(
            found
        )
        assert f"It showed as: {type(error).__name__}: {error}" in str(found)
        assert found.__cause__ is error


def test_a_server_that_ended_of_itself_is_told_with_the_end_of_its_log(server: OneChild) -> None:
    server.run(sys.executable, "-c", "print('no such table space'); raise SystemExit(3)")
    found = told(server, OperationFailed("reset"))
    assert "the product ended (exit code 3)" in str(found)
    assert "no such table space" in str(found)


def test_what_a_system_does_not_offer_has_no_cause(server: OneChild) -> None:
    os.kill(server.run(*SLEEPER).pid, signal.SIGKILL)
    assert server.ended() is not None
    with pytest.raises(Unsupported), causes_told(server, "the stage read"):
        raise Unsupported("it discards what it gets")


def test_a_full_disk_is_the_cause_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cause, "FULL_BELOW_BYTES", 1 << 62)
    embedded = EmbeddedServer(tmp_path, variant="default", durability="fsync")
    for error in (OperationFailed("can't write"), SystemUnavailable("gone"), OSError("no space")):
        with pytest.raises(DiskSpaceError) as caught, causes_told(embedded, "the stage bulk"):
            raise error
        assert str(caught.value).startswith("the disk is full: ")
        assert f"During the stage bulk: {type(error).__name__}: {error}" in str(caught.value)


def test_our_own_disk_says_nothing_of_a_server_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cause, "FULL_BELOW_BYTES", 1 << 62)
    remote = RemoteServer(RemoteAddress("elsewhere", 1, "lab"), tmp_path, "fsync")
    with pytest.raises(OperationFailed), causes_told(remote, "the stage bulk"):
        raise OperationFailed("refused")
