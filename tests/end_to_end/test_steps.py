"""DuckDB, whose file grows by blocks of 256 KiB, with data of two such blocks."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end.conftest import Cli

PLAN = """\
name = "steps"
stages = ["bulk"]

[data]
payloads = ["random_binary"]
grades = ["U0", "U90"]
distances = ["adjacent", "shuffled"]
logical_size = "512 KiB"
object_size = "8 KiB"
batch_size = "2 MiB"

[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 10

[systems.duckdb]
"""


def test_a_few_blocks_of_duckdb_are_no_finding(tmp_path: Path, cli: Cli) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(PLAN)
    done = cli("run", plan)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("duckdb  random")]
    assert line.split()[-1] == "undecided"

    page = Path(done.stdout.strip().splitlines()[-1].removeprefix("report: ")).read_text()
    assert "No eta that counts: not resolved: the footprint moves in steps of" in page
    rows = json.loads(cli("report", "latest", "--json").stdout)
    etas = [
        row
        for row in rows
        if (row["metric"], row["layer"], row["ruler"]) == ("dedup_efficiency", "FILES", "allocated")
    ]
    assert len(etas) == 4
    assert {row["outcome"] for row in etas} == {"INVALID"}
    assert all("not resolved" in row["reason"] for row in etas)

    cells = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/cells/*/cell.json")]
    declared = {cell["identity"]["configuration"]["allocation_bytes"] for cell in cells}
    assert declared == {"262144"}
