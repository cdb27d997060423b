"""A run whose cell has several clients is killed or told to end: none of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deduplab.executors.workspace import sweep
from tests.faults.cells import plan_of
from tests.faults.processes import marked

COMES_UP_DEADLINE_S = 60.0
GONE_DEADLINE_S = 10.0
CLIENTS = 3


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGKILL, -signal.SIGKILL),
        (signal.SIGTERM, 130),
        (signal.SIGINT, 130),
    ],
)
def test_clients_end_with_their_run(
    tmp_path: Path, workspace: Path, number: signal.Signals, status: int
) -> None:
    plan = tmp_path / "p.toml"
    # At 0.1/s the first few operations take half a minute: long after the run has ended.
    settings = f"clients = {CLIENTS}\nrate = 0.1\ncell_deadline_s = 90000\n"
    plan.write_text(settings + plan_of("plain"))
    mark = str(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "deduplab", "run", plan, "--workspace", workspace],
        env={**os.environ, "DEDUPLAB_RUNS": str(tmp_path / "runs"), "DEDUPLAB_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + COMES_UP_DEADLINE_S
    while not _works(process.pid):
        assert time.monotonic() < deadline, "no clients came up in time"
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait(COMES_UP_DEADLINE_S) == status
    _, alive = psutil.wait_procs(children, timeout=GONE_DEADLINE_S)
    assert not alive, "a process outlived its run"
    assert not marked("DEDUPLAB_MARK", mark)
    sweep(workspace)  # as the next run does
    assert not list(workspace.iterdir())


def _works(run: int) -> bool:
    """Whether there is a cell's process with its clients and its tracer."""
    for child in psutil.Process(run).children(recursive=True):
        try:
            if len(child.children()) == CLIENTS + 1:
                return True
        except psutil.NoSuchProcess:
            continue
    return False
