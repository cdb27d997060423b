"""What a run found, drawn on the console: calibration, findings, and where the report lies."""

from __future__ import annotations

import dataclasses
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from deduplab.analysis import Calibration, Figures, tables
from deduplab.analysis.storage_layer import volume_findings
from deduplab.analysis.tables import Finding, findings_of, findings_table, volumes_table
from deduplab.cli.cold_reads import cold_read_table
from deduplab.cli.open_loops import open_loops
from deduplab.cli.whole_tables import fits
from deduplab.errors import unwritten
from deduplab.store import Run

_MOST_UNDECIDED: Final = 8
_STYLES = {"passed": "green", "failed": "bold red", "incomplete": "yellow", "reported": "dim"}


def report_path(run: Run) -> Path:
    """Return where the report of a run lies once it was written, which is the end of a run."""
    return run.root / "report.html"


def write_report(found: Figures, page: Path | None = None) -> Path:
    """Write the report, beside the run's results unless a page is named; return its path.

    Beside the results it is written aside and renamed: a half one would look like the end
    of the run.
    """
    from deduplab.report import html  # drawing takes long to import, and a run should start at once

    run = found.run
    _remove_left(run)
    if page is not None:
        return html.write(run, page, found)
    aside = run.root / f".report-{os.getpid()}.html"
    try:
        html.write(run, aside, found)
        return aside.rename(report_path(run))
    except OSError as error:
        raise unwritten(f"the report can't be written to {run.root}", error) from error
    finally:
        aside.unlink(missing_ok=True)


def _remove_left(run: Run) -> None:
    """Remove the half-written pages of processes that were killed."""
    for page in run.root.glob(".report-*.html"):
        owner = page.stem.rpartition("-")[2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):  # a run that can only be read is none of ours to tidy
                page.unlink()


def print_findings(found: Figures, console: Console) -> None:
    """Print findings, volumes, open loops and cold reads as tables, and the calibration verdict."""
    rows = found.rows
    answers = findings_of(rows)
    _print_table(findings_table(answers), console)
    _print_undecided(answers, console)
    volumes = volumes_table(volume_findings(rows))
    for table in (volumes, open_loops(rows), cold_read_table(rows)):
        if table.lines:
            console.print()
            _print_table(table, console)
    calibration = found.calibration
    console.print(calibration.summary, style=_STYLES[calibration.verdict], soft_wrap=True)


def _print_table(found: tables.Table, console: Console) -> None:
    table = Table(title=found.title, title_justify="left", caption=found.note, show_lines=False)
    table.caption_justify = "left"
    for header in found.headers:
        table.add_column(
            header.title, justify="right" if header.align == "right" else "left", no_wrap=True
        )
    for line in found.lines:
        table.add_row(*line)
    if console.is_terminal and fits(console, table):
        console.print(table)
    else:
        # A frame that is too wide for its terminal would cut numbers off, and lose columns.
        console.print(found.to_text(), highlight=False, soft_wrap=True, markup=False)


def _print_undecided(answers: list[Finding], console: Console) -> None:
    """Say why a verdict is undecided, each reason once: the table has no room for it."""
    names: dict[str, list[str]] = {}
    for answer in answers:
        # Without a grade the plan has no copies, and asks for no verdict.
        if answer.grade and answer.attribution.verdict == "undecided":
            of_words = names.setdefault(answer.attribution.words, [])
            of_words.append(f"{answer.name} {answer.subject.data}")
    for words, those in list(names.items())[:_MOST_UNDECIDED]:
        console.print(
            f"undecided: {'; '.join(those)}: {words}", highlight=False, markup=False, soft_wrap=True
        )
    if len(names) > _MOST_UNDECIDED:
        console.print(f"undecided for {len(names) - _MOST_UNDECIDED} other reasons: see the page")


def calibration_table(calibration: Calibration) -> Table:
    """Draw every check with what was expected and what came out."""
    table = Table(title="Calibration", title_justify="left")
    for heading in ("store", "known answer", "payload"):
        table.add_column(heading, no_wrap=True)
    for heading in ("expected", "measured", "tolerance"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", "verdict", "detail"):
        table.add_column(heading, no_wrap=True)
    for check in calibration.checks:
        numbers = (check.expected, check.measured, check.tolerance)
        table.add_row(
            check.store,
            check.what,
            check.payload,
            *("–" if value is None else f"{value:.4g}" for value in numbers),
            check.unit,
            f"[{_STYLES[check.status]}]{check.status}[/]",
            check.detail,
        )
    return table


def calibration_as_dict(calibration: Calibration) -> dict[str, Any]:
    """Return the verdict with every check, for JSON."""
    return {
        "verdict": calibration.verdict,
        "summary": calibration.summary,
        "missing": list(calibration.missing),
        "checks": [dataclasses.asdict(check) for check in calibration.checks],
    }
