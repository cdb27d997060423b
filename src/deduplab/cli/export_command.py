"""``deduplab export``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deduplab.cli.options import runs_option
from deduplab.errors import DeduplabError, PlanError, StoreError
from deduplab.exports.archive import RUN, ArchiveTarget
from deduplab.exports.catalogue import open_target
from deduplab.exports.content import gathered
from deduplab.exports.export import Exported, What, export, worded
from deduplab.exports.target import Target
from deduplab.runs_folder import find_run, run_directories
from deduplab.store import Run
from deduplab.units import format_bytes

_OUTCOMES = {
    What.WRITTEN: "written and read back",
    What.RENEWED: "an earlier export renewed, and read back",
    What.THERE: "there already, read back whole: nothing was written",
}


@click.command(
    "export",
    short_help="Bring runs to where others read them.",
    epilog="Examples:\n\n\b\n"
    "  deduplab export latest --to /srv/results\n"
    "  deduplab export latest --to '{run}.tar.gz'          the same bytes for the same run\n"
    "  deduplab export --all \\\n"
    "      --to 's3://lab/runs?endpoint=https://s3.example.org&access_key=lab&secret=env:LAB_S3'\n"
    "  deduplab export --to 'git+ssh://git@example.org/lab/results.git?branch=runs'\n"
    "  deduplab export --check --to /srv/results           can it be reached? writes nothing\n"
    "  (cd /srv/results/RUN && sha256sum -c SHA256SUMS)    without deduplab\n"
    "  deduplab report /srv/results/RUN -o page.html       an export is a run as well",
)
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Export every run of --runs.")
@click.option(
    "--to",
    "targets",
    metavar="TARGET",
    multiple=True,
    required=True,
    help="A directory, an archive (.tar.gz, .zip), a bare Git repository, s3://, git+ssh:// or "
    "git+https://; may be given several times.",
)
@runs_option
@click.option(
    "--damaged-too", is_flag=True, help="Take damaged runs as they are, without figures of them."
)
@click.option(
    "--check", is_flag=True, help="Only ask each target whether it can be reached; write nothing."
)
@click.option("--without-parquet", is_flag=True, help="Write figures as CSV alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, nothing else.")
def command(
    names: tuple[str, ...],
    every: bool,
    targets: tuple[str, ...],
    runs: Path,
    damaged_too: bool,
    check: bool,
    without_parquet: bool,
    as_json: bool,
) -> None:
    """Export RUNs (paths, ids, or 'latest'): report, figures, raw results, traces, checksums.

    Without RUN it is the latest. What was written is read back and compared with its SHA256SUMS;
    only then a receipt is kept in the run, by which 'deduplab clean --exported' knows it. Saying
    it twice writes nothing. What another run left at a target is never replaced.

    Cells that do not count, and those that were not run, go along as what they are. Larger
    files than 1 MiB are not committed to Git (largest=SIZE in its address).
    """
    opened = [open_target(text) for text in targets]
    if check:
        _check(opened, as_json=as_json)
        return
    found = _chosen(runs, names, every=every)
    _check_archives(opened, len(found))
    console = Console(stderr=as_json)
    done: list[Exported | _Failure] = []
    for run in found:
        for one in _exported(run, opened, damaged_too=damaged_too, parquet=not without_parquet):
            done.append(one)
            console.print(_words(one), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        click.echo(json.dumps([_as_dict(one) for one in done], indent=2))
    failures = [one for one in done if isinstance(one, _Failure)]
    if failures:
        error = failures[0].error
        raise type(error)(f"{len(failures)} of {len(done)} exports failed, the first: {error}")


@dataclass(frozen=True, slots=True)
class _Failure:
    """An export that came to nothing; without a target where none was tried."""

    run_id: str
    target: str
    error: DeduplabError


def _exported(
    run: Run, targets: list[Target], *, damaged_too: bool, parquet: bool
) -> Iterator[Exported | _Failure]:
    """Export a run to every target, whatever becomes of the others."""
    run_id = run.header.run_id
    try:
        with run.locked(), gathered(run, damaged_too=damaged_too, parquet=parquet) as content:
            for target in targets:
                try:
                    yield export(run, content, target)
                except DeduplabError as error:
                    yield _Failure(run_id, target.shown, error)
    except DeduplabError as error:
        yield _Failure(run_id, "", error)


def _check(targets: list[Target], *, as_json: bool) -> None:
    """Ask every target; one that can't be reached is an error."""
    for target in targets:
        with worded(target):
            target.check()
        if not as_json:
            click.echo(f"{target.shown}: can be reached")
    if as_json:
        click.echo(json.dumps([{"target": target.shown, "reached": True} for target in targets]))


def _chosen(runs: Path, names: tuple[str, ...], *, every: bool) -> list[Run]:
    """Return the runs that were named, each once."""
    if every and names:
        raise PlanError("name runs, or all of them by --all")
    if not every:
        named = [find_run(runs, name) for name in names or ("latest",)]
        return list({run.root.resolve(): run for run in named}.values())
    directories = run_directories(runs)
    if not directories:
        raise StoreError(f"no runs in {runs}, so there is nothing to export")
    return [Run.open(directory) for directory in directories]


def _check_archives(targets: list[Target], count: int) -> None:
    for target in targets:
        if count > 1 and isinstance(target, ArchiveTarget) and not target.takes_several:
            raise PlanError(
                f"{target.shown} is one archive for {count} runs; write '{RUN}' in its name, which "
                "stands for the run"
            )


def _words(done: Exported | _Failure) -> str:
    if isinstance(done, _Failure):
        return f"{done.run_id}: not exported: {done.error}"
    receipt = done.receipt
    words = f"{receipt.files} files, {format_bytes(receipt.total_bytes)}"
    if receipt.left_out:
        words += f" ({receipt.left_out} larger ones of the run left out)"
    if receipt.damaged:
        words += f" ({receipt.damaged} damaged cells, so no figures)"
    if receipt.cells < receipt.planned_cells:
        words += f" (not finished: {receipt.cells} of {receipt.planned_cells} cells)"
    remark = f" ({done.remark})" if done.remark else ""
    return f"{receipt.run_id}: {words} -> {receipt.target}: {_OUTCOMES[done.what]}{remark}"


def _as_dict(done: Exported | _Failure) -> dict[str, Any]:
    if isinstance(done, _Failure):
        told = {"run_id": done.run_id, "target": done.target, "reason": str(done.error)}
        return {"outcome": "failed", **told}
    return {"outcome": done.what.value, **dataclasses.asdict(done.receipt)}
