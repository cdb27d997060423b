"""Tables of the command line: whole in narrow terminals, and where there is none."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from deduplab.analysis import calibrate
from deduplab.cli.data_command import command as data
from deduplab.cli.findings import calibration_table
from deduplab.cli.plan_command import command as plan
from deduplab.cli.whole_tables import print_whole
from tests.report.factory import REFERENCES, matrix, run_of

PLANS = Path(__file__).parents[2] / "plans"


def printed(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_whole(console, table)
    assert console.width == width
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def table_of(*cells: str) -> Table:
    table = Table(box=None)
    for cell in cells:
        table.add_column(cell, no_wrap=True)
    table.add_row(*cells)
    return table


@pytest.mark.parametrize("width", [20, 40, 80])
def test_nothing_is_cut_off(width: int) -> None:
    numbers = ("123.456 MiB", "8.05 8.05", "1,234,567")
    lines = printed(table_of(*numbers), width)
    assert len(lines) == 2
    assert all(number in line for line in lines for number in numbers)


def test_what_fits_keeps_the_width_of_the_console() -> None:
    table = Table(box=None)
    table.add_column("words", overflow="fold")
    table.add_row("one two three four five six seven eight nine ten")
    assert max(map(len, printed(table, 30))) <= 30


def test_calibration_is_readable_in_eighty_columns(tmp_path: Path) -> None:
    calibration = calibrate(run_of(tmp_path, matrix(REFERENCES)))
    lines = printed(calibration_table(calibration), 80)
    for check in calibration.checks:
        assert any(check.what in line and check.payload in line for line in lines)
        assert any(check.detail in line for line in lines)


def test_a_digest_and_a_cell_stay_in_one_line(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text('payload = "random_binary"\nlogical_size = "64 KiB"\nobject_size = "4 KiB"\n')
    narrow = CliRunner(env={"COLUMNS": "60"})
    made = narrow.invoke(data, ["make", str(spec), "-o", str(tmp_path / "made")])
    digest = json.loads((tmp_path / "made" / "manifest.json").read_text())["manifest"]["digest"]
    assert digest in made.output
    listed = narrow.invoke(plan, [str(PLANS / "volumes.toml"), "--cells"])
    labels = [line for line in listed.output.splitlines() if line.endswith("#1")]
    assert len(labels) == 60
