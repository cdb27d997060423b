"""``deduplab trace``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from deduplab.cell import CellResult
from deduplab.cli.options import runs_option
from deduplab.errors import PlanError, StoreError
from deduplab.runs_folder import find_run
from deduplab.store import Run
from deduplab.trace import Trace

_STANDARD_OUTPUT = "-"


@click.command(
    "trace",
    short_help="Show the traces of a run.",
    epilog="Examples:\n\n\b\n"
    "  deduplab trace latest                        which cells have a trace\n"
    "  deduplab trace latest --cell 204d4c          one of them, stage by stage\n"
    "  deduplab trace latest --cell 204d4c --csv trace.csv\n"
    "  deduplab trace latest --cell 204d4c --csv - | head\n"
    "  deduplab trace latest --json\n"
    "  deduplab trace latest --sinks sinks.toml     send all of it, as a run would have",
)
@click.argument("run_name", metavar="[RUN]", default="latest")
@runs_option
@click.option("--cell", "cell_start", metavar="ID", help="One cell; a unique beginning of its id.")
@click.option(
    "--csv",
    "csv_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write every sample of that cell as CSV; - for standard output.",
)
@click.option(
    "--sinks",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send the samples and results of RUN to these sinks, as 'deduplab run --sinks' does while "
    "it goes on: for what was not there then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    run_name: str,
    runs: Path,
    cell_start: str | None,
    csv_path: Path | None,
    sinks: Path | None,
    as_json: bool,
) -> None:
    """Show which cells of RUN (a path, an id, or 'latest') have a trace; one with --cell.

    Without RUN it is the latest.

    A trace is what a process of its own saw of a system while its cell was measured: sizes,
    CPU, memory, traffic and the system's own counters. What is missing is empty in CSV and
    null in JSON.
    """
    if csv_path is not None and as_json:
        raise PlanError("--csv and --json are two ways to write; choose one")
    if csv_path is not None and cell_start is None:
        raise PlanError("--csv writes one trace; say of which cell with --cell ID")
    if sinks is not None and cell_start is not None:
        raise PlanError("--sinks sends a whole run; leave --cell out")
    run = find_run(runs, run_name)
    if sinks is not None:
        from deduplab.cli.sinks_choice import send

        send(run, sinks, as_json=as_json)
        return
    if cell_start is None:
        _show_all(run, as_json=as_json)
        return
    result, trace = _one(run, cell_start)
    if csv_path is not None:
        _write_csv(trace, csv_path)
    elif as_json:
        from deduplab.cli.trace_tables import document

        click.echo(json.dumps(document(result, trace), indent=2))
    else:
        from deduplab.cli.trace_tables import print_trace, wide_console

        print_trace(result, trace, wide_console())


def _show_all(run: Run, *, as_json: bool) -> None:
    from deduplab.cli.trace_tables import listed, listing, print_listed, wide_console

    found = listed(run)
    if as_json:
        click.echo(json.dumps(listing(run, found), indent=2))
    else:
        print_listed(run, found, wide_console())
    if found.damaged:
        raise StoreError("; ".join(found.damaged))


def _one(run: Run, start: str) -> tuple[CellResult, Trace]:
    """Return the cell whose id begins so, with its trace."""
    matching = sorted(name for name in run.committed_ids() if name.startswith(start))
    if not start or len(matching) != 1:
        what = "several cells begin" if matching else "no cell that was measured begins"
        there = f": {', '.join(matching[:5])}" if start and matching else ""
        raise PlanError(
            f"{what} {start!r}{there}{', ...' if start and len(matching) > 5 else ''}; "
            f"'deduplab trace {run.header.run_id}' lists those that have a trace"
        )
    result, trace = run.cell(matching[0]), run.trace(matching[0])
    if trace is None:
        from deduplab.analysis.traces import why_missing

        raise StoreError(f"cell {matching[0]} has no trace: {why_missing(result)}")
    return result, trace


def _write_csv(trace: Trace, path: Path) -> None:
    from deduplab.analysis.trace_csv import csv_lines

    if str(path) == _STANDARD_OUTPUT:
        for line in csv_lines(trace):
            click.echo(line)
        return
    try:
        path.write_text("".join(f"{line}\n" for line in csv_lines(trace)), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the trace can't be written to {path}: {error}") from error
    click.echo(f"{len(trace.at_ns)} samples: {path}")
