"""``deduplab doctor``."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deduplab import registry
from deduplab.bench.runner import Silent
from deduplab.cell import Cell, CellResult, RestSettings
from deduplab.cli.options import split_only, workspace_option
from deduplab.cli.whole_tables import print_whole
from deduplab.dataset_spec import DatasetSpec
from deduplab.errors import SystemUnavailable
from deduplab.executors.local import LocalExecutor
from deduplab.executors.workspace import prepared, sweep
from deduplab.model import Layer, Outcome, OutcomeKind, Stage
from deduplab.store import Run, RunHeader
from deduplab.versions import number_in

_COLOURS = {"ready": "green", "unavailable": "yellow", "failed": "red"}
# field -> its heading, short enough for a terminal of 80 columns
_STEPS = {
    "brought_up": "up",
    "logged_in": "auth",
    "written": "write",
    "read": "read",
    "measured": "size",
    "deleted": "del",
}
_STAGES = (Stage.BULK, Stage.INSERT, Stage.READ, Stage.DELETE, Stage.RECLAIM)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What one system could do here: ``ready``, ``unavailable`` or ``failed``, and what to do."""

    system: str
    status: str
    version: str
    source: str
    brought_up: bool
    logged_in: bool
    written: bool
    read: bool
    measured: bool
    deleted: bool
    reason: str


@click.command(
    "doctor",
    short_help="Check what works here.",
    epilog="Examples:\n\n\b\n  deduplab doctor\n  deduplab doctor postgresql,sqlite --json",
)
@click.argument("systems", metavar="[SYSTEM,...]", default="")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object a system.")
def command(systems: str, workspace: Path, as_json: bool) -> None:
    """Bring up each system, log in, write, read, measure and delete a little.

    Exit code 3 if a system that was asked for by name is not ready.
    """
    console = Console(stderr=as_json)
    workspace = prepared(workspace)
    sweep(workspace)
    named = split_only(systems)
    entries = [registry.system(name) for name in named] or list(registry.systems().values())
    found = []
    for entry in entries:
        with console.status(f"checking {entry.name}"):
            found.append(check(entry, workspace))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in found], indent=2))
    else:
        print_whole(console, _table(found))
        for row in found:
            if row.reason:
                words = f"{row.system}: {row.reason}"
                console.print(words, markup=False, highlight=False, soft_wrap=True)
    wanting = [row.system for row in found if row.status != "ready"]
    if named and wanting:
        raise SystemUnavailable(f"not ready: {', '.join(wanting)}; see above")


def check(entry: registry.SystemEntry, workspace: Path) -> Checkup:
    """Run one small cell on a system, through the same path as any measurement."""
    cell = _small_cell(entry)
    with tempfile.TemporaryDirectory(prefix="deduplab-doctor-") as directory:
        header = RunHeader("doctor", "doctor", "", 1, time.time_ns(), (cell.cell_id,))
        run = Run.create(Path(directory) / "run", header, "")
        try:
            outcome = LocalExecutor(run, workspace, (entry.name,)).execute(cell, 1, Silent())
        except SystemUnavailable as error:
            nothing = dict.fromkeys(_STEPS, False)
            return Checkup(
                entry.name, "unavailable", "", _source(entry), **nothing, reason=str(error)
            )
        return _checkup(entry, outcome, run.cell(cell.cell_id))


def _small_cell(entry: registry.SystemEntry) -> Cell:
    offers = entry.capabilities()
    bulk = DatasetSpec("random_binary", 64 * 4096, 4096, 50, "shuffled", key_prefix="b")
    return Cell(
        system=entry.name,
        variant=offers.variants[0].name,
        layout=offers.layouts[0],
        durability=offers.durability[0],
        stages=_STAGES,
        bulk=bulk,
        insert=dataclasses.replace(bulk, logical_bytes=8 * 4096, seed=2, key_prefix="i"),
        repetition=1,
        batch_bytes=16 * 4096,
        read_objects=16,
        delete_mode=offers.delete_modes[0],
        reclaim_modes=offers.reclaim_modes,
        cache="warm",
        rest=RestSettings(window_s=0.2, interval_s=0.02, deadline_s=20),
        deadline_s=60,
    )


def _checkup(entry: registry.SystemEntry, outcome: Outcome, result: CellResult) -> Checkup:
    done = {m.stage for m in result.measurements if m.outcome.ok}
    measured = result.baseline is not None and (
        result.baseline.footprint.reading(Layer.FILES) is not None
        or result.baseline.footprint.reading(Layer.ENGINE) is not None
    )
    ready = outcome.kind is OutcomeKind.OK
    return Checkup(
        system=entry.name,
        status="ready" if ready else "failed",
        version=f"{result.identity.product} {result.identity.version}" if result.identity else "",
        source=_source(entry),
        brought_up=result.identity is not None,  # an instance that could be logged in to and asked
        logged_in=result.identity is not None,
        written={Stage.BULK, Stage.INSERT} <= done,
        read=Stage.READ in done or not entry.capabilities().stores_data,
        measured=measured,
        deleted=Stage.DELETE in done,
        reason="" if ready else f"{outcome.reason}; what it needs: docs/systems, or the README",
    )


def _source(entry: registry.SystemEntry) -> str:
    if entry.source:
        return entry.source
    if not entry.driver:
        return "built in"
    try:
        return f"{entry.driver} {version(entry.driver)}"
    except PackageNotFoundError:
        return entry.driver


def _table(rows: list[Checkup]) -> Table:
    # Without lines, so that it fits into 80 columns.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("system", "status", "version"):
        table.add_column(heading, no_wrap=True)
    for heading in _STEPS.values():
        table.add_column(heading, justify="center")
    for row in rows:
        marks = ("yes" if getattr(row, step) else "no" for step in _STEPS)
        status = f"[{_COLOURS[row.status]}]{row.status}[/]"
        table.add_row(row.system, status, number_in(row.version) or row.version, *marks)
    return table
