"""``plan --check``: what would end a run is told before it; our namespaces at remote systems."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab import registry
from deduplab.executors.workspace import instance_directory, prepared
from deduplab.server import Endpoint
from deduplab.servers.rest import RestServer
from tests.end_to_end.conftest import Cli, command, environment, workspace_of, write_plan
from tests.end_to_end.test_remote import plan_of, table_of


def test_a_plan_that_can_run_here_is_told_so(tmp_path: Path, cli: Cli, workspace: Path) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain", "sqlite"])
    done = cli("plan", plan, "--check", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["can_run"] is True
    assert [row["check"] for row in told["checks"]] == [
        *("data", "disk", "results", "plain", "sqlite")
    ]
    assert all(row["ok"] for row in told["checks"])
    assert not list((tmp_path / "runs").iterdir())


def test_each_thing_that_is_missing_is_told_with_the_code_of_a_run(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    small = cli("plan", plan, "--check", "--scale", "10000000")
    assert small.returncode == 4
    assert "FAILED  disk" in small.stdout
    assert "ok      plain" in small.stdout, "all else is tried, too"
    (tmp_path / "blocked").write_text("no directory")
    assert cli("plan", plan, "--check", "--runs", tmp_path / "blocked").returncode == 2
    (tmp_path / "runs").rmdir()
    (tmp_path / "runs").symlink_to(tmp_path / "nowhere" / "below")
    results = cli("plan", plan, "--check")
    assert (results.returncode, "FAILED  results" in results.stdout) == (5, True)
    (tmp_path / "runs").unlink()
    unknown = plan.read_text().replace("random_binary", "files")
    plan.write_text(unknown)
    assert cli("plan", plan, "--check").returncode == 2


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Endpoint]:
    workspace = prepared(workspace_of(tmp_path))
    with instance_directory(workspace) as directory:
        server = RestServer(directory, variant="default", durability="fsync")
        try:
            yield server.start()
        finally:
            server.stop()
    shutil.rmtree(workspace)


def databases(endpoint: Endpoint, name: str) -> int:
    """Return the status by which the server answers for a database."""
    assert endpoint.secret is not None
    request = urllib.request.Request(
        f"http://{endpoint.address}/v1/databases/{name}",
        headers={"Authorization": f"Bearer {endpoint.secret.reveal()}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.server
def test_remote_systems_are_logged_in_to_and_only_ours_is_dropped_there(
    running: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    assert running.secret is not None
    plan = tmp_path / "p.toml"
    plan.write_text(plan_of(table_of("rest", running, "env:LAB_SECRET")))

    def call(*arguments: str | Path, secret: str | None) -> tuple[int, str]:
        told = environment(tmp_path) | ({"LAB_SECRET": secret} if secret else {})
        told["DEDUPLAB_WORKSPACE"] += "-own"
        done = subprocess.run(
            command(*arguments), env=told, cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        shutil.rmtree(told["DEDUPLAB_WORKSPACE"], ignore_errors=True)
        return done.returncode, done.stdout + done.stderr

    secret = running.secret.reveal()
    code, said = call("plan", plan, "--check", secret=secret)
    assert (code, "ok      rest" in said) == (0, True), said
    code, said = call("plan", plan, "--check", secret=None)
    assert (code, "LAB_SECRET is not set" in said) == (2, True)
    code, said = call("plan", plan, "--check", secret="wrong")
    assert (code, "FAILED  rest" in said) == (3, True)

    adapter = registry.system("rest").adapter_class()()
    adapter.open(running)
    adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
    adapter.put("key", b"left by a run that was killed")
    adapter.close()
    assert databases(running, "deduplab-lab") == 200
    code, said = call("clean", "--plan", plan, secret=secret)
    assert (code, "no namespace of ours is left" in said) == (0, True), said
    assert databases(running, "deduplab-lab") == 404
