"""A run that is killed: its cell's process, which may outlive it for a moment, says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from deduplab.store import Run
from tests.faults.campaigns import new_run
from tests.faults.cells import cell_of, plan_of

# What the executor's process does, with a pipe whose other end is gone as that of a killed run is.
_BE_THE_CELL = """
import sys
from multiprocessing import Pipe
from pathlib import Path

import msgspec

from deduplab.cell import Cell
from deduplab.executors import local

cell = msgspec.json.decode(sys.argv[1], type=Cell)
ours, theirs = Pipe()
ours.close()
local._work(cell, 1, Path(sys.argv[2]), Path(sys.argv[3]), theirs)
"""


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
