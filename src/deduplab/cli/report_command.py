"""``deduplab report``."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from deduplab.analysis import Figures, export_json
from deduplab.analysis.census import census_of
from deduplab.cli.findings import print_findings, write_report
from deduplab.cli.options import runs_option
from deduplab.cli.ran import print_ran
from deduplab.errors import PlanError
from deduplab.runs_folder import find_run


@click.command(
    "report",
    short_help="Write the report of a run.",
    epilog="Examples:\n\n\b\n"
    "  deduplab report latest                    write report.html and show the findings\n"
    "  deduplab report latest -o /tmp/page.html\n"
    "  deduplab report latest --coverage         what ran, what did not, and why\n"
    "  deduplab report latest --json | jq '.[] | select(.metric == \"dedup_efficiency\")'",
)
@click.argument("run_name", metavar="[RUN]", default="latest")
@runs_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The page.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print every figure as rows (or what --coverage counts); write no page.",
)
@click.option("--coverage", is_flag=True, help="Only count what ran and what did not, and why.")
def command(run_name: str, runs: Path, output: Path | None, as_json: bool, coverage: bool) -> None:
    """Write the report of RUN (a path, an id, or 'latest') as one HTML file that opens offline.

    Without RUN it is that of the latest.

    A run that is not finished gives a report of what is committed so far.
    """
    if output and (coverage or as_json):
        raise PlanError(f"{'--coverage' if coverage else '--json'} writes no page; drop -o")
    run = find_run(runs, run_name).read_once()
    console = Console()
    if coverage:
        ran = census_of(run)
        run.require_proven()
        if as_json:
            click.echo(json.dumps(ran.as_dict(), indent=2))
        else:
            print_ran(ran, console)
        return
    found = Figures.of(run)
    run.require_proven()  # what no figure is made of, too
    if as_json:
        click.echo(export_json(found.rows), nl=False)
        return
    page = write_report(found, output)
    print_findings(found, console)
    print_ran(found.census, console)
    console.print(f"\nreport: {page}", soft_wrap=True, highlight=False)
