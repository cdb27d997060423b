"""Two runs side by side: what is matched, what is told first, known answers, page and command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deduplab.analysis.change import Change, Verdict
from deduplab.analysis.comparison import METRICS, MORE, Comparison, Side, as_dict, compared
from deduplab.cell import CellResult
from deduplab.cli.compare_command import command
from deduplab.errors import NothingJudged, PlanError, StoreError, ThresholdBroken
from deduplab.model import OutcomeKind
from deduplab.report import comparison_page
from deduplab.store import Run
from tests.report.factory import DUCKDB, SQLITE, Behaviour, failed, matrix, run_of
from tests.report.test_html import checked

SYSTEM = replace(SQLITE, noise=0.001)
DEARER = replace(SYSTEM, unique_cost=SQLITE.unique_cost * 1.25, version="2.0")


def cells_of(behaviour: Behaviour, repetitions: int = 4) -> list[CellResult]:
    return matrix([behaviour], grades=(0, 90), repetitions=repetitions)


def a_run(root: Path, results: list[CellResult], run_id: str = "a", **environment: str) -> Run:
    """Write a run of its own id and environment."""
    run = run_of(root, results)
    header = json.loads((run.root / "run.json").read_bytes())
    header["run_id"] = run_id
    header["environment"] |= environment
    (run.root / "run.json").write_text(json.dumps(header))
    return Run.open(run.root)


def side(run: Run) -> Side:
    return Side(run, list(run.cells()))


def of(found: Comparison, metric: str, grade: str = "U90", **place: str) -> list[Change]:
    return [
        one
        for entry in found.compared
        for one in entry.changes
        if one.row.metric == metric
        and entry.declared.grade == grade
        and all(getattr(one.row, name) == value for name, value in place.items())
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    root = tmp_path_factory.mktemp("compared")
    first = a_run(root / "a", cells_of(SYSTEM), "before")
    second = a_run(root / "b", cells_of(DEARER), "after", kernel="6.2.0", memory="16.0 GiB")
    return first, second


@pytest.fixture(scope="module")
def found(runs: tuple[Run, Run]) -> Comparison:
    return compared(side(runs[0]), side(runs[1]))


def test_a_change_of_costs_has_the_answer_that_is_known(found: Comparison) -> None:
    changes = of(found, "unique_cost", "U0", stage="bulk")
    assert len(changes) == 3, "three moments"
    assert not of(found, "unique_cost", "U90"), "it is that of the control, and told there"
    for one in changes:
        assert one.value == pytest.approx(1.25, rel=1e-6)
        assert one.low is not None
        assert one.high is not None
        assert 1.24 < one.low <= 1.25 <= one.high < 1.26
        assert one.verdict is Verdict.DIFFERS
    for one in of(found, "dedup_efficiency", stage="bulk"):
        assert one.kind == "difference"
        assert one.value == pytest.approx(0, abs=1e-6)
        assert one.verdict is Verdict.SAME
    (grown,) = {one.verdict for one in of(found, "latency_p50_ns", stage="insert")}
    assert grown is Verdict.SAME


def test_what_else_differs_is_told_first_and_only_that(found: Comparison) -> None:
    told = {(one.kind, one.of, one.name): (one.first, one.second) for one in found.differences}
    assert told == {
        ("environment", "", "kernel"): ("6.1.0", "6.2.0"),
        ("environment", "", "memory"): ("8.00 GiB", "16.0 GiB"),
        ("version", "sqlite", "version"): ("product 1.0", "product 2.0"),
    }
    words = [one.words for one in found.differences]
    assert "kernel 6.1.0 in A, 6.2.0 in B" in words
    assert "sqlite: version product 1.0 in A, product 2.0 in B" in words


def test_all_cells_are_matched_and_every_figure_has_a_verdict(found: Comparison) -> None:
    assert not found.only_first
    assert not found.only_second
    assert len(found.compared) == 3
    total = sum(found.count(verdict) for verdict in Verdict)
    assert total == len(found.changes) > 50


def test_cells_with_other_settings_are_matched_and_the_setting_told(tmp_path: Path) -> None:
    other = [
        replace(cell, cell=replace(cell.cell, batch_bytes=4096, durability="none"))
        for cell in cells_of(SYSTEM)
    ]
    first, second = a_run(tmp_path / "a", cells_of(SYSTEM)), a_run(tmp_path / "b", other)
    found = compared(side(first), side(second))
    told = {one.name: (one.first, one.second) for one in found.differences}
    assert told == {"batch_bytes": ("1048576", "4096"), "durability": ("fsync", "none")}
    assert len(found.compared) == 3


def test_of_several_with_unlike_settings_those_that_are_equal_are_matched(tmp_path: Path) -> None:
    small, large = (
        [replace(cell, cell=replace(cell.cell, batch_bytes=size)) for cell in cells_of(SYSTEM, 1)]
        for size in (4096, 8192)
    )
    both = a_run(tmp_path / "a", [*small, *large])
    one = a_run(tmp_path / "b", large)
    found = compared(side(both), side(one))
    assert not found.differences, (
        "the names of variants in A say batch_bytes, and match all the same"
    )
    assert len(found.compared) == 3
    assert len(found.only_first) == 3
    assert not found.only_second


def test_what_has_no_partner_is_told(tmp_path: Path) -> None:
    first = a_run(tmp_path / "a", matrix([SQLITE, DUCKDB], grades=(0,)))
    second = a_run(tmp_path / "b", matrix([SQLITE], grades=(0, 50), distances=["shuffled"]))
    found = compared(side(first), side(second))
    assert [one.name for one in found.only_first] == ["duckdb, random_binary, U0"]
    assert [one.name for one in found.only_second] == ["sqlite, random_binary, U50 shuffled"]


def test_a_figure_that_one_run_lacks_says_which_and_why(tmp_path: Path) -> None:
    lost = [
        failed(cell, OutcomeKind.FAILED, "it broke") if cell.cell.bulk.grade_percent else cell
        for cell in cells_of(SYSTEM)
    ]
    censored = cells_of(replace(SYSTEM, censored="bulk"))
    whole = a_run(tmp_path / "a", cells_of(SYSTEM))
    found = compared(side(whole), side(a_run(tmp_path / "b", lost)))
    assert {one.reason for one in of(found, "edr", stage="bulk")} == {"missing in B: it broke"}
    other = compared(side(a_run(tmp_path / "c", censored)), side(whole))
    (reason,) = {one.reason for one in of(other, "edr", stage="bulk", moment="rest")}
    assert reason.startswith("missing in A: censored: rest not reached")
    assert "missing in A: censored" in other.untold


def test_every_figure_is_in_the_json(found: Comparison) -> None:
    told = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert told["runs"]["A"]["run_id"] == "before"
    assert len(told["figures"]) == len(found.changes)
    one = next(
        entry
        for entry in told["figures"]
        if (entry["metric"], entry["grade"], entry["moment"]) == ("unique_cost", "U0", "rest")
    )
    assert one["ratio"]["value"] == pytest.approx(1.25, rel=1e-6)
    assert one["A"]["n"] == one["B"]["n"] == 4
    assert one["verdict"] == "differs"
    assert {entry["name"] for entry in told["differences"]} == {"kernel", "memory", "version"}


def test_the_page_is_whole_and_shows_all(found: Comparison) -> None:
    page = comparison_page.render([(("before <a>", "after & b"), found)])
    text = " ".join(checked(page).text.split())
    for words in ("before <a>", "after & b", "kernel", "6.2.0", "1.25x", "no difference shown"):
        assert words in text
    shown = len(of(found, "unique_cost", "U0"))
    assert page.count("<td>unique_cost</td>") == 2 * shown, "among what differs, and among all"


def test_a_page_that_can_not_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written"):
        comparison_page.write([], tmp_path / "file" / "page.html")


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_the_command_tells_what_differs(runs: tuple[Run, Run], tmp_path: Path) -> None:
    first, second = (run.root for run in runs)
    page = tmp_path / "page.html"
    done = call(first, second, "--html", page)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "A: run before of plan quick, 12 cells"
    assert lines[1] == "B: run after of plan quick, 12 cells"
    told = done.output.index("What else differs, so that it may be the cause:")
    assert told < done.output.index("sqlite, random_binary, U0")
    assert re.search(
        r"unique_cost +bulk rest +1\.02 +1\.28 +1\.25x +\[1\.25x, 1\.25x\] +n 4 +differs",
        done.output,
    ), done.output
    assert "no difference shown\n" not in done.output
    assert "show no difference" in done.output
    assert "no difference shown" in call(first, second, "--all").output
    checked(page.read_text(encoding="utf-8"))


def test_metrics_and_systems_are_chosen(runs: tuple[Run, Run]) -> None:
    first, second = (run.root for run in runs)
    told = json.loads(call(first, second, "--metric", "u", "--only", "sqlite", "--json").output)
    assert {one["metric"] for one in told[0]["figures"]} == {"unique_cost"}
    three = json.loads(call(first, second, second, "--metric", "u", "--json").output)
    assert len(three) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["A"], "name two runs to compare"),
        (["A", "A"], "before is named twice"),
        (["A", "B", "--metric", "etta"], "unknown metric 'etta'; did you mean 'eta'?"),
        (["A", "B", "--only", "mongodb"], "run before has no system 'mongodb'; there: sqlite"),
        (["A", "B", "--variants", "a,b"], "--variants compares within one run"),
        (["A", "--variants", "default"], "takes two names with a comma between"),
        (["A", "--variants", "default,x"], "has no variant 'x'; there: default"),
        (["A", "--volumes", "none,btrfs"], "has no volume 'btrfs'; there: none"),
        (["A", "--volumes", "a,b", "--variants", "a,b"], "exclude each other"),
        (["A", "B", "--fail-on", "p99"], "not a threshold"),
    ],
)
def test_what_can_not_be_compared_is_refused(
    runs: tuple[Run, Run], arguments: list[str], words: str
) -> None:
    named = {"A": str(runs[0].root), "B": str(runs[1].root)}
    done = call(*(named.get(one, one) for one in arguments))
    assert isinstance(done.exception, PlanError), done.output
    assert words in str(done.exception)


def test_a_pipeline_fails_only_beyond_the_threshold(runs: tuple[Run, Run]) -> None:
    first, second = (run.root for run in runs)
    broken = call(first, second, "--fail-on", "u+20%", "--fail-on", "p99+10%")
    assert isinstance(broken.exception, ThresholdBroken)
    assert broken.exception.exit_code == 11
    assert "u+20%" in str(broken.exception)
    assert "p99" not in str(broken.exception)
    assert "p99+10%: broken by 0 of" in broken.output
    for allowed in ("u+30%", "u-1%", "eta-0.05"):
        done = call(first, second, "--fail-on", allowed)
        assert done.exit_code == 0, done.output
        assert f"{allowed}: broken by 0 of" in done.output
    assert call(second, first, "--fail-on", "u-19%").exit_code == 1, "it fell to 0.8"


def test_what_became_of_thresholds_is_no_part_of_the_json(runs: tuple[Run, Run]) -> None:
    first, second = (run.root for run in runs)
    done = call(first, second, "--metric", "u", "--fail-on", "u+20%", "--json")
    assert isinstance(done.exception, ThresholdBroken)
    assert json.loads(done.stdout)[0]["figures"]
    assert "u+20%: broken by" in done.stderr


def test_every_metric_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    for metric in (*METRICS, *MORE):
        assert f"`{metric}`" in page or metric.startswith("service_"), metric


def test_a_check_that_could_not_fail_does_not_pass(tmp_path: Path) -> None:
    first = a_run(tmp_path / "a", cells_of(SYSTEM, 1)).root
    second = a_run(tmp_path / "b", cells_of(DEARER, 1)).root
    done = call(first, second, "--fail-on", "u+20%")
    assert isinstance(done.exception, NothingJudged)
    assert done.exception.exit_code == 12
    assert "too few repetitions: n = 1 and 1" in done.output
    assert call(first, second).exit_code == 0, "nothing was asked that could fail"


def test_two_variants_of_one_run_are_set_side_by_side(tmp_path: Path) -> None:
    slim = replace(SYSTEM, variant="slim", unique_cost=SQLITE.unique_cost / 2)
    run = a_run(tmp_path, [*cells_of(SYSTEM), *cells_of(slim)])
    done = call(run.root, "--variants", "default,slim", "--metric", "u")
    assert done.exit_code == 0, done.output
    assert "A: variant default of run a" in done.output
    assert "B: variant slim of the same run" in done.output
    assert "sqlite/default to slim, random_binary, U0" in done.output
    assert done.output.count("  differs") == 5
