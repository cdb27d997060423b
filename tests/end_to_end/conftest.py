from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.processes import inside

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

PLAN = """\
name = "small"
repetitions = {repetitions}
stages = ["bulk", "read", "reclaim", "insert", "delete", "reclaim", "refill"]

[data]
payloads = ["random_binary"]
grades = ["U0", "U50"]
distances = ["adjacent", "shuffled"]
logical_size = "256 KiB"
object_size = "8 KiB"
insert_share = "25 %"
batch_size = "64 KiB"
read_objects = 8

[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 10

{systems}
"""


def write_plan(path: Path, systems: list[str], repetitions: int = 1) -> Path:
    tables = "\n".join(f"[systems.{name}]" for name in systems)
    path.write_text(PLAN.format(repetitions=repetitions, systems=tables))
    return path


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DEDUPLAB_RUNS": str(tmp_path / "runs"),
        "DEDUPLAB_WORKSPACE": str(workspace_of(tmp_path)),
        "COLUMNS": "160",
    }


def workspace_of(tmp_path: Path) -> Path:
    """Return a workspace that an unprivileged server account can reach, unlike tmp_path itself."""
    return Path("/var/tmp") / f"deduplab-test-{os.getpid()}-{tmp_path.name}"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "deduplab", *map(str, arguments)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return workspace_of(tmp_path)


@pytest.fixture
def cli(tmp_path: Path, workspace: Path) -> object:
    def call(
        *arguments: str | Path, timeout_s: float = 120, columns: int = 160
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            env=environment(tmp_path) | {"COLUMNS": str(columns)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=tmp_path,
            check=False,
        )

    yield call
    assert not inside(workspace)
    assert not list(workspace.glob("instance-*"))
    if workspace.exists():
        workspace.rmdir()
