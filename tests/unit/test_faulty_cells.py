"""Which committed cells are measured anew, and which stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deduplab.bench.faulty_cells import faulty_cells
from deduplab.model import OutcomeKind
from deduplab.store import Run
from tests.report.factory import SQLITE, failed, matrix, run_of

FAILED, INVALID = OutcomeKind.FAILED, OutcomeKind.INVALID


def run_with(tmp_path: Path, *kinds: OutcomeKind) -> tuple[Run, list[str]]:
    results = matrix([replace(SQLITE)], grades=(0, 50, 90))[: len(kinds)]
    assert len(results) == len(kinds)
    ended = [
        result if kind is OutcomeKind.OK else failed(result, kind, f"is {kind.value}")
        for result, kind in zip(results, kinds, strict=True)
    ]
    return run_of(tmp_path, ended), [result.cell.cell_id for result in ended]


def test_what_failed_or_is_invalid_is_faulty_and_what_a_system_does_not_offer_is_not(
    tmp_path: Path,
) -> None:
    run, ids = run_with(tmp_path, OutcomeKind.OK, FAILED, INVALID, OutcomeKind.UNSUPPORTED)
    found = {fault.cell_id: (fault.kind, fault.reason) for fault in faulty_cells(run)}
    assert found == {ids[1]: ("FAILED", "is FAILED"), ids[2]: ("INVALID", "is INVALID")}


def test_what_can_not_be_measured_now_stays_unless_it_is_damaged(tmp_path: Path) -> None:
    run, ids = run_with(tmp_path, FAILED, OutcomeKind.OK, FAILED)
    (run.root / "cells" / ids[1] / "cell.json").write_text("{")
    assert [fault.kind for fault in faulty_cells(run, but=ids[:2])] == (
        ["FAILED", "damaged"] if ids[2] < ids[1] else ["damaged", "FAILED"]
    )


def test_each_way_to_be_damaged_is_noticed_and_names_the_file(tmp_path: Path) -> None:
    run, ids = run_with(tmp_path, *[OutcomeKind.OK] * 4)
    cells = [run.root / "cells" / cell_id for cell_id in ids]
    (cells[0] / "cell.json").unlink()
    (cells[1] / "latency-1.npy").unlink()
    cells[2].rename(cells[2].with_name("elsewhere"))
    path = cells[3] / "latency-0.npy"
    path.write_bytes(path.read_bytes()[:-8])
    found = {fault.cell_id: fault.reason for fault in faulty_cells(run)}
    assert set(found) == {ids[0], ids[1], "elsewhere", ids[3]}
    assert str(cells[0] / "cell.json") in found[ids[0]]
    assert f"{cells[1] / 'latency-1.npy'} is missing" in found[ids[1]]
    assert f"elsewhere holds another cell, {ids[2]}" in found["elsewhere"]
    assert str(path) in found[ids[3]]
