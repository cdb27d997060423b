"""``deduplab report``."""

from __future__ import annotations

import json
import shlex
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
    "  deduplab report latest --latex paper/run    tables, figures and numbers for LaTeX\n"
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
@click.option(
    "--latex",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write tables, figures and macros for a paper there instead; see docs/papers.md.",
)
@click.option("--coverage", is_flag=True, help="Only count what ran and what did not, and why.")
def command(
    run_name: str,
    runs: Path,
    output: Path | None,
    as_json: bool,
    latex: Path | None,
    coverage: bool,
) -> None:
    """Write the report of RUN (a path, an id, or 'latest') as one HTML file that opens offline.

    Without RUN it is that of the latest.

    A run that is not finished gives a report of what is committed so far.
    """
    _require_one(output, as_json=as_json, latex=latex, coverage=coverage)
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
    if latex:
        _write_latex(found, latex)
        return
    page = write_report(found, output)
    print_findings(found, console)
    print_ran(found.census, console)
    console.print(f"\nreport: {page}", soft_wrap=True, highlight=False)


def _require_one(output: Path | None, *, as_json: bool, latex: Path | None, coverage: bool) -> None:
    """Refuse options that exclude each other."""
    if latex and (as_json or coverage):
        raise PlanError(f"--latex and {'--json' if as_json else '--coverage'} exclude each other")
    if output and (coverage or as_json or latex):
        name = "--coverage" if coverage else "--json" if as_json else "--latex"
        raise PlanError(f"{name} writes no page; drop -o")


def _write_latex(found: Figures, directory: Path) -> None:
    """Write what a paper needs, and say what that is."""
    from deduplab.report.latex.document import files_of  # drawing takes long to import
    from deduplab.report.latex.folder import write_folder

    files = files_of(found)
    write_folder(directory, files)
    tables = sum(path.startswith("tables/") for path in files)
    figures = sum(path.startswith("figures/") for path in files)
    click.echo(
        f"{directory}: {tables} tables and {figures} figures of run {found.run.header.run_id}, and "
        "its numbers as macros\n"
        f"all of it on pages: cd {shlex.quote(str(directory))} && pdflatex main.tex"
    )
