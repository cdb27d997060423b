"""What a server's process and its keeper are told: nothing that belongs to another system."""

from __future__ import annotations

import ast
import re
import secrets
from pathlib import Path

import pytest

import deduplab
from deduplab.servers import _environment
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
    for name in ("DEDUPLAB_MY_SECRET", "PYTHON_MY_SECRET", "LC_MY_SECRET"):
        monkeypatch.setenv(name, secrets.token_urlsafe())
    monkeypatch.setenv("PYTHONUTF8", "1")
    told = keeper_environment()
    assert not [name for name in told if name.endswith(("_SECRET", "_PASSWORD"))]
    assert told["PYTHONUTF8"] == "1"
    assert told["DEDUPLAB_REDIS_SERVER"] == "/opt/redis-server"
    assert told["XDG_CACHE_HOME"] == "/var/cache"
    assert server_environment().items() <= told.items()


def test_the_list_of_our_settings_has_all_that_the_code_reads_and_no_other() -> None:
    read = {
        node.value
        for path in Path(deduplab.__file__).parent.rglob("*.py")
        if path != Path(_environment.__file__)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"DEDUPLAB_\w+", node.value)
    }
    assert read == set(_environment.OUR_SETTINGS)
    assert read <= keeper_reads(read)


def keeper_reads(names: set[str]) -> set[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, "set")
        return {name for name, value in keeper_environment().items() if value == "set"}


def test_a_client_keeps_what_its_user_works_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "ed")
    monkeypatch.setenv("PGHOST", "elsewhere")
    told = environment_without("PG", PGPORT="1")
    assert told["EDITOR"] == "ed"
    assert told["PGPORT"] == "1"
    assert "PGHOST" not in told
