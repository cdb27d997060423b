"""Which run ``deduplab run`` goes on with, or that it begins a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deduplab.cli import campaign
from deduplab.config import Plan
from deduplab.errors import PlanError
from deduplab.runs_folder import find_run
from deduplab.store import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a plan here, and by options what to do with its earlier runs.

    ``resume`` names a run, ``fresh`` begins a new one whatever there is, ``again`` takes the
    newest one, finished or not. With ``reuse`` a new run begins with cells of earlier ones.
    ``once`` takes a finished run for the answer, wherever it was begun.
    """

    plan: Plan
    only: tuple[str, ...]
    runs: Path
    workspace: Path
    fresh: bool = False
    resume: str | None = None
    again: bool = False
    reuse: bool = False
    once: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        others = (("--fresh", self.fresh), ("--resume", self.resume), ("--again", self.again))
        for name, given in others:
            if self.once and given:
                raise PlanError(f"--once and {name} exclude each other")
        for name, given in (("--resume", self.resume), ("--again", self.again)):
            if self.fresh and given:
                raise PlanError(f"--fresh and {name} exclude each other")
            if self.reuse and given:
                raise PlanError(f"--reuse is for a new run, and {name} for one that is there")


def chosen_run(asked: Asked, console: Console) -> Run:
    """Return the run to go on with, or a new one; never one that was begun on an unlike host.

    Raises
    ------
    PlanError
        If the run that was named, or any for ``--again``, is not one to go on with.
    """
    if asked.resume:
        return _named(asked, asked.resume)
    if asked.again:
        return _latest(asked, console)
    run = _finished(asked, console) if asked.once else None
    if run is None and not asked.fresh:
        run = _unfinished(asked, console)
    return run or _new(asked, console)


def _new(asked: Asked, console: Console) -> Run:
    other = None if asked.fresh else campaign.of_changed_plan(asked.runs, asked.plan, asked.only)
    if other is not None:
        console.print(
            f"{other.header.run_id} is not finished ({len(other.committed_ids())} of "
            f"{len(other.header.cell_ids)} cells), but the plan was changed since: not going "
            f"on with it. It keeps its plan: deduplab run {other.root / 'plan.toml'}",
            highlight=False,
            soft_wrap=True,
        )
    run = campaign.new_run(asked.runs, asked.plan, asked.workspace, asked.only, reuse=asked.reuse)
    words = f"run {run.header.run_id}: {len(run.header.cell_ids)} cells"
    if asked.reuse:
        taken = len(run.taken_over)
        words += f", {taken or 'none'} of them taken over from earlier runs"
    console.print(words, highlight=False)
    for reason, count in Counter(run.header.not_taken_over.values()).most_common():
        cells = "1 cell is" if count == 1 else f"{count} cells are"
        words = f"{cells} not taken over: {reason}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    return run


def _named(asked: Asked, name: str) -> Run:
    """Return the run that was named.

    Raises
    ------
    PlanError
        If it was made from another plan or in another environment.
    """
    run = find_run(asked.runs, name)
    if run.header.plan_digest != asked.plan.digest:
        raise PlanError(
            f"run {run.header.run_id} was made from another plan, scale or --only; "
            "its cells would not be comparable; name the plan it was made from, or drop "
            "--resume"
        )
    if differing := campaign.unlike(run, asked.plan, asked.workspace):
        raise PlanError(
            f"{_begun_elsewhere(run, differing)}: its cells would not be comparable; drop --resume"
        )
    return run


def _latest(asked: Asked, console: Console) -> Run:
    """Return the newest run of this plan that was begun on a host like this, finished or not.

    Raises
    ------
    PlanError
        If there is none.
    """
    run = _alike(campaign.runs_of(asked.runs, asked.plan), asked, console)
    if run is None:
        raise PlanError(
            f"no run of exactly this plan, scale and --only in {asked.runs} was begun here, so "
            "there is nothing to measure again; drop --again to begin one, or see --runs"
        )
    return _told(run, console)


def _finished(asked: Asked, console: Console) -> Run | None:
    """Return the newest finished run of this plan, or None; nothing is left to run of it."""
    for run in campaign.runs_of(asked.runs, asked.plan):
        if campaign.is_finished(run):
            words = f"{run.header.run_id} is finished, and no other is begun (--once)"
            console.print(words, highlight=False, soft_wrap=True)
            return run
    return None


def _unfinished(asked: Asked, console: Console) -> Run | None:
    """Return the newest unfinished run of this plan that was begun on a host like this, or None."""
    run = _alike(campaign.unfinished_runs(asked.runs, asked.plan), asked, console)
    more = " (--fresh starts anew)"
    if asked.reuse:
        more = "; --reuse is for a new run (--fresh starts one)"
    return None if run is None else _told(run, console, more)


def _alike(runs: Iterable[Run], asked: Asked, console: Console) -> Run | None:
    """Return the first run that was begun on a host like this, and tell of those that were not."""
    for run in runs:
        differing = campaign.unlike(run, asked.plan, asked.workspace)
        if not differing:
            return run
        words = f"{_begun_elsewhere(run, differing)}: not going on with it"
        console.print(words, highlight=False, soft_wrap=True)
    return None


def _told(run: Run, console: Console, more: str = "") -> Run:
    """Tell how far a run is that is gone on with, and return it."""
    console.print(
        f"going on with {run.header.run_id}: {len(run.committed_ids())} of "
        f"{len(run.header.cell_ids)} cells are committed{more}",
        highlight=False,
        soft_wrap=True,
    )
    return run


def _begun_elsewhere(run: Run, differing: list[str]) -> str:
    return f"{run.header.run_id} was begun in another environment ({'; '.join(differing)})"
