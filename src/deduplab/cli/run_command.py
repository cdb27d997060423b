"""``deduplab run``."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import click
from rich.console import Console

from deduplab import config
from deduplab.analysis import rows
from deduplab.analysis.census import census_of
from deduplab.bench import preflight
from deduplab.cli import campaign
from deduplab.cli.findings import print_findings, write_report
from deduplab.cli.options import plan_argument, runs_option, split_only, workspace_option
from deduplab.cli.ran import print_ran
from deduplab.errors import OperationFailed, PlanError, SystemUnavailable
from deduplab.executors.workspace import prepared
from deduplab.model import OutcomeKind
from deduplab.runs_folder import find_run
from deduplab.store import Run
from deduplab.units import format_seconds


@click.command(
    "run",
    short_help="Run a plan.",
    epilog="Examples:\n\n"
    "\b\n"
    "  deduplab run plans/quick.toml                 the first run, under five minutes\n"
    "  deduplab run plans/quick.toml --scale 10      the same, ten times larger\n"
    "  deduplab run plans/seed-864.toml --scale 1/1024   a cluster's plan on a laptop\n"
    "  deduplab run plans/quick.toml --only sqlite   one system of the plan\n"
    "  deduplab run plans/quick.toml --resume latest go on with a run by name",
)
@plan_argument
@runs_option
@workspace_option
@click.option("--fresh", is_flag=True, help="Start anew, even if a run of this plan is unfinished.")
@click.option("--resume", metavar="RUN", help="Go on with this run: a path, an id, or 'latest'.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, nothing else.")
def command(
    plan_path: Path,
    scale: Fraction,
    only: str,
    runs: Path,
    workspace: Path,
    fresh: bool,
    resume: str | None,
    as_json: bool,
) -> None:
    """Run the cells of PLAN, each on a fresh private instance, and write the report.

    A run that was interrupted or killed is gone on with: the same command
    again runs only the cells that are not committed yet. Exit code 3 or 7 if
    a system has no cell that counts.
    """
    if fresh and resume:
        raise PlanError("--fresh and --resume exclude each other")
    console = Console(stderr=as_json)
    plan = config.load(plan_path, scale=scale, only=split_only(only))
    found = preflight.check(plan)
    workspace = prepared(workspace)
    run = _chosen_run(plan, runs, workspace, fresh, resume, split_only(only), console)
    began = time.monotonic()
    tally = campaign.perform(run, plan, workspace, console, found.left_out)
    taken = format_seconds(time.monotonic() - began)
    counts = ", ".join(f"{count} {kind.value}" for kind, count in sorted(tally.ended.items()))
    if tally.not_run:
        counts = f"{counts or 'none ended'}; {tally.not_run} not run, the same command tries again"
    console.print(
        f"{sum(tally.ended.values())} cells in {taken}: {counts or 'none were left to run'}",
        highlight=False,
    )
    figures = rows(run)
    report = write_report(run, figures)
    ran = census_of(run)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": run.header.run_id,
                    "directory": str(run.root),
                    "report": str(report),
                    "resumed_cells": tally.resumed,
                    "cells": {kind.value: tally.ended.get(kind, 0) for kind in OutcomeKind},
                    "not_run_cells": tally.not_run,
                    "coverage": ran.as_dict(),
                }
            )
        )
    else:
        print_findings(run, figures, console)
        print_ran(ran, console)
        console.print(f"\nreport: {report}", soft_wrap=True, highlight=False)
    _refuse_if_nothing_counts(run)


def _chosen_run(
    plan: config.Plan,
    runs: Path,
    workspace: Path,
    fresh: bool,
    resume: str | None,
    only: tuple[str, ...],
    console: Console,
) -> Run:
    """Return the run to go on with, or a new one; never one that was begun on an unlike host."""
    run = _resumed(plan, runs, workspace, resume) if resume else None
    if resume is None and not fresh:
        run = _unfinished(plan, runs, workspace, console)
    if run is None:
        other = None if fresh else campaign.of_changed_plan(runs, plan, only)
        if other is not None:
            console.print(
                f"{other.header.run_id} is not finished ({len(other.committed_ids())} of "
                f"{len(other.header.cell_ids)} cells), but the plan was changed since: not going "
                f"on with it. It keeps its plan: deduplab run {other.root / 'plan.toml'}",
                highlight=False,
                soft_wrap=True,
            )
        run = campaign.new_run(runs, plan, workspace, only)
        console.print(f"run {run.header.run_id}: {len(run.header.cell_ids)} cells", highlight=False)
    return run


def _resumed(plan: config.Plan, runs: Path, workspace: Path, name: str) -> Run:
    """Return the run that was named.

    Raises
    ------
    PlanError
        If it was made from another plan or in another environment.
    """
    run = find_run(runs, name)
    if run.header.plan_digest != plan.digest:
        raise PlanError(
            f"run {run.header.run_id} was made from another plan, scale or --only; "
            "its cells would not be comparable; name the plan it was made from, or drop "
            "--resume"
        )
    if differing := campaign.unlike(run, plan, workspace):
        raise PlanError(
            f"{_begun_elsewhere(run, differing)}: its cells would not be comparable; drop --resume"
        )
    return run


def _unfinished(plan: config.Plan, runs: Path, workspace: Path, console: Console) -> Run | None:
    """Return the newest unfinished run of this plan that was begun on a host like this, or None."""
    for run in campaign.unfinished_runs(runs, plan):
        if differing := campaign.unlike(run, plan, workspace):
            words = f"{_begun_elsewhere(run, differing)}: not going on with it"
            console.print(words, highlight=False, soft_wrap=True)
            continue
        console.print(
            f"going on with {run.header.run_id}: {len(run.committed_ids())} of "
            f"{len(run.header.cell_ids)} cells are committed (--fresh starts anew)",
            highlight=False,
            soft_wrap=True,
        )
        return run
    return None


def _begun_elsewhere(run: Run, differing: list[str]) -> str:
    return f"{run.header.run_id} was begun in another environment ({'; '.join(differing)})"


def _refuse_if_nothing_counts(run: Run) -> None:
    """Raise if some system has no cell that counts, so that a script notices.

    Raises
    ------
    SystemUnavailable, OperationFailed
        With the first reason of each such system.
    """
    reasons: dict[str, str] = {}
    sound: set[str] = set()
    for result in run.cells():
        name = f"{result.cell.system}/{result.cell.variant}"
        if result.outcome.ok:
            sound.add(name)
        else:
            reasons.setdefault(name, f"{name}: {result.outcome.reason}")
    why = run.not_run()
    for planned in run.header.planned:
        if planned.cell_id in why:
            name = f"{planned.system}/{planned.variant}"
            reasons.setdefault(name, f"{name}: not run: {why[planned.cell_id]}")
    lost = [reason for name, reason in sorted(reasons.items()) if name not in sound]
    if lost:
        unavailable = any("SystemUnavailable" in one or ": not run: " in one for one in lost)
        kind = SystemUnavailable if unavailable else OperationFailed
        raise kind("no cell counts of\n  " + "\n  ".join(lost))
