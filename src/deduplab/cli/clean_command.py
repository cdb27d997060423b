"""``deduplab clean``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from deduplab.cli.agreed import agreed
from deduplab.cli.campaign import is_finished
from deduplab.cli.options import runs_option, split_only, workspace_option
from deduplab.errors import DeduplabError, PlanError, StoreError
from deduplab.executors.workspace import prepared, sweep
from deduplab.exports.catalogue import open_target
from deduplab.exports.receipts import standing
from deduplab.exports.still_there import require_still_there
from deduplab.exports.target import Target
from deduplab.runs_folder import find_run, remove_left, remove_run, run_directories
from deduplab.store import Run
from deduplab.units import format_bytes

_DAY_NS = 86_400 * 10**9


@click.command(
    "clean",
    short_help="Remove what was left behind.",
    epilog="Examples:\n\n\b\n"
    "  deduplab clean                              instances of killed runs\n"
    "  deduplab clean --plan lab.toml              also our namespaces at its remote servers\n"
    "  deduplab clean --exported --yes             also finished runs that were exported\n"
    "  deduplab clean --exported --to /srv/results --older-than 30 --yes\n"
    "  deduplab clean --run quick-20261123T2150    also this run's results\n"
    "  deduplab clean --run latest --yes --unexported-too",
)
@runs_option
@workspace_option
@click.option(
    "--plan",
    "plan_path",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="Drop what bears our marker at the remote servers of this plan, too.",
)
@click.option(
    "--only",
    metavar="SYSTEM,...",
    default="",
    help="With --plan: only at these systems of it.",
)
@click.option("--run", "names", metavar="RUN", multiple=True, help="Delete this run's results too.")
@click.option("--exported", is_flag=True, help="Delete every run that is finished and exported.")
@click.option(
    "--to",
    "targets",
    metavar="TARGET",
    multiple=True,
    help="With --exported: only what lies at this target too, read once more from there now.",
)
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    default=0.0,
    help="With --exported: only runs that were begun so many days ago.",
)
@click.option("--yes", is_flag=True, help="Do not ask before results are deleted.")
@click.option(
    "--unexported-too",
    is_flag=True,
    help="With --run and --yes: delete a run though it is not exported.",
)
def command(
    runs: Path,
    workspace: Path,
    plan_path: Path | None,
    only: str,
    names: tuple[str, ...],
    exported: bool,
    targets: tuple[str, ...],
    days: float,
    yes: bool,
    unexported_too: bool,
) -> None:
    """Remove instances whose run was killed, end what still runs in them, and nothing else.

    Results are deleted only where they are asked for by --run or --exported. What is exported
    is told by the run's receipts (see 'deduplab export') and by its files, which are summed
    anew: a run that has changed since counts as not exported. Exit code 5 if --exported leaves
    a run for that; runs that are not finished stay, since they are gone on with.
    """
    if exported and names:
        raise PlanError("--run names runs, --exported finds them; say one of them")
    if (targets or days) and not exported:
        raise PlanError("--to and --older-than are of --exported")
    opened = [open_target(text) for text in targets]
    ended, removed = sweep(prepared(workspace))
    click.echo(f"{removed} abandoned instances removed, {ended} processes ended")
    if plan_path is not None:
        _clean_remotes(plan_path, split_only(only), workspace)
    remove_left(runs)
    if exported:
        _remove_exported(runs, opened, days, yes=yes)
        return
    # All of them before the first is deleted: after that 'latest' would be another one.
    named = {run.root: run for run in (find_run(runs, name) for name in names)}
    for run in named.values():
        _remove_named(run, yes=yes, unexported_too=unexported_too)


def _clean_remotes(plan_path: Path, only: tuple[str, ...], workspace: Path) -> None:
    """Drop the lab's namespaces at the remote systems of a plan."""
    from deduplab import config
    from deduplab.bench.matrix import cells
    from deduplab.bench.remote_systems import drop_namespaces, of_remote_systems

    for cell in of_remote_systems(cells(config.load(plan_path, only=only))):
        assert cell.remote is not None
        drop_namespaces(cell, workspace)
        click.echo(f"{cell.system} at {cell.remote.host}: no namespace of ours is left")


def _remove_named(run: Run, *, yes: bool, unexported_too: bool) -> None:
    with run.locked():
        reason = "" if unexported_too else standing(run).reason
        if reason and yes:
            raise StoreError(
                f"run {run.header.run_id} is not deleted: {reason}. Export it first, say "
                "--unexported-too, or leave out --yes to be asked"
            )
        if yes or agreed(f"delete {_described(run)}{f', though {reason}' if reason else ''}?"):
            remove_run(run)
            click.echo(f"run {run.header.run_id} deleted")


def _remove_exported(runs: Path, targets: list[Target], days: float, *, yes: bool) -> None:
    """Delete what is finished, old enough, and wholly exported; tell why the others stay."""
    refused = []
    for directory in run_directories(runs):
        try:
            run = Run.open(directory)
            if time.time_ns() - run.header.created_unix_ns < days * _DAY_NS:
                continue
            if not is_finished(run):
                click.echo(f"run {run.header.run_id} stays: it is not finished")
                continue
            with run.locked():
                require_still_there(run, targets)
                if yes or agreed(f"delete {_described(run)}, which was exported?"):
                    remove_run(run)
                    click.echo(f"run {run.header.run_id} deleted")
        except DeduplabError as error:
            refused.append(error)
            click.echo(f"run {directory.name} stays: {error}")
    if refused:
        raise StoreError(f"runs that are not wholly exported stay: {len(refused)}, see above")


def _described(run: Run) -> str:
    size_bytes = sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())
    return f"run {run.header.run_id} ({format_bytes(size_bytes)})"
