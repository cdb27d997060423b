"""``deduplab list``."""

from __future__ import annotations

import json
import tomllib
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deduplab import registry
from deduplab.cli import shipped
from deduplab.cli.options import runs_option
from deduplab.datasets import PAYLOADS
from deduplab.errors import StoreError
from deduplab.exports.receipts import read_receipts
from deduplab.runs_folder import run_directories
from deduplab.store import Run

_WHAT = ("systems", "variants", "payloads", "plans", "runs")

Rows = list[dict[str, str]]


@click.command(
    "list",
    short_help="List what there is.",
    epilog="Examples:\n\n\b\n  deduplab list systems\n  deduplab list runs --json",
)
@click.argument("what", metavar="[WHAT]", type=click.Choice(_WHAT), required=False)
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str | None, runs: Path, as_json: bool) -> None:
    """List WHAT: systems, variants, payloads, plans or runs; all of them without WHAT."""
    console = Console()
    found = {name: _rows(name, runs) for name in ([what] if what else _WHAT)}
    if as_json:
        click.echo(json.dumps(found[what] if what else found, indent=2))
        return
    for name, rows in found.items():
        console.print(_table(name, rows))


def _rows(what: str, runs: Path) -> Rows:
    if what == "systems":
        return [
            {
                "system": entry.name,
                "kind": entry.kind,
                "driver": _driver(entry),
                "summary": entry.summary,
            }
            for entry in registry.systems().values()
        ]
    if what == "variants":
        return [
            {"system": entry.name, "variant": variant.name, "summary": variant.summary}
            for entry in registry.systems().values()
            for variant in entry.capabilities().variants
        ]
    if what == "payloads":
        return [{"payload": name, "summary": payload.summary} for name, payload in PAYLOADS.items()]
    return _plans() if what == "plans" else _runs(runs)


def _driver(entry: registry.SystemEntry) -> str:
    if not entry.driver:
        return "none needed"
    if find_spec(entry.driver) is None:
        return f"missing: pip install 'deduplab[{entry.extra}]'"
    return entry.driver


def _plans() -> Rows:
    rows = []
    here = sorted(Path(shipped.PLANS).glob("*.toml"))
    for path in here or sorted(shipped.folder(shipped.PLANS).glob("*.toml")):
        try:
            name = tomllib.loads(path.read_text()).get("name", "?")
        except (OSError, ValueError) as error:
            name = f"can't be read: {error}"
        rows.append({"plan": str(path), "name": str(name)})
    return rows


def _runs(runs: Path) -> Rows:
    rows = []
    for directory in run_directories(runs):
        try:
            run = Run.open(directory)
            done = len(run.committed_ids())
            exported = _exported(directory, done)
        except StoreError as error:
            failed = {"plan": "?", "cells": str(error), "exported": "?"}
            rows.append({"run": directory.name, **failed})
            continue
        rows.append(
            {
                "run": directory.name,  # what other commands find it by, if it was renamed too
                "plan": run.header.plan_name,
                "cells": f"{done}/{len(run.header.cell_ids)}",
                "exported": exported,
            }
        )
    return rows


def _exported(directory: Path, cells: int) -> str:
    """Say where a run was exported to, by its receipts alone; no file of it is summed."""
    told = []
    for receipt in read_receipts(directory):
        part = "" if receipt.whole else " (a part)"
        if receipt.cells != cells:
            part = f" ({receipt.cells} of {cells} cells)"
        told.append(f"{receipt.target}{part}")
    return ", ".join(told) or "no"


def _table(name: str, rows: Rows) -> Table:
    table = Table(title=name, title_justify="left")
    if not rows:
        table.add_column(f"no {name} here")
        return table
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table
