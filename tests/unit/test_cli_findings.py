"""Findings on the console: why something is undecided is said, each reason once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from deduplab.analysis import Figures, findings
from deduplab.cli.findings import print_findings
from deduplab.model import OutcomeKind
from tests.report.factory import DUCKDB, POSTGRES, SQLITE, failed, matrix, run_of

WHY = "sqlite can't have 2 clients: its files belong to one process"


def test_why_something_is_undecided_is_said_once(tmp_path: Path) -> None:
    cells = matrix([SQLITE], ["random_binary", "uuid_keys"])
    lost = [failed(cell, OutcomeKind.UNSUPPORTED, WHY) for cell in cells]
    none = matrix([POSTGRES], grades=[0])  # no copies, which the plan did not ask for
    run = run_of(tmp_path, [*lost, *matrix([DUCKDB]), *none])
    console = Console(file=io.StringIO(), width=80)
    print_findings(Figures.of(run), console)
    assert isinstance(console.file, io.StringIO)
    said = [line for line in console.file.getvalue().splitlines() if line.startswith("undecided")]
    names = "sqlite random_binary; sqlite uuid_keys"
    assert said == [f"undecided: {names}: No eta that counts: {WHY}."]


@pytest.mark.parametrize("width", [40, 80, 120, 400])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_number_of_the_findings_is_cut_off(width: int, terminal: bool, tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([DUCKDB, SQLITE]))
    found = Figures.of(run)
    out = io.StringIO()
    print_findings(found, Console(file=out, width=width, force_terminal=terminal))
    shown = out.getvalue()
    table = findings(found.rows)
    assert all(header.title in shown for header in table.headers)
    assert all(cell in shown for line in table.lines for cell in line)
    assert ("━" in shown) == (terminal and width == 400)
