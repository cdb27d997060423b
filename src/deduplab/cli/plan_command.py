"""``deduplab plan``."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.estimate import Estimate, estimate
from deduplab.cli.options import plan_argument, split_only
from deduplab.model import Cell
from deduplab.units import format_bytes, format_seconds


@click.command(
    "plan",
    short_help="Show a plan.",
    epilog="Examples:\n\n"
    "\b\n"
    "  deduplab plan plans/quick.toml\n"
    "  deduplab plan plans/quick.toml --scale 100 --cells\n"
    "  deduplab plan plans/quick.toml --json",
)
@plan_argument
@click.option("--cells", "show_cells", is_flag=True, help="Show every cell, in execution order.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every cell.")
def command(plan_path: Path, scale: int, only: str, show_cells: bool, as_json: bool) -> None:
    """Check PLAN and show its cells, logical bytes, disk needed and a time estimate.

    Nothing is started. A plan with an unknown name or key is refused with its
    line and the nearest valid name (exit code 2).
    """
    plan = config.load(plan_path, scale=scale, only=split_only(only))
    cells = matrix.cells(plan)
    matrix.check_datasets(cells)
    expected = estimate(plan, cells)
    if as_json:
        rows = [{"cell_id": cell.cell_id, **dataclasses.asdict(cell)} for cell in cells]
        click.echo(
            json.dumps(
                {
                    "plan": plan.name,
                    "digest": plan.digest,
                    "estimate": dataclasses.asdict(expected),
                    "cells": rows,
                },
                indent=2,
            )
        )
        return
    console = Console()
    console.print(_per_system(plan, cells))
    if show_cells:
        for number, cell in enumerate(cells, start=1):
            console.print(f"{number:5}  {cell.cell_id}  {cell.label}", highlight=False)
    _print_estimate(console, plan, expected)


def _per_system(plan: config.Plan, cells: tuple[Cell, ...]) -> Table:
    counts = Counter((cell.system, cell.variant) for cell in cells)
    table = Table(title=f"plan {plan.name}", title_justify="left")
    for heading in ("system", "variant", "delete", "reclaim"):
        table.add_column(heading)
    table.add_column("repetitions", justify="right")
    table.add_column("cells", justify="right")
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
        (
            "one dataset",
            f"{format_bytes(plan.logical_bytes * plan.scale)} in objects of "
            f"{format_bytes(plan.object_bytes)}",
        ),
        ("cells", f"{expected.cells} with {expected.stages} stages"),
        ("logical bytes", f"{format_bytes(expected.logical_bytes)} handed over in all"),
        ("disk needed", f"{format_bytes(expected.disk_bytes)} at most at a time"),
        ("time", f"about {format_seconds(expected.duration_s)}"),
    ):
        table.add_row(name, value)
    console.print(table)


def _distance(distance: str | int | tuple[int, ...]) -> str:
    if isinstance(distance, tuple):
        return " and ".join(map(format_bytes, distance))
    return distance if isinstance(distance, str) else format_bytes(distance)
