"""A run that is killed again and again ends in exactly the cells of its plan."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil

from deduplab.runs_folder import find_run
from deduplab.store import Run
from tests.end_to_end.conftest import Cli, command, environment, write_plan
from tests.faults.processes import inside

KILLS = 20
GONE_DEADLINE_S = 30.0
COMMIT_DEADLINE_S = 60.0


def kill_in(
    arguments: list[str], tmp_path: Path, seconds: float, after_commits: int | None
) -> bool:
    """Start a run, kill it after so many seconds, and tell whether it was still running.

    The seconds count from its start, or from when so many cells are committed.
    """
    process = subprocess.Popen(
        arguments,
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + COMMIT_DEADLINE_S
    while after_commits is not None and _committed(tmp_path) < after_commits:
        assert time.monotonic() < deadline, "no cell was committed in time"
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _committed(tmp_path: Path) -> int:
    runs = list((tmp_path / "runs").glob("[!.]*/run.json"))
    assert len(runs) <= 1, "a resumed run is the same run"
    return len(Run.open(runs[0].parent).committed_ids()) if runs else 0


def test_kill_at_twenty_random_moments(tmp_path: Path, cli: Cli, workspace: Path) -> None:
    """Every other one is from the start on, the rest after one more cell, however slow it is."""
    plan = write_plan(tmp_path / "p.toml", ["plain", "sqlite", "postgresql"], repetitions=5)
    chance = random.Random(20261123)
    committed: list[int] = [0]
    killed = 0
    for number in range(KILLS):
        if number % 2:
            seconds, after = chance.uniform(0, 1), committed[-1] + 1
        else:
            seconds, after = chance.uniform(0.2, 3), None
        killed += kill_in(command("run", plan), tmp_path, seconds, after)
        committed.append(_committed(tmp_path))
        left = inside(workspace)
        _, alive = psutil.wait_procs(left, timeout=GONE_DEADLINE_S)
        assert not alive, "a server outlived the run that was killed"
    assert killed == KILLS, "the plan was done before all kills; make it larger"
    assert committed == sorted(committed), "a committed cell was lost"
    assert committed[-1] >= KILLS // 2, "no cell was ever committed between the kills"

    done = cli("run", plan, timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    run = find_run(tmp_path / "runs", "latest")
    cells = sorted(path.name for path in (run.root / "cells").iterdir())
    assert cells == sorted(run.header.cell_ids), "exactly the cells of the plan, none half-written"
    assert all(cell.outcome.ok for cell in run.cells())
    planned = json.loads(cli("plan", plan, "--json").stdout)["cells"]
    assert sorted(cell["cell_id"] for cell in planned) == cells
