"""``deduplab run``."""

from __future__ import annotations

import json
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import click
import msgspec
from rich.console import Console

from deduplab import config
from deduplab.analysis import Figures
from deduplab.bench import preflight
from deduplab.cli import campaign
from deduplab.cli.findings import print_findings, write_report
from deduplab.cli.options import plan_argument, runs_option, split_only, workspace_option
from deduplab.cli.ran import print_ran
from deduplab.cli.run_choice import Asked, chosen_run
from deduplab.cli.shipped import here_or_shipped
from deduplab.cli.sinks_choice import NO_ANSWER, print_deliveries, telling
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.executors.workspace import prepared
from deduplab.model import OutcomeKind
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
    "  deduplab run plans/quick.toml --resume latest go on with a run by name\n"
    "  deduplab run plans/quick.toml --again         measure anew what does not count\n"
    "  deduplab run plans/quick.toml --sinks examples/sinks.toml   watch it from elsewhere",
)
@plan_argument
@runs_option
@workspace_option
@click.option("--fresh", is_flag=True, help="Start anew, even if a run of this plan is unfinished.")
@click.option("--resume", metavar="RUN", help="Go on with this run: a path, an id, or 'latest'.")
@click.option(
    "--again",
    is_flag=True,
    help="Measure what is FAILED, INVALID or damaged in the latest run of this plan (or in that "
    "of --resume) anew; what it was is set aside, and what is OK stays.",
)
@click.option(
    "--reuse",
    is_flag=True,
    help="Begin a new run with all cells that earlier runs of other plans measured here with the "
    "same inputs, in the same environment; say which are not taken over, and why.",
)
@click.option(
    "--sinks",
    type=click.Path(path_type=Path),
    callback=lambda context, option, path: path and here_or_shipped(context, option, path),
    metavar="FILE",
    envvar="DEDUPLAB_SINKS",
    help="Tell samples and results while they are taken, to a Kafka topic, Prometheus, a "
    "Pushgateway or a file, as this file of sinks says (also $DEDUPLAB_SINKS).",
)
@click.option(
    "--once",
    is_flag=True,
    help="Begin no other run where one of exactly this plan is finished: report it again. For "
    "whatever may start the same command twice.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, nothing else.")
def command(
    plan_path: Path,
    scale: Fraction,
    only: str,
    runs: Path,
    workspace: Path,
    fresh: bool,
    resume: str | None,
    again: bool,
    reuse: bool,
    sinks: Path | None,
    once: bool,
    as_json: bool,
) -> None:
    """Run the cells of PLAN, each on a fresh private instance, and write the report.

    A run that was interrupted or killed is gone on with: the same command
    again runs only the cells that are not committed yet. With --again it also measures
    those anew that do not count. Exit code 3 or 7 if a system has no cell that counts.
    """
    console = Console(stderr=as_json)
    systems = split_only(only)
    plan = config.load(plan_path, scale=scale, only=systems)
    asked = Asked(plan, systems, runs, workspace, fresh, resume, again, reuse, once)
    found = preflight.check(plan)
    workspace = prepared(workspace)
    with telling(sinks, plan) as relay:
        run = chosen_run(asked, console)
        began = time.monotonic()
        tally = campaign.perform(
            run,
            plan,
            workspace,
            console,
            found.left_out,
            again=again,
            feed=relay.feed if relay else None,
        )
    deliveries = relay.deliveries if relay else ()
    if relay and not deliveries:
        console.print(f"the sinks: {NO_ANSWER}", highlight=False, soft_wrap=True)
    taken = format_seconds(time.monotonic() - began)
    counts = ", ".join(f"{count} {kind.value}" for kind, count in sorted(tally.ended.items()))
    if tally.not_run:
        counts = f"{counts or 'none ended'}; {tally.not_run} not run, the same command tries again"
    console.print(
        f"{sum(tally.ended.values())} cells in {taken}: {counts or 'none were left to run'}",
        highlight=False,
    )
    print_deliveries(deliveries, console)
    figures = Figures.of(run)
    report = write_report(figures)
    ran = figures.census
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
                    "set_aside_cells": tally.set_aside,
                    "taken_over_cells": len(run.taken_over),
                    "not_taken_over": Counter(run.header.not_taken_over.values()),
                    "coverage": ran.as_dict(),
                    "sinks": [msgspec.to_builtins(one) for one in deliveries],
                }
            )
        )
    else:
        print_findings(figures, console)
        print_ran(ran, console)
        console.print(f"\nreport: {report}", soft_wrap=True, highlight=False)
    _refuse_if_nothing_counts(run)


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
