"""Doing what ``run`` and ``calibrate`` ask for: a plan, from its cells to a finished run."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from deduplab import registry
from deduplab.bench import environment, matrix
from deduplab.bench.earlier_cells import EarlierCells, earlier_cells
from deduplab.bench.estimate import duration_s, estimate
from deduplab.bench.faulty_cells import DAMAGED, faulty_cells
from deduplab.bench.runner import Tally, run_campaign
from deduplab.cell import Cell
from deduplab.cell_settings import told_apart
from deduplab.cli.findings import report_path
from deduplab.cli.progress import ConsoleProgress, TimeLeft, kind_of
from deduplab.cli.told_progress import told_run
from deduplab.config import Plan
from deduplab.errors import RunExists, StoreError
from deduplab.event import name_told
from deduplab.executors.local import LocalExecutor
from deduplab.executors.workspace import check_space, sweep
from deduplab.feed import Feed
from deduplab.runs_folder import run_directories
from deduplab.scale import told
from deduplab.store import PlannedCell, Run, RunHeader


def unfinished_runs(runs: Path, plan: Plan) -> list[Run]:
    """Return the runs of exactly this plan and scale that are not finished, the newest first."""
    return [run for run in runs_of(runs, plan) if not is_finished(run)]


def runs_of(runs: Path, plan: Plan) -> list[Run]:
    """Return the runs of exactly this plan and scale, finished or not, the newest first."""
    return [run for run in _readable(runs) if run.header.plan_digest == plan.digest]


def of_changed_plan(runs: Path, plan: Plan, only: tuple[str, ...]) -> Run | None:
    """Return the newest unfinished run whose plan has been changed since, or None.

    That is one of a plan of this name, with the same scale and the same systems asked for.
    """
    asked = (plan.name, told(plan.scale), only)
    for run in _readable(runs):
        header = run.header
        same = asked == (header.plan_name, header.scale, header.only)
        if same and header.plan_digest != plan.digest and not is_finished(run):
            return run
    return None


def _readable(runs: Path) -> list[Run]:
    """Return all runs whose cells can be listed, the newest first."""
    found = []
    for directory in run_directories(runs):
        try:
            run = Run.open(directory)
            run.committed_ids()
            found.append(run)
        except StoreError:
            continue  # written by another version, or damaged: not ours to go on with
    return sorted(found, key=lambda run: run.header.created_unix_ns, reverse=True)


def is_finished(run: Run) -> bool:
    """Return whether every planned cell is committed and the report is there.

    A run that was killed while its report was made has no cells left, and is still gone
    on with: else the same command would measure everything once more.
    """
    return set(run.header.cell_ids) <= run.committed_ids() and report_path(run).exists()


def new_run(
    runs: Path, plan: Plan, workspace: Path, only: tuple[str, ...] = (), *, reuse: bool = False
) -> Run:
    """Make the directory of a new run, with the environment as it is now.

    With ``reuse`` it begins with what runs of other plans have of its cells, the newest first.

    Raises
    ------
    DiskSpaceError
        If the workspace is too small for the plan; nothing was made.
    """
    cells = matrix.cells(plan)
    check_space(workspace, estimate(cells).disk_bytes)
    now = time.time_ns()
    stamp = datetime.fromtimestamp(now / 1e9, UTC).strftime("%Y%m%dT%H%M%S")
    run_id = f"{plan.name}-{stamp}-{plan.digest[:6]}"
    earlier = _earlier(runs, plan, cells, workspace) if reuse else EarlierCells()
    header = RunHeader(
        run_id=run_id,
        plan_name=plan.name,
        plan_digest=plan.digest,
        scale=told(plan.scale),
        created_unix_ns=now,
        cell_ids=tuple(cell.cell_id for cell in cells),
        environment=environment_now(plan, workspace),
        only=only,
        planned=tuple(map(PlannedCell.of, cells, told_apart(cells, name_told))),
        taken_over={
            cell_id: run.taken_over.get(cell_id, run.header.run_id)
            for cell_id, run in earlier.taken.items()
        },
        not_taken_over=earlier.left,
    )
    for number in itertools.count(2):
        try:
            root = runs / header.run_id
            return Run.create(root, header, plan.text, earlier.taken)
        except RunExists:  # begun in the same second, perhaps by another process
            header = dataclasses.replace(header, run_id=f"{run_id}-{number}")
    raise AssertionError("there is always a number more")


def _earlier(runs: Path, plan: Plan, cells: tuple[Cell, ...], workspace: Path) -> EarlierCells:
    """Return what runs of other plans have of these cells; one of the same plan is repeated."""
    others = (run for run in _readable(runs) if run.header.plan_digest != plan.digest)
    return earlier_cells(others, cells, workspace)


def environment_now(plan: Plan, workspace: Path) -> dict[str, str]:
    """Return the environment record of this host for a plan."""
    drivers = [registry.system(system.name).driver for system in plan.systems]
    return environment.record(workspace, drivers, plan.volumes)


def unlike(run: Run, plan: Plan, workspace: Path) -> list[str]:
    """Return in what this host is unlike the one that a run was begun on; empty if alike."""
    return environment.differences(run.header.environment, environment_now(plan, workspace))


def perform(
    run: Run,
    plan: Plan,
    workspace: Path,
    console: Console,
    left_out: Mapping[str, str] | None = None,
    *,
    again: bool = False,
    feed: Feed | None = None,
) -> Tally:
    """Run what is left of a run: sweep, check the disk, and execute with live progress.

    ``left_out`` has the cells that are not to be run now, by id, with the reason.
    ``again`` has the others measured anew that are committed and do not count. ``feed`` is
    where the run is told while it goes on; None for nowhere.

    Raises
    ------
    DiskSpaceError
        If the workspace is too small by now.
    StoreError
        If another process runs it.
    """
    cells = matrix.cells(plan)
    expected = estimate(cells)
    check_space(workspace, expected.disk_bytes)
    with run.locked():
        ended, removed = sweep(workspace)
        if removed:
            console.print(
                f"swept what a killed run left: {removed} instances, {ended} processes",
                highlight=False,
            )
        set_aside = _set_aside(run, left_out or {}, console) if again else 0
        committed = run.committed_ids()
        waiting: tuple[Cell, ...] = tuple(c for c in cells if c.cell_id not in committed)
        systems = tuple(system.name for system in plan.systems)
        executor = LocalExecutor(run, workspace, systems, feed)
        time_left = TimeLeft(waiting, duration_s, measured_s(run))
        done = len(cells) - len(waiting)
        with (
            ConsoleProgress(console, time_left, done, len(cells)) as shown,
            told_run(run, done, shown, feed) as progress,
        ):
            tally = run_campaign(run, cells, executor, progress, left_out)
    return dataclasses.replace(tally, set_aside=set_aside)


def _set_aside(run: Run, left_out: Collection[str], console: Console) -> int:
    """Set the cells of a run aside that do not count, tell which, and return how many."""
    faults = faulty_cells(run, left_out)
    for fault in faults:
        if fault.kind == DAMAGED:
            console.print(f"damaged: {fault.reason}", markup=False, highlight=False, soft_wrap=True)
        run.set_aside(fault.cell_id)
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(f.kind for f in faults).items()))
    words = f"set aside, to be measured anew: {kinds}; they stay in {run.root / 'set_aside'}"
    if not faults:
        words = "nothing is set aside: no committed cell is FAILED, INVALID or damaged"
    console.print(words, markup=False, highlight=False, soft_wrap=True)
    return len(faults)


def measured_s(run: Run) -> dict[tuple[str, ...], list[float]]:
    """Return what the committed cells of a run took in seconds, by :func:`kind_of`."""
    taken_s: dict[tuple[str, ...], list[float]] = {}
    for result in run.cells():
        duration_s = (result.finished_unix_ns - result.started_unix_ns) / 1e9
        taken_s.setdefault(kind_of(result.cell), []).append(duration_s)
    return taken_s
