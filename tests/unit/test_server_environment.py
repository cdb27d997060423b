"""What a server's process and its keeper are told: nothing that belongs to another system."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from deduplab.servers._environment import (
    environment_without,
    keeper_environment,
    server_environment,
)
from deduplab.servers._process import ChildProcess


def environment_of_a_child(tmp_path: Path) -> dict[str, str]:
    child = ChildProcess("env", ["env"], log=tmp_path / "log")
    assert child.wait(deadline_s=10) == 0
    return dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())


def test_a_server_is_not_told_the_secret_of_another_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", secrets.token_urlsafe())
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    monkeypatch.setenv("TZ", "UTC")
    told = environment_of_a_child(tmp_path)
    assert not told.keys() & {"LAB_PASSWORD", "PGOPTIONS"}
    assert told["PATH"]
    assert told["TZ"] == "UTC"


def test_a_recipe_adds_and_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert server_environment()["LC_ALL"] == "de_DE.UTF-8"
    told = server_environment(LC_ALL="C", OWN="1")
    assert (told["LC_ALL"], told["OWN"]) == ("C", "1")


def test_a_keeper_is_told_our_settings_and_what_a_server_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", secrets.token_urlsafe())
    monkeypatch.setenv("DEDUPLAB_REDIS_SERVER", "/opt/redis-server")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    told = keeper_environment()
    assert "LAB_PASSWORD" not in told
    assert told["DEDUPLAB_REDIS_SERVER"] == "/opt/redis-server"
    assert told["XDG_CACHE_HOME"] == "/var/cache"
    assert server_environment().items() <= told.items()


def test_a_client_keeps_what_its_user_works_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "ed")
    monkeypatch.setenv("PGHOST", "elsewhere")
    told = environment_without("PG", PGPORT="1")
    assert told["EDITOR"] == "ed"
    assert told["PGPORT"] == "1"
    assert "PGHOST" not in told
