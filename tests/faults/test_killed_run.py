"""A run that is killed or interrupted: no process of it stays, and none says anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from deduplab.executors.workspace import sweep
from deduplab.store import Run
from tests.faults.campaigns import new_run
from tests.faults.cells import cell_of, plan_of
from tests.faults.processes import marked

COMES_UP_DEADLINE_S = 60.0
GONE_DEADLINE_S = 10.0

# What the executor's process does, with a pipe whose other end is gone as that of a killed run is.
_BE_THE_CELL = """
import sys
from multiprocessing import Pipe
from pathlib import Path

import msgspec

from deduplab.cell import Cell
from deduplab.executors import cell_process

cell = msgspec.json.decode(sys.argv[1], type=Cell)
ours, theirs = Pipe()
ours.close()
cell_process.work(cell_process.Order(cell, 1, Path(sys.argv[2]), Path(sys.argv[3])), theirs)
"""


# The same with an engine that calls Python, and takes whatever is raised there for its own failure.
_BE_A_CELL_THAT_IS_STOPPED = (
    _BE_THE_CELL.replace("ours.close()\n", "")
    + """
print(ours.poll())
"""
)
_BE_A_CELL_THAT_IS_STOPPED = _BE_A_CELL_THAT_IS_STOPPED.replace(
    "cell_process.work",
    """
import os, signal, time
from deduplab.bench.runner import without_measurements
from deduplab.model import Outcome, OutcomeKind

def swallowing(cell, *rest, **more):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except BaseException as error:
        return without_measurements(cell, Outcome(OutcomeKind.FAILED, repr(error)), 1, 1), {}

cell_process.run_cell = swallowing
cell_process.work""",
    1,
)


# The same in a finalizer, where Python swallows whatever is raised.
_BE_A_CELL_THAT_IS_STOPPED_IN_A_FINALIZER = _BE_A_CELL_THAT_IS_STOPPED.replace(
    """    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
""",
    """    class Ending:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
    try:
        Ending()
        time.sleep(60)
""",
)


@pytest.mark.parametrize(
    "text", [_BE_A_CELL_THAT_IS_STOPPED, _BE_A_CELL_THAT_IS_STOPPED_IN_A_FINALIZER]
)
def test_a_cell_that_is_stopped_inside_an_engine_is_not_committed_as_failed(
    text: str, workspace: Path, tmp_path: Path
) -> None:
    cell = cell_of("plain")
    run = new_run(tmp_path / "run", (cell,), plan_of("plain"))
    program = [sys.executable, "-c", text]
    told = [msgspec.json.encode(cell).decode(), str(run.root), str(workspace)]
    ended = subprocess.run(
        [*program, *told], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "False", "")
    assert not Run.open(run.root).committed_ids()


def test_the_cell_of_a_killed_run_ends_in_silence(workspace: Path, tmp_path: Path) -> None:
    cell = cell_of("plain")
    run = new_run(tmp_path / "run", (cell,), plan_of("plain"))
    ended = subprocess.run(
        [sys.executable, "-c", _BE_THE_CELL, msgspec.json.encode(cell), run.root, workspace],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not list(workspace.iterdir())  # it took its instance down
    assert not Run.open(run.root).committed_ids()


def test_the_cell_of_a_killed_run_ends_at_once(tmp_path: Path, workspace: Path) -> None:
    """It would disturb who goes on with the run, and commit the same cell beside him."""
    plan = tmp_path / "p.toml"
    # The cell waits for rest, and tells the run nothing, long after the run was killed.
    text = plan_of("rocksdb").replace("window_s = 0.05", "window_s = 100")
    plan.write_text(text.replace("deadline_s = 10", "deadline_s = 200"))
    mark = str(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "deduplab", "run", plan, "--workspace", workspace],
        env={**os.environ, "DEDUPLAB_RUNS": str(tmp_path / "runs"), "DEDUPLAB_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + COMES_UP_DEADLINE_S
    while not list(workspace.glob("instance-*/instance/data/*")):
        assert time.monotonic() < deadline, "no instance came up in time"
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2, "the fork server and the cell's process"
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=GONE_DEADLINE_S)
    assert not alive, "a process outlived the run that was killed"
    assert not marked("DEDUPLAB_MARK", mark)
    sweep(workspace)  # as the next run does


def test_ctrl_c_while_drivers_are_imported_is_one_sentence(tmp_path: Path, workspace: Path) -> None:
    """A terminal tells every process of the run, and the fork server is at its imports."""
    plan = tmp_path / "p.toml"
    plan.write_text(plan_of("clickhouse"))
    process = subprocess.Popen(
        [sys.executable, "-m", "deduplab", "run", plan, "--workspace", workspace],
        env={**os.environ, "DEDUPLAB_RUNS": str(tmp_path / "runs")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + COMES_UP_DEADLINE_S
    while not _imports_drivers(process.pid):
        assert time.monotonic() < deadline, "no fork server in time"
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=COMES_UP_DEADLINE_S)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
    assert not list(workspace.iterdir())


def _imports_drivers(run: int) -> bool:
    """Whether the run's fork server is at its imports: numpy is there, and no cell yet."""
    try:
        for child in psutil.Process(run).children(recursive=True):
            if any("numpy" in mapped.path for mapped in child.memory_maps()):
                return True
    except psutil.Error:
        pass
    return False


_CTRL_C_AT_THE_START = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from deduplab.executors import fork_server
fork_server.forkserver.ensure_running = lambda: os.kill(os.getpid(), signal.SIGINT)
try:
    fork_server.ensure_running()
except KeyboardInterrupt:
    print("heard")
"""


def test_ctrl_c_while_the_fork_server_is_started_is_not_lost() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _CTRL_C_AT_THE_START],
        capture_output=True,
        text=True,
        timeout=COMES_UP_DEADLINE_S,
        check=True,
    )
    assert told.stdout == "heard\n", told.stderr
