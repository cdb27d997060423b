"""``deduplab clean``."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from deduplab.cli.agreed import agreed
from deduplab.cli.options import runs_option, workspace_option
from deduplab.errors import StoreError
from deduplab.executors.workspace import prepared, sweep
from deduplab.runs_folder import find_run
from deduplab.units import format_bytes


@click.command(
    "clean",
    short_help="Remove what was left behind.",
    epilog="Examples:\n\n\b\n"
    "  deduplab clean                              instances of killed runs\n"
    "  deduplab clean --run quick-20261123T2150    also this run's results\n"
    "  deduplab clean --run latest --yes           without being asked",
)
@runs_option
@workspace_option
@click.option("--run", "names", metavar="RUN", multiple=True, help="Delete this run's results too.")
@click.option("--yes", is_flag=True, help="Do not ask before results are deleted.")
def command(runs: Path, workspace: Path, names: tuple[str, ...], yes: bool) -> None:
    """Remove instances whose run was killed, end what still runs in them, and nothing else.

    Results are deleted only where a run is named with --run.
    """
    ended, removed = sweep(prepared(workspace))
    click.echo(f"{removed} abandoned instances removed, {ended} processes ended")
    # All of them before the first is deleted: after that 'latest' would be another one.
    named = {run.root: run for run in (find_run(runs, name) for name in names)}
    for run in named.values():
        size_bytes = sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())
        question = f"delete run {run.header.run_id} ({format_bytes(size_bytes)})?"
        if not yes and not agreed(question):
            continue
        with run.locked():
            try:
                shutil.rmtree(run.root)
            except OSError as error:
                raise StoreError(f"run {run.header.run_id} can't be deleted: {error}") from error
        click.echo(f"run {run.header.run_id} deleted")
