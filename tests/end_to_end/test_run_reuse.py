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
    assert told["not_taken_over"] == {"no run of another plan here has it": 6}
    assert (told["coverage"]["blocks"], told["coverage"]["mixed_blocks"]) == (2, 0)
    run = Run.open(Path(told["directory"]))
    after = {cell.cell.cell_id: cell for cell in run.cells()}
    assert len(after) == 12
    assert before.items() <= after.items()

    shutil.rmtree(first["directory"])
    shown = cli("report", told["run"])
    words = f"6 of 12 cells were not measured in this run (--reuse): 6 in run {first['run']}"
    assert words in shown.stdout
    assert words in (run.root / "report.html").read_text()


def test_a_system_that_is_added_is_measured_beside_what_is_taken_over(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null", "plain"], repetitions=2)
    first = json.loads(cli("run", plan, "--json").stdout)
    before = {cell.cell.cell_id: cell for cell in Run.open(Path(first["directory"])).cells()}
    write_plan(plan, ["null", "plain", "single_instance"], repetitions=2)

    done = cli("run", plan, "--reuse")
    assert done.returncode == 0, done.stderr
    said = "18 cells, 12 of them taken over from earlier runs"
    assert said in done.stdout
    assert "6 cells are not taken over: no run of another plan here has it" in done.stdout
    assert "in 2 of 2 sets of compared cells" in done.stdout
    page = "".join(path.read_text() for path in (tmp_path / "runs").glob("*/report.html"))
    assert "in 2 of 2 sets of compared cells" in page

    told = json.loads(cli("report", "latest", "--coverage", "--json").stdout)
    assert told["taken_over"] == {first["run"]: 12}
    assert (told["blocks"], told["mixed_blocks"]) == (2, 2)
    (run,) = [
        Run.open(path)
        for path in (tmp_path / "runs").iterdir()
        if path.name != first["run"] and (path / "run.json").exists()
    ]
    after = {cell.cell.cell_id: cell for cell in run.cells()}
    assert len(after) == 18
    assert before.items() <= after.items()
    assert {after[cell_id].cell.system for cell_id in run.header.not_taken_over} == {
        "single_instance"
    }


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
