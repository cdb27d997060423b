"""Campaigns whose executor brings instances up in this process, so that a fault can be put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.bench.lifecycle import BringUp, Notify, run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import bring_up
from deduplab.bench.runner import Progress, Silent
from deduplab.cell import Cell
from deduplab.executors.workspace import instance_directory
from deduplab.model import Outcome, Stage
from deduplab.store import Run, RunHeader

Fault = Callable[[int], tuple[Notify, BringUp]]
"""Told the attempt, from 1; returns who is told of stages, and how an instance comes up."""


def no_fault(attempt: int) -> tuple[Notify, BringUp]:
    return (lambda position, stage: None), bring_up


@dataclasses.dataclass(frozen=True, slots=True)
class Here:
    """An executor that runs cells in this process, as the local one does in another."""

    run: Run
    workspace: Path
    fault: Fault = no_fault

    def execute(self, cell: Cell, attempt: int, progress: Progress) -> Outcome:
        struck, up = self.fault(attempt)

        def notify(position: int, stage: Stage) -> None:
            progress.stage_began(position, stage)
            struck(position, stage)

        with instance_directory(self.workspace) as directory:
            result, latencies_ns = run_cell(
                cell, directory, ManifestCache(self.run.root / "manifests"), notify, up
            )
        self.run.commit(dataclasses.replace(result, attempts=attempt), latencies_ns)
        return result.outcome


SILENT: Final = Silent()


def new_run(root: Path, cells: tuple[Cell, ...], plan: str) -> Run:
    ids = tuple(cell.cell_id for cell in cells)
    return Run.create(root, RunHeader("faults", "faults", "d" * 64, 1, 1, ids), plan)
