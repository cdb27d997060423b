"""``deduplab scan --on-disk RUN``: what the files of a run's cells held, as it was measured."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deduplab.analysis import export_json, rows
from deduplab.analysis.on_disk import COPIES, RATIO
from deduplab.analysis.row import Row
from deduplab.cell import shown_system
from deduplab.cli.whole_tables import print_whole
from deduplab.errors import PlanError
from deduplab.store import Run
from deduplab.units import KIB


def show_run(directory: Path, *, as_json: bool) -> None:
    """Print what was found in the files of each system of a run after bulk, at rest.

    Raises
    ------
    PlanError
        If the files of its cells were not scanned.
    """
    run = Run.open(directory)
    found = [row for row in rows(run) if row.metric.startswith((f"{RATIO}:", COPIES))]
    if not found:
        raise PlanError(
            f"the files of run {run.header.run_id} were not scanned while they were there; set "
            "'on_disk = true' in the plan and run it, or name a system's data directory"
        )
    if as_json:
        click.echo(export_json(found), nl=False)
        return
    print_whole(Console(), _table(found))


def _table(found: list[Row]) -> Table:
    metrics = list(dict.fromkeys(row.metric for row in found))
    table = Table(
        box=None,
        title="what lies twice in the files after bulk: length / unique bytes, by grain",
        title_justify="left",
        caption="copies: whole payloads found as they are / objects stored",
        caption_justify="left",
    )
    for heading in ("system", "data"):
        table.add_column(heading, overflow="fold")
    for metric in metrics:
        table.add_column(_heading(metric), justify="right")
    points: dict[tuple[str, str], dict[str, Row]] = {}
    for row in found:
        system = shown_system(row.system, row.variant)
        distance = f" {row.distance}" if row.grade_asked != "U0" else ""
        point = (system, f"{row.payload} {row.grade_asked}{distance}")
        points.setdefault(point, {})[row.metric] = row
    for point, by_metric in points.items():
        table.add_row(*point, *(_value(by_metric.get(metric)) for metric in metrics))
    return table


def _heading(metric: str) -> str:
    """Return a short heading: ``fixed 4K`` for a grain, ``copies`` else."""
    _, _, grain = metric.partition(":")
    if not grain:
        return "copies"
    cut, _, size_bytes = grain.partition("-")
    return f"{cut} {int(size_bytes) // KIB}K"


def _value(row: Row | None) -> str:
    return "–" if row is None or row.value is None else f"{row.value:.2f}"
