"""The runner: the cells of a run that are not committed yet, one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from deduplab.cell import Cell, CellResult
from deduplab.errors import SystemRefused, SystemUnavailable
from deduplab.model import Outcome, OutcomeKind, Stage
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

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        """Tell that these cells are not run now, and why."""
        ...


class Silent:
    """Progress that nobody watches."""

    def cell_began(self, cell: Cell, attempt: int) -> None:
        """Say nothing."""

    def stage_began(self, position: int, stage: Stage) -> None:
        """Say nothing."""

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        """Say nothing."""

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the cells of this call ended, by outcome; how many were committed before or not run.

    ``set_aside`` is how many committed cells were set aside before, to be measured anew.
    """

    resumed: int
    ended: dict[OutcomeKind, int]
    not_run: int = 0
    set_aside: int = 0


def run_campaign(
    run: Run,
    cells: tuple[Cell, ...],
    executor: Executor,
    progress: Progress,
    left_out: Mapping[str, str] | None = None,
) -> Tally:
    """Run every cell that is not committed, and commit each; a committed one is never run again.

    A cell whose system is unavailable is tried again on a fresh instance, at most
    three times in all. If then the system does not even come up, all its cells
    (those of the variant) are put off to the end, where it gets one more cell's
    tries: what is still out of reach is not run, which the run keeps with the
    reason. It stays to be run by whoever goes on with the run. A cell that lost its
    system three times after it had come up is committed as FAILED, and the others
    go on.

    Parameters
    ----------
    left_out
        Cells that are not to be run in this call, by id, with the reason.
    """
    return _Campaign(run, cells, executor, progress).perform(left_out or {})


class _Campaign:
    """One call: what is waiting, what was put off, and how much is done."""

    def __init__(
        self, run: Run, cells: tuple[Cell, ...], executor: Executor, progress: Progress
    ) -> None:
        self._run = run
        self._executor = executor
        self._progress = progress
        self._total = len(cells)
        committed = run.committed_ids()
        self._waiting = [cell for cell in cells if cell.cell_id not in committed]
        self._done = self._resumed = len(cells) - len(self._waiting)
        self._ended: dict[OutcomeKind, int] = {}

    def perform(self, left_out: Mapping[str, str]) -> Tally:
        left_aside = self._leave_out(left_out)
        put_off = self._round(self._waiting)
        lost = self._round(put_off)
        return Tally(self._resumed, self._ended, left_aside + len(lost))

    def _leave_out(self, left_out: Mapping[str, str]) -> int:
        by_reason: dict[str, list[Cell]] = {}
        for cell in self._waiting:
            if cell.cell_id in left_out:
                by_reason.setdefault(left_out[cell.cell_id], []).append(cell)
        for reason, cells in by_reason.items():
            self._keep_not_run(cells, reason)
        self._waiting = [cell for cell in self._waiting if cell.cell_id not in left_out]
        return sum(map(len, by_reason.values()))

    def _round(self, cells: list[Cell]) -> list[Cell]:
        """Run cells; return those whose system did not come up."""
        left = list(cells)
        lost: list[Cell] = []
        while left:
            cell = left[0]
            missing = self._execute(cell)
            if missing is None:
                del left[0]
                continue
            gone = [other for other in left if _configuration(other) == _configuration(cell)]
            left = [other for other in left if _configuration(other) != _configuration(cell)]
            self._keep_not_run(gone, missing)
            lost += gone
        return lost

    def _execute(self, cell: Cell) -> str | None:
        """Run one cell and commit it; return why instead if its system did not come up."""
        started = time.time_ns()
        watch = _Watch(self._progress)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            watch.cell_began(cell, attempt)
            try:
                outcome = self._executor.execute(cell, attempt, watch)
                break
            except SystemRefused as error:
                return str(error)  # no second login with a wrong password
            except SystemUnavailable as error:
                reason = str(error)
        else:
            if not watch.came_up:
                return reason
            reason = f"SystemUnavailable after {attempt} attempts: {reason}"
            outcome = Outcome(OutcomeKind.FAILED, reason)
            self._run.commit(without_measurements(cell, outcome, started, attempt), {})
        self._done += 1
        self._ended[outcome.kind] = self._ended.get(outcome.kind, 0) + 1
        self._progress.cell_ended(cell, outcome, self._done, self._total)
        return None

    def _keep_not_run(self, cells: list[Cell], reason: str) -> None:
        self._run.keep_not_run({cell.cell_id: reason for cell in cells})
        self._progress.not_run(cells, reason)


class _Watch:
    """Passes progress on, and notes whether the system came up in the last attempt."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.came_up = False

    def cell_began(self, cell: Cell, attempt: int) -> None:
        self.came_up = False
        self._progress.cell_began(cell, attempt)

    def stage_began(self, position: int, stage: Stage) -> None:
        self.came_up = True
        self._progress.stage_began(position, stage)

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        self._progress.cell_ended(cell, outcome, done, total)

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        self._progress.not_run(cells, reason)


def _configuration(cell: Cell) -> tuple[str, str]:
    """Return what cells have in common that come up, or do not, together."""
    return cell.system, cell.variant


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
