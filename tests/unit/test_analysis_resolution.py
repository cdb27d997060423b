"""Steps of a footprint: what is a few of them has no ratio, and the verdict is undecided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deduplab.analysis import Row, rows
from deduplab.analysis.tables import Finding, findings_of
from deduplab.cell import CellResult
from deduplab.model import OutcomeKind
from tests.report.factory import (
    CHAIN,
    DUCKDB,
    OBJECT_BYTES,
    PLAIN,
    SINGLE,
    SQLITE,
    Behaviour,
    matrix,
    run_of,
)

LOGICAL_BYTES = 1000 * OBJECT_BYTES
KEEPS = Behaviour("keeps", adjacent=(0.96,) * 3, shuffled=(0.02,) * 3)
COARSE = replace(KEEPS, step_bytes=LOGICAL_BYTES // 4)
BULK_ONLY = CHAIN[:1]


def answer(tmp_path: Path, cells: list[CellResult]) -> tuple[list[Row], Finding]:
    found = rows(run_of(tmp_path, cells))
    (finding,) = findings_of(found)
    return found, finding


def bulk_etas(found: list[Row], grade: str = "U90") -> list[Row]:
    return [
        row
        for row in found
        if (row.metric, row.stage, row.grade_asked, row.layer, row.ruler)
        == ("dedup_efficiency", "bulk", grade, "FILES", "allocated")
    ]


def test_a_growth_of_four_steps_has_no_ratio_and_no_verdict(tmp_path: Path) -> None:
    found, finding = answer(tmp_path, matrix([COARSE]))
    etas = bulk_etas(found)
    assert etas
    assert {(row.value, row.outcome) for row in etas} == {(None, OutcomeKind.INVALID.value)}
    assert all(row.reason.startswith("not resolved: the footprint moves in steps") for row in etas)
    assert finding.attribution.verdict == "undecided"
    assert "not resolved" in finding.attribution.words
    for metric in (
        "unique_cost",
        "duplicate_cost",
        "edr",
        "reclaimed",
        "efficiency_of_bound:object",
    ):
        ruled = [row for row in found if row.metric == metric and row.ruler == "allocated"]
        assert ruled
        assert not any(row.ok for row in ruled), metric


def test_the_same_behaviour_in_fine_steps_keeps_its_verdict(tmp_path: Path) -> None:
    found, finding = answer(tmp_path, matrix([replace(COARSE, step_bytes=LOGICAL_BYTES // 200)]))
    assert all(row.ok for row in bulk_etas(found))
    assert finding.attribution.verdict == "compression-implicit"


@pytest.mark.parametrize(("steps", "counts"), [(18, False), (30, True)])
def test_eta_counts_where_one_step_changes_it_by_a_tenth_at_most(
    steps: int, counts: bool, tmp_path: Path
) -> None:
    cells = matrix([replace(KEEPS, step_bytes=LOGICAL_BYTES // steps)], distances=["shuffled"])
    found, _ = answer(tmp_path, cells)
    assert {row.ok for row in bulk_etas(found)} == {counts}


@pytest.mark.parametrize("behaviour", [PLAIN, SINGLE, SQLITE, DUCKDB])
@pytest.mark.parametrize("grades", [(0, 90), (0, 50, 90)])
def test_round_numbers_of_equal_objects_are_no_steps(
    behaviour: Behaviour, grades: tuple[int, ...], tmp_path: Path
) -> None:
    found, _ = answer(tmp_path, matrix([behaviour], grades=grades))
    assert all(row.ok for row in bulk_etas(found) if row.moment != "reclaim")
    alone, _ = answer(tmp_path / "b", matrix([replace(behaviour, stages=BULK_ONLY)], grades=grades))
    assert all(row.ok for row in bulk_etas(alone))


def test_payloads_of_unlike_cost_make_no_step(tmp_path: Path) -> None:
    half = [replace(PLAIN, unique_cost=0.5)]
    cells = [*matrix([PLAIN]), *matrix(half, payloads=["text_document"])]
    found = rows(run_of(tmp_path, cells))
    assert all(row.ok for row in bulk_etas(found) if row.moment != "reclaim")


def test_a_declared_step_is_known_where_all_loads_move_the_footprint_alike(tmp_path: Path) -> None:
    def declaring(cell: CellResult) -> CellResult:
        assert cell.identity is not None
        told = {"allocation_bytes": str(LOGICAL_BYTES)}
        return replace(cell, identity=replace(cell.identity, configuration=told))

    one_step = replace(SQLITE, step_bytes=2 * LOGICAL_BYTES, stages=BULK_ONLY)
    cells = matrix([one_step])
    _, untold = answer(tmp_path / "a", cells)
    assert untold.attribution.verdict == "none"  # nothing tells a step from a constant cost
    _, told = answer(tmp_path / "b", [declaring(cell) for cell in cells])
    assert told.attribution.verdict == "undecided"
    assert "not resolved" in told.attribution.words


def test_a_footprint_that_shrank_has_no_cost_of_first_copies(tmp_path: Path) -> None:
    found, finding = answer(tmp_path, matrix([replace(SQLITE, unique_cost=-0.001)]))
    costs = [row for row in found if row.metric == "unique_cost" and row.ruler == "allocated"]
    assert costs
    assert not any(row.ok for row in costs)
    assert "the footprint shrank" in finding.attribution.words
