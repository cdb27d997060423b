"""An embedded engine ends with the cell's process: the stage is told, and nothing of it counts."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from deduplab.bench.runner import Silent, run_campaign
from deduplab.cell import Cell, RestSettings
from deduplab.errors import SystemUnavailable
from deduplab.executors.local import LocalExecutor
from deduplab.executors.workspace import sweep
from deduplab.model import OutcomeKind, Stage
from deduplab.store import Run
from tests.faults.campaigns import SILENT, new_run
from tests.faults.cells import CHAINS, EMBEDDED, cell_of, plan_of


@dataclasses.dataclass(slots=True)
class Killer(Silent):
    """Progress that kills the process of the cell in hand when a stage begins."""

    stage: Stage
    struck: int = 0

    def stage_began(self, position: int, stage: Stage) -> None:
        if stage is self.stage:
            for process in multiprocessing.active_children():
                process.kill()
                self.struck += 1


@pytest.mark.parametrize("system", EMBEDDED)
def test_a_killed_engine_costs_its_cell_and_the_run_goes_on(
    system: str,
    workspace: Path,
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    chains = {stage: CHAINS[stage] for stage in CHAINS if stage is not Stage.INSERT}
    # Its process must be there still when the kill arrives, so another stage follows.
    chains[Stage.READ] += (Stage.DELETE,)
    slow = RestSettings(window_s=0.2, interval_s=0.2, deadline_s=10)
    cells = tuple(
        dataclasses.replace(cell_of(system), stages=chain, rest=slow) for chain in chains.values()
    )
    run = new_run(tmp_path / "run", cells, plan_of(system))
    executor = LocalExecutor(run, workspace, (system,))
    for cell, stage in zip(cells, chains, strict=True):
        killer = Killer(stage)
        run_campaign(run, (cell,), executor, killer)
        if run.not_run():
            not_brought_up(system, SystemUnavailable(run.not_run()[cell.cell_id]))
        outcome = run.cell(cell.cell_id).outcome
        assert killer.struck == 1
        assert outcome.kind is OutcomeKind.FAILED
        assert "the cell's process died in the stage" in outcome.reason
        assert "killed by SIGKILL" in outcome.reason
        assert not run.cell(cell.cell_id).measurements
        sweep(workspace)
        assert not list(workspace.glob("instance-*"))

    whole = cell_of(system)
    again = Run.open(run.root)
    tally = run_campaign(again, (*cells, whole), LocalExecutor(again, workspace, (system,)), SILENT)
    assert tally.resumed == len(cells)
    assert tally.ended == {OutcomeKind.OK: 1}


@dataclasses.dataclass(slots=True)
class KillerOfForkServers(Silent):
    """Progress that kills the fork server once, when a stage begins or as soon as it is there."""

    at_once: bool
    struck: int = 0

    def cell_began(self, cell: Cell, attempt: int) -> None:
        if self.at_once:
            self._strike()

    def stage_began(self, position: int, stage: Stage) -> None:
        self._strike()

    def _strike(self) -> None:
        for process in psutil.Process().children():
            if not self.struck and "multiprocessing.forkserver" in " ".join(process.cmdline()):
                process.kill()
                self.struck += 1


@pytest.mark.parametrize("at_once", [True, False])
def test_a_killed_fork_server_costs_an_attempt_and_no_cell(
    at_once: bool, workspace: Path, tmp_path: Path
) -> None:
    cell = dataclasses.replace(
        cell_of("sqlite"), stages=(Stage.BULK, Stage.READ, Stage.DELETE), repetition=7
    )
    run = new_run(tmp_path / "run", (cell,), plan_of("sqlite"))
    killer = KillerOfForkServers(at_once)
    tally = run_campaign(run, (cell,), LocalExecutor(run, workspace, ("sqlite",)), killer)
    assert tally.ended == {OutcomeKind.OK: 1}
    # One that was gone before it was asked for the cell is brought up anew, and costs nothing.
    assert run.cell(cell.cell_id).attempts in ((1, 2) if at_once else (2,))
    assert not list(workspace.glob("instance-*"))
