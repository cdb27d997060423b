"""A run that is killed again and again ends in exactly the cells of its plan."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path

import psutil

from deduplab.store import Run, find_run
from tests.end_to_end.conftest import Cli, command, environment, processes_inside, write_plan

KILLS = 20
GONE_DEADLINE_S = 30.0


def kill_after(arguments: list[str], tmp_path: Path, seconds: float) -> bool:
    """Start a run, kill it after so many seconds, and tell whether it was still running."""
    process = subprocess.Popen(
        arguments,
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def test_kill_at_twenty_random_moments(tmp_path: Path, cli: Cli, workspace: Path) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain", "sqlite", "postgresql"], repetitions=7)
    chance = random.Random(20261123)
    committed: list[int] = []
    killed = 0
    for _ in range(KILLS):
        killed += kill_after(command("run", plan), tmp_path, chance.uniform(0.2, 5.0))
        runs = list((tmp_path / "runs").glob("*/run.json")) if (tmp_path / "runs").exists() else []
        assert len(runs) <= 1, "a resumed run is the same run"
        committed.append(len(Run.open(runs[0].parent).committed_ids()) if runs else 0)
        left = processes_inside(workspace)
        _, alive = psutil.wait_procs(left, timeout=GONE_DEADLINE_S)
        assert not alive, "a server outlived the run that was killed"
    assert killed == KILLS, "the plan was done before all kills; make it larger"
    assert committed == sorted(committed), "a committed cell was lost"
    assert committed[-1] > committed[0], "no cell was ever committed between the kills"

    done = cli("run", plan)
    assert done.returncode == 0, done.stdout + done.stderr
    run = find_run(tmp_path / "runs", "latest")
    cells = sorted(path.name for path in (run.root / "cells").iterdir())
    assert cells == sorted(run.header.cell_ids), "exactly the cells of the plan, none half-written"
    assert all(cell.outcome.ok for cell in run.cells())
    planned = json.loads(cli("plan", plan, "--json").stdout)["cells"]
    assert sorted(cell["cell_id"] for cell in planned) == cells
