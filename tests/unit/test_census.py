"""How stages are counted: each of the plan once, whatever became of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deduplab.analysis.census import census_of
from deduplab.cell import CellResult
from deduplab.model import Outcome, OutcomeKind, Stage
from tests.report.factory import CHAIN, PLAIN, POSTGRES, SQLITE, Behaviour, failed, matrix, run_of

TWICE = replace(SQLITE, modes=("compact", "vacuum"), back=(0.0, 0.5, 1.0))


def cells(behaviour: Behaviour) -> list[CellResult]:
    return matrix([behaviour], grades=(0,))


def broken_at(result: CellResult, stage: Stage, kind: OutcomeKind) -> CellResult:
    """Make the first such stage one that does not count, which ends the chain."""
    place = next(n for n, entry in enumerate(result.measurements) if entry.stage is stage)
    bad = replace(result.measurements[place], outcome=Outcome(kind, "no space"))
    whole = Outcome(kind, f"{stage}: no space")
    return replace(result, outcome=whole, measurements=(*result.measurements[:place], bad))


def test_maintenance_of_several_modes_is_one_stage(tmp_path: Path) -> None:
    (result,) = cells(TWICE)
    assert len(result.measurements) == len(CHAIN) + 1
    found = census_of(run_of(tmp_path, [result]))
    assert (found.stages.planned, found.stages.words) == (7, "7 OK")
    assert (found.cells.planned, found.cells.words) == (1, "1 OK")
    assert found.reasons == ()


def test_a_mode_that_fails_makes_its_stage_fail_and_no_other(tmp_path: Path) -> None:
    (result,) = cells(TWICE)
    last = max(n for n, one in enumerate(result.measurements) if one.stage is Stage.RECLAIM)
    bad = replace(result.measurements[last], outcome=Outcome(OutcomeKind.FAILED, "no space"))
    ended = failed(result, OutcomeKind.FAILED, "reclaim: no space")
    ended = replace(ended, measurements=(*result.measurements[:last], bad))
    found = census_of(run_of(tmp_path, [ended]))
    assert found.stages.words == "5 OK, 1 FAILED, 1 not run"
    assert found.cells.words == "1 FAILED"


def test_stages_behind_one_that_failed_were_not_run(tmp_path: Path) -> None:
    results = [broken_at(one, Stage.INSERT, OutcomeKind.INVALID) for one in cells(SQLITE)]
    found = census_of(run_of(tmp_path, results))
    assert found.stages.words == "3 OK, 1 INVALID, 3 not run"
    assert [(one.kind, one.stages, one.cells) for one in found.reasons] == [
        ("INVALID", 1, 1),
        ("not run", 3, 1),
    ]
    assert found.reasons[0].reason == "no space"
    assert "an earlier stage" in found.reasons[1].reason


def test_reasons_that_differ_in_a_name_are_told_together_and_hide_no_others(
    tmp_path: Path,
) -> None:
    results = matrix([SQLITE], ["random_binary", "uuid_keys", "time_series"], grades=(0,))
    ended = [
        failed(one, OutcomeKind.FAILED, f"no space in instance-{number}")
        for number, one in enumerate(results)
    ]
    other = failed(cells(POSTGRES)[0], OutcomeKind.FAILED, "no luck")
    found = census_of(run_of(tmp_path, [*ended, other]))
    assert len(found.reasons) == 4
    told = [(alike[0].systems, len(alike)) for alike in found.reasons_by_kind]
    assert told == [(("postgresql",), 1), (("sqlite",), 3)]


def test_a_cell_that_ended_outside_its_stages_takes_them_all_along(tmp_path: Path) -> None:
    (result,) = cells(SQLITE)
    other = failed(result, OutcomeKind.INVALID, "another instance answers at the end")
    found = census_of(run_of(tmp_path, [other]))
    assert found.stages.words == "7 INVALID"
    assert found.reasons[0].reason == "another instance answers at the end"


def test_what_a_system_does_not_have_is_told_and_no_fault(tmp_path: Path) -> None:
    found = census_of(run_of(tmp_path, cells(PLAIN)))
    assert found.stages.words == "5 OK, 2 UNSUPPORTED"
    assert found.cells.words == "1 OK"
    assert found.boxes["random_binary", "plain"].worst == "UNSUPPORTED"


def test_equal_reasons_of_several_systems_are_one(tmp_path: Path) -> None:
    results = [
        failed(one, OutcomeKind.FAILED, "no space")
        for behaviour in (SQLITE, POSTGRES)
        for one in cells(behaviour)
    ]
    (reason,) = census_of(run_of(tmp_path, results)).reasons
    assert reason.systems == ("postgresql", "sqlite")
    assert (reason.cells, reason.stages) == (2, 14)


def test_cells_of_which_nothing_is_known_are_counted(tmp_path: Path) -> None:
    run = run_of(tmp_path, cells(SQLITE), lambda ids: [*ids, "of an older run"])
    found = census_of(run)
    assert (found.cells.planned, found.cells.words) == (2, "1 OK, 1 not run")
    assert found.stages.planned == 7


def test_variants_are_told_apart_where_there_are_several(tmp_path: Path) -> None:
    both = (SQLITE, replace(SQLITE, variant="page-64k"), POSTGRES)
    found = census_of(run_of(tmp_path, matrix(both, grades=(0,))))
    assert found.systems == ("postgresql", "sqlite/default", "sqlite/page-64k")
    told = found.as_dict()
    assert told["stages"]["planned"] == 21
    assert {box["system"] for box in told["matrix"]} == set(found.systems)
    assert sum(box["OK"] for box in told["matrix"]) == told["stages"]["OK"] == 21
