"""Campaigns whose systems are there, are not, vanish, or come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deduplab import config
from deduplab.analysis.census import census_of
from deduplab.bench import matrix
from deduplab.bench.runner import MOST_ATTEMPTS, Progress, run_campaign, without_measurements
from deduplab.cell import Cell
from deduplab.cli.progress import TimeLeft
from deduplab.errors import SystemUnavailable
from deduplab.model import OK, Outcome, OutcomeKind, Stage
from deduplab.store import PlannedCell, Run, RunHeader

CELLS = matrix.cells(
    config.parse(
        """\
name = "t"
repetitions = 4
stages = ["bulk", "delete"]
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "1 MiB"
object_size = "8 KiB"
[systems.plain]
[systems.sqlite]
[systems.duckdb]
""",
        origin="t.toml",
    )
)
OF_SQLITE = [cell for cell in CELLS if cell.system == "sqlite"]


@dataclasses.dataclass(slots=True)
class Executor:
    """Commits every cell, but for those whose system is not ``up``, or is ``lost`` inside."""

    run: Run
    up: Callable[[Cell, int], bool] = lambda cell, executed: True
    lost: Callable[[Cell], bool] = lambda cell: False
    executed: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def execute(self, cell: Cell, attempt: int, progress: Progress) -> Outcome:
        self.executed.append((cell.system, attempt))
        if not self.up(cell, len(self.executed)):
            raise SystemUnavailable("nobody answers")
        progress.stage_began(0, Stage.BULK)
        if self.lost(cell):
            raise SystemUnavailable("it ended")
        self.run.commit(without_measurements(cell, OK, 1, attempt), {})
        return OK

    def tries(self, system: str) -> int:
        return sum(name == system for name, _ in self.executed)


@dataclasses.dataclass(slots=True)
class Watcher:
    """Keeps what it is told."""

    ended: list[str] = dataclasses.field(default_factory=list)
    refused: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    def cell_began(self, cell: Cell, attempt: int) -> None:
        pass

    def stage_began(self, position: int, stage: Stage) -> None:
        pass

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        self.ended.append(f"{done}/{total}")

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        self.refused.append((len(cells), reason))


def new_run(tmp_path: Path) -> Run:
    ids = tuple(cell.cell_id for cell in CELLS)
    planned = tuple(map(PlannedCell.of, CELLS))
    return Run.create(tmp_path / "r", RunHeader("r", "t", "d", 1, 1, ids, planned=planned), "")


def test_a_system_that_never_comes_up_is_tried_for_one_cell_and_once_more(tmp_path: Path) -> None:
    run, watcher = new_run(tmp_path), Watcher()
    executor = Executor(run, up=lambda cell, executed: cell.system != "sqlite")
    tally = run_campaign(run, CELLS, executor, watcher)
    assert (tally.ended, tally.not_run) == ({OutcomeKind.OK: 8}, 4)
    assert executor.tries("sqlite") == 2 * MOST_ATTEMPTS
    assert watcher.refused == [(4, "nobody answers")] * 2
    assert watcher.ended[-1] == "8/12"
    assert run.not_run() == {cell.cell_id: "nobody answers" for cell in OF_SQLITE}

    found = census_of(run)
    assert found.cells.ended | {"OK": 8, "not run": 4} == found.cells.ended
    assert (found.stages.planned, found.stages.ok) == (24, 16)
    assert found.boxes["random_binary", "sqlite"].words == "8 not run"
    (reason,) = found.reasons
    assert (reason.systems, reason.cells, reason.stages) == (("sqlite",), 4, 8)


def test_what_was_not_run_is_tried_again_when_the_run_goes_on(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run_campaign(run, CELLS, Executor(run, up=lambda cell, n: cell.system != "sqlite"), Watcher())
    again = Executor(Run.open(run.root))
    tally = run_campaign(again.run, CELLS, again, Watcher())
    assert (tally.resumed, tally.ended, tally.not_run) == (8, {OutcomeKind.OK: 4}, 0)
    assert run.not_run() == {}
    assert census_of(run).stages.words == "24 OK"


def test_a_system_that_vanishes_costs_its_own_cells_and_no_others(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    sqlite: list[str] = []

    def up(cell: Cell, executed: int) -> bool:
        if cell.system == "sqlite" and cell.cell_id not in sqlite:
            sqlite.append(cell.cell_id)
        return cell.system != "sqlite" or len(sqlite) <= 2

    tally = run_campaign(run, CELLS, Executor(run, up=up), Watcher())
    assert (tally.ended, tally.not_run) == ({OutcomeKind.OK: 10}, 2)
    assert len(run.not_run()) == 2


def test_a_system_that_comes_back_is_run_at_the_end(tmp_path: Path) -> None:
    run, watcher = new_run(tmp_path), Watcher()
    others = len(CELLS) - len(OF_SQLITE)
    executor = Executor(
        run, up=lambda cell, n: cell.system != "sqlite" or n > others + MOST_ATTEMPTS
    )
    tally = run_campaign(run, CELLS, executor, watcher)
    assert (tally.ended, tally.not_run) == ({OutcomeKind.OK: 12}, 0)
    assert [name for name, _ in executor.executed[-4:]] == ["sqlite"] * 4
    assert watcher.refused == [(4, "nobody answers")]
    assert run.not_run() == {}


def test_a_cell_that_ends_its_system_again_and_again_is_failed_alone(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    guilty = OF_SQLITE[1]
    executor = Executor(run, lost=lambda cell: cell == guilty)
    tally = run_campaign(run, CELLS, executor, Watcher())
    assert (tally.ended, tally.not_run) == ({OutcomeKind.OK: 11, OutcomeKind.FAILED: 1}, 0)
    outcome = run.cell(guilty.cell_id).outcome
    assert outcome.reason == f"SystemUnavailable after {MOST_ATTEMPTS} attempts: it ended"
    assert census_of(run).stages.ended["FAILED"] == 2


def test_cells_that_are_left_out_are_not_executed(tmp_path: Path) -> None:
    run, watcher = new_run(tmp_path), Watcher()
    executor = Executor(run)
    left_out = {cell.cell_id: "no data" for cell in OF_SQLITE}
    tally = run_campaign(run, CELLS, executor, watcher, left_out)
    assert (tally.ended, tally.not_run) == ({OutcomeKind.OK: 8}, 4)
    assert executor.tries("sqlite") == 0
    assert watcher.refused == [(4, "no data")]
    assert set(run.not_run().values()) == {"no data"}


def test_a_run_that_was_ended_early_says_so_of_the_rest(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.commit(without_measurements(CELLS[0], OK, 1, 1), {})
    found = census_of(run)
    assert found.cells.ended["not run"] == 11
    (reason,) = found.reasons
    assert "not reached yet" in reason.reason
    assert len(reason.systems) == 3


def test_the_time_left_goes_by_each_systems_own_cells() -> None:
    left = TimeLeft(CELLS, lambda cell: 2.0)
    assert left.left_s() == 24
    slow, quick = ([cell for cell in CELLS if cell.system == name] for name in ("duckdb", "sqlite"))
    left.ended(slow[0], 10.0)
    # three slow ones, and eight guesses, which were off: ten seconds of them are believed
    assert left.left_s() == pytest.approx(3 * 10 + 8 * 2 * (10 + 10) / (10 + 2))
    left.ended(quick[0], 1.0)
    left.ended(quick[0], 99.0)  # it is out already
    assert left.left_s() == pytest.approx(3 * 10 + 3 * 1 + 4 * 2 * (10 + 11) / (10 + 4))
    left.dropped(cell for cell in CELLS if cell.system == "plain")
    assert left.left_s() == pytest.approx(33)
    for cell in (*slow[1:], *quick[1:]):
        left.ended(cell, 1.0)
    assert left.left_s() == pytest.approx(0)


def test_the_time_left_of_a_resumed_run_knows_what_cells_took_before() -> None:
    waiting = [cell for cell in CELLS if cell.system == "sqlite"]
    left = TimeLeft(waiting, lambda cell: 100.0, {("sqlite", "default"): [1.0, 3.0]})
    assert left.left_s() == 2.0 * len(waiting)


def test_one_slow_first_cell_does_not_make_hours_of_minutes() -> None:
    left = TimeLeft(CELLS, lambda cell: 0.1)
    left.ended(CELLS[0], 20.0)  # drivers are imported with the first one
    others = [cell for cell in CELLS[1:] if cell.system != CELLS[0].system]
    assert left.left_s() < 3 * 20 + len(others) * 0.1 * 4
