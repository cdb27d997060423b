"""The runner: the cells of a run that are not committed yet, one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Protocol

from deduplab.errors import SystemUnavailable
from deduplab.model import Cell, CellResult, Outcome, OutcomeKind, Stage
from deduplab.store import Run

MOST_ATTEMPTS: Final = 3


class Executor(Protocol):
    """Where cells run. It commits what it measured, and returns the outcome."""

    def execute(self, cell: Cell, attempt: int, progress: Progress) -> Outcome:
        """Run one cell on a fresh instance and commit it.

        Raises
        ------
        SystemUnavailable
            If the system could not be reached; nothing was committed.
        """
        ...


class Progress(Protocol):
    """What a run tells whoever watches."""

    def cell_began(self, cell: Cell, attempt: int) -> None:
        """Tell that a cell begins."""
        ...

    def stage_began(self, position: int, stage: Stage) -> None:
        """Tell that a stage of the cell in hand begins."""
        ...

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        """Tell that a cell is committed; ``done`` of ``total`` are."""
        ...


@dataclass(frozen=True, slots=True)
class Tally:
    """How the cells of this call ended, by outcome, and how many were committed before."""

    resumed: int
    ended: dict[OutcomeKind, int]


def run_campaign(
    run: Run, cells: tuple[Cell, ...], executor: Executor, progress: Progress
) -> Tally:
    """Run every cell that is not committed, and commit each; a committed one is never run again.

    A system that is unavailable is tried again on a fresh instance, at most
    three times in all, and then committed as FAILED with its reason.
    """
    committed = run.committed_ids()
    waiting = [cell for cell in cells if cell.cell_id not in committed]
    ended: dict[OutcomeKind, int] = {}
    resumed = len(cells) - len(waiting)
    for index, cell in enumerate(waiting, start=1):
        outcome = _execute(run, cell, executor, progress)
        ended[outcome.kind] = ended.get(outcome.kind, 0) + 1
        progress.cell_ended(cell, outcome, resumed + index, len(cells))
    return Tally(resumed, ended)


def _execute(run: Run, cell: Cell, executor: Executor, progress: Progress) -> Outcome:
    started = time.time_ns()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        progress.cell_began(cell, attempt)
        try:
            return executor.execute(cell, attempt, progress)
        except SystemUnavailable as error:
            reason = f"SystemUnavailable after {attempt} attempts: {error}"
    outcome = Outcome(OutcomeKind.FAILED, reason)
    run.commit(without_measurements(cell, outcome, started, MOST_ATTEMPTS), {})
    return outcome


def without_measurements(
    cell: Cell, outcome: Outcome, started_unix_ns: int, attempts: int
) -> CellResult:
    """Return the result of a cell that gave no measurement, with the reason."""
    return CellResult(
        cell=cell,
        outcome=outcome,
        identity=None,
        bulk_manifest=None,
        insert_manifest=None,
        baseline=None,
        measurements=(),
        started_unix_ns=started_unix_ns,
        finished_unix_ns=time.time_ns(),
        attempts=attempts,
    )
