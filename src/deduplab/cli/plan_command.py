"""``deduplab plan``."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deduplab import config
from deduplab.bench import preflight
from deduplab.bench.estimate import Estimate, duration_s, estimate
from deduplab.cell import Cell
from deduplab.cli.campaign import measured_s, unfinished_runs
from deduplab.cli.options import plan_argument, runs_option, split_only, workspace_option
from deduplab.cli.progress import TimeLeft
from deduplab.cli.whole_tables import print_whole
from deduplab.units import format_bytes, format_rate, format_seconds


@click.command(
    "plan",
    short_help="Show a plan.",
    epilog="Examples:\n\n"
    "\b\n"
    "  deduplab plan plans/quick.toml\n"
    "  deduplab plan plans/quick.toml --scale 100 --cells\n"
    "  deduplab plan plans/seed-864.toml --scale 1/1024\n"
    "  deduplab plan plans/quick.toml --json\n"
    "  deduplab plan plans/quick.toml --check        could it run here and now?",
)
@plan_argument
@runs_option
@workspace_option
@click.option(
    "--check",
    "as_check",
    is_flag=True,
    help="Try what it needs: data, disks, secrets, volumes, each system. Measures nothing.",
)
@click.option("--cells", "show_cells", is_flag=True, help="Show every cell, in execution order.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every cell.")
def command(
    plan_path: Path,
    scale: Fraction,
    only: str,
    runs: Path,
    workspace: Path,
    as_check: bool,
    show_cells: bool,
    as_json: bool,
) -> None:
    """Check PLAN and show its cells, logical bytes, disk needed and a time estimate.

    Nothing is started but by --check, which ends with the exit code that a run would end with
    if something is missing. Where a run of exactly this is unfinished, the time left is told by
    what its cells took. A plan with an unknown name or key is refused with its
    line and the nearest valid name (exit code 2).
    """
    plan = config.load(plan_path, scale=scale, only=split_only(only))
    if as_check:
        _check(plan, runs, workspace, as_json=as_json)
        return
    found = preflight.check(plan)
    cells = found.cells
    expected = estimate(cells)
    if as_json:
        rows = [{"cell_id": cell.cell_id, **dataclasses.asdict(cell)} for cell in cells]
        click.echo(
            json.dumps(
                {
                    "plan": plan.name,
                    "digest": plan.digest,
                    "estimate": dataclasses.asdict(expected),
                    "not_run": found.left_out,
                    "cells": rows,
                },
                indent=2,
            )
        )
        return
    console = Console()
    print_whole(console, _per_system(plan, cells))
    if show_cells:
        for number, cell in enumerate(cells, start=1):
            console.print(
                f"{number:5}  {cell.cell_id}  {cell.label}", highlight=False, soft_wrap=True
            )
    _print_estimate(console, plan, expected)
    for reason, count in Counter(found.left_out.values()).items():
        console.print(f"not run: {count} cells: {reason}", markup=False, highlight=False)
    for line in _measured(runs, plan, cells):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _check(plan: config.Plan, runs: Path, workspace: Path, *, as_json: bool) -> None:
    """Tell what the plan needs as it is tried.

    Raises
    ------
    DeduplabError
        The first of what would end a run.
    """
    from deduplab.cli.plan_check import checks

    console = Console(stderr=as_json)
    found = []
    for one in checks(plan, runs, workspace):
        found.append(one)
        words = f"{'ok' if one.ok else 'FAILED':6}  {one.name:16}  {one.detail}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    errors = [one.error for one in found if one.error]
    if as_json:
        rows = [{"check": one.name, "ok": one.ok, "detail": one.detail} for one in found]
        click.echo(json.dumps({"plan": plan.name, "can_run": not errors, "checks": rows}, indent=2))
    if errors:
        raise type(errors[0])(f"plan {plan.name} can't run here: {errors[0]}")


def _measured(runs: Path, plan: config.Plan, cells: tuple[Cell, ...]) -> Iterator[str]:
    """Word how far the unfinished run of this plan is, and what is left by what its cells took."""
    unfinished = unfinished_runs(runs, plan)
    if not unfinished:
        return
    run = unfinished[0]
    committed = run.committed_ids()
    waiting = [cell for cell in cells if cell.cell_id not in committed]
    left_s = TimeLeft(waiting, duration_s, measured_s(run)).left_s()
    yield (
        f"unfinished: {run.header.run_id}, {len(committed)} of {len(cells)} cells are committed; "
        f"about {format_seconds(left_s)} are left by what they took"
    )


def _per_system(plan: config.Plan, cells: tuple[Cell, ...]) -> Table:
    counts = Counter((cell.system, cell.variant) for cell in cells)
    # Without lines, so that it fits into 80 columns.
    table = Table(
        title=f"plan {plan.name}", title_justify="left", box=None, pad_edge=False,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    for heading in ("system", "variant", "delete"):
        table.add_column(heading, no_wrap=True)
    table.add_column("reclaim")  # the only one that may take several lines
    for heading in ("times", "cells"):
        table.add_column(heading, justify="right", no_wrap=True)
    for system in plan.systems:
        for variant in system.variants:
            table.add_row(
                system.name,
                variant,
                system.delete_mode,
                ", ".join(system.reclaim_modes) or "none",
                str(system.repetitions),
                str(counts[system.name, variant]),
            )
    return table


def _print_estimate(console: Console, plan: config.Plan, expected: Estimate) -> None:
    distances = ", ".join(map(_distance, plan.distances))
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("payloads", ", ".join(plan.payloads)),
        ("grades", ", ".join(f"U{grade}" for grade in plan.grades)),
        ("distances", distances),
        ("stages", " > ".join(plan.stages)),
        *_rates(plan),
        *_clients(plan),
        *_replicas(plan),
        (
            "one dataset",
            f"{format_bytes(plan.dataset_bytes)} in objects of {format_bytes(plan.object_bytes)}",
        ),
        ("cells", f"{expected.cells} with {expected.stages} stages"),
        ("logical bytes", f"{format_bytes(expected.logical_bytes)} handed over in all"),
        ("disk needed", f"{format_bytes(expected.disk_bytes)} at most at a time"),
        ("time", f"about {format_seconds(expected.duration_s)}"),
    ):
        table.add_row(name, value)
    console.print(table)


def _rates(plan: config.Plan) -> Iterator[tuple[str, str]]:
    """Word at which rates operations are offered; nothing where all loops are closed."""
    rates = list(dict.fromkeys(rate for system in plan.systems for rate in system.rates))
    if rates == [None]:
        return
    words = ", ".join("closed loop" if rate is None else format_rate(rate) for rate in rates)
    yield "rates", f"{words}; {plan.arrivals} arrivals, in insert, read and delete by row"


def _clients(plan: config.Plan) -> Iterator[tuple[str, str]]:
    """Word how many clients there are; nothing where it is one everywhere."""
    numbers = list(dict.fromkeys(one for system in plan.systems for one in system.clients))
    if numbers != [1]:
        words = ", ".join(map(str, numbers))
        yield "clients", f"{words}, as processes, in insert, read and delete by row"


def _replicas(plan: config.Plan) -> Iterator[tuple[str, str]]:
    """Word how many physical copies are kept; nothing where it is one everywhere."""
    numbers = list(dict.fromkeys(one for system in plan.systems for one in system.replicas))
    if numbers != [1]:
        yield "replicas", f"{', '.join(map(str, numbers))} physical copies of everything"


def _distance(distance: str | int | tuple[int, ...]) -> str:
    if isinstance(distance, tuple):
        return " and ".join(map(format_bytes, distance))
    return distance if isinstance(distance, str) else format_bytes(distance)
