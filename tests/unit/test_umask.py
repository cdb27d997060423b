"""A umask that closes everything to others: accounts of servers still get where they have to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab.executors.workspace import instance_directory, prepared
from deduplab.servers import _postgresql_binaries, _shared_memory
from deduplab.servers._account import Account


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def for_others(path: Path) -> int:
    return path.stat().st_mode & 0o007


def test_the_way_to_an_instance(tmp_path: Path) -> None:
    workspace = prepared(tmp_path / "workspace")
    with instance_directory(workspace) as directory:
        assert [for_others(path) for path in (workspace, directory.parent, directory)] == [1, 1, 1]


def test_the_way_to_its_shared_memory(tmp_path: Path) -> None:
    place = tmp_path / "memory"
    place.mkdir()
    segments = _shared_memory.make(tmp_path, None, place)
    assert segments is not None
    assert for_others(segments.parent) == 1


def test_a_copy_of_programs_that_only_we_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "wheel" / "embedded" / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (programs / "postgres").write_text("#!/bin/sh\n")
    (programs / "postgres").chmod(0o700)
    (programs / "readme").write_text("all of it")
    monkeypatch.setattr(_postgresql_binaries, "SHARED_CACHE", tmp_path / "shared")
    monkeypatch.setattr(
        _postgresql_binaries, "_runs", lambda directory, account: directory != programs
    )
    copied = _postgresql_binaries.reachable_binaries(programs, Account("other", 54321, 54321))
    on_the_way = [path for path in copied.parents if path.is_relative_to(tmp_path / "shared")]
    assert {for_others(path) for path in (copied, *on_the_way)} == {5}
    assert for_others(copied / "postgres") == 5
    assert for_others(copied / "readme") == 4
