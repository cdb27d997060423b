"""Servers for use by hand: what holds without one."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from deduplab.errors import PlanError, StoreError, Unsupported
from deduplab.lab.instance import MARKER, Instance, Status
from deduplab.lab.place import Lab
from deduplab.lab.process_id import ProcessId
from deduplab.server import Endpoint, Secret
from deduplab.servers.embedded import EmbeddedServer


def test_a_process_is_known_again_until_it_ends() -> None:
    own = ProcessId.own()
    assert own.pid == os.getpid()
    assert own.lives()
    assert not ProcessId(own.pid, own.started_ticks + 1).lives(), "another one by the same number"
    with subprocess.Popen(["sleep", "60"]) as child:
        found = ProcessId.of(child.pid)
        assert found is not None
        ProcessId(child.pid, found.started_ticks + 1).send(9)
        assert child.poll() is None
        child.kill()
    assert not found.lives()
    assert ProcessId.of(child.pid) is None
    found.send(9)


def test_a_recipe_without_a_client_says_how_to_log_in(tmp_path: Path) -> None:
    endpoint = Endpoint(host="127.0.0.1", port=5, user="lab", secret=Secret("hidden"))
    with pytest.raises(Unsupported, match=r"127\.0\.0\.1:5, user lab") as caught:
        EmbeddedServer.client(endpoint, tmp_path)
    assert "hidden" not in str(caught.value)


def test_a_claim_is_held_by_whoever_has_its_owner_file(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert lab.instances() == []
    with lab.changing():
        instance, owner = lab.claim("redis")
        with owner:
            assert instance.status() is Status.STARTING
            with pytest.raises(PlanError, match="left alone"):
                lab.claim("redis")
        assert instance.status() is Status.LOST
        assert [one.system for one in lab.instances()] == ["redis"]
        assert lab.clean(instance) == 0
    assert instance.status() is None
    assert not list(tmp_path.iterdir())


def test_what_was_left_half_made_goes_and_nothing_else(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with lab.changing():
        _, owner = lab.claim("redis")
        left, foreign = lab.directory / ".deduplab-0123", lab.directory / "notes"
        left.mkdir()
        foreign.mkdir()
        lab.tidy()
        assert sorted(path.name for path in lab.directory.iterdir()) == ["notes", "redis"]
        assert [one.system for one in lab.instances()] == ["redis"]
        owner.close()


def test_a_record_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "redis")
    instance.directory.mkdir()
    instance.owner_file.write_text(MARKER)
    (instance.directory / "instance.json").write_text("{}")
    with pytest.raises(StoreError, match=r"instance\.json can't be read"):
        instance.status()


def test_what_can_not_be_removed_or_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path)
    with lab.changing():
        instance, owner = lab.claim("redis")
        owner.close()

    def rename(path: Path, target: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(StoreError, match="redis can't be removed: Read-only file system"):
            lab.clean(instance)
    with (
        pytest.raises(PlanError, match="can't be opened: No such file"),
        Lab(tmp_path / "no").changing(),
    ):
        pass


def test_a_workspace_that_can_not_be_looked_into_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("no directory")
    with pytest.raises(PlanError, match="can't be looked into"):
        Lab(tmp_path).instances()
