"""``run --reuse``: a plan that has more than an earlier one begins with what that measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from deduplab.store import Run
from tests.end_to_end.conftest import Cli, write_plan

MORE = ('["random_binary"]', '["random_binary", "uuid_keys"]')


def test_a_plan_with_more_payloads_takes_over_what_is_the_same(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null", "plain"])
    first = json.loads(cli("run", plan, "--json").stdout)
    before = {cell.cell.cell_id: cell for cell in Run.open(Path(first["directory"])).cells()}
    plan.write_text(plan.read_text().replace(*MORE))

    told = json.loads(cli("run", plan, "--reuse", "--json").stdout)
    assert (told["taken_over_cells"], told["resumed_cells"], told["cells"]["OK"]) == (6, 6, 6)
    assert told["coverage"]["taken_over"] == {first["run"]: 6}
    run = Run.open(Path(told["directory"]))
    after = {cell.cell.cell_id: cell for cell in run.cells()}
    assert len(after) == 12
    assert before.items() <= after.items()

    shutil.rmtree(first["directory"])
    shown = cli("report", told["run"])
    words = f"6 of 12 cells were not measured in this run (--reuse): 6 in run {first['run']}"
    assert words in shown.stdout
    assert words in (run.root / "report.html").read_text()


def test_nothing_is_taken_over_unasked_nor_by_a_repetition_of_the_same_plan(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    cli("run", plan, "--json")
    same = json.loads(cli("run", plan, "--reuse", "--json").stdout)
    assert (same["taken_over_cells"], same["cells"]["OK"]) == (0, 3)
    plan.write_text(plan.read_text().replace(*MORE))
    unasked = json.loads(cli("run", plan, "--json").stdout)
    assert (unasked["taken_over_cells"], unasked["cells"]["OK"]) == (0, 6)
    for other in (("--again",), ("--resume", "latest")):
        refused = cli("run", plan, "--reuse", *other)
        assert refused.returncode == 2
        assert "--reuse is for a new run" in refused.stderr
