"""The method's ratios on cells whose answers are known by construction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from deduplab.analysis import Row, export_json, rows
from deduplab.analysis.derive import rows_of
from deduplab.model import Identity, Measurement, OutcomeKind, Stage
from tests.report.factory import (
    DUCKDB,
    OBJECT_BYTES,
    POSTGRES,
    REPLACING,
    SQLITE,
    Behaviour,
    failed,
    matrix,
    result_of,
    run_of,
)


def select(found: Iterable[Row], **fields: object) -> list[Row]:
    return [
        row for row in found if all(getattr(row, name) == want for name, want in fields.items())
    ]


def one(found: Iterable[Row], **fields: object) -> Row:
    fields = {"layer": "FILES", "ruler": "allocated", **fields}
    chosen = select(found, **fields)
    assert len(chosen) == 1, chosen
    return chosen[0]


@pytest.fixture(scope="module")
def replacing(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return rows(run_of(tmp_path_factory.mktemp("run"), matrix([REPLACING])))


@pytest.mark.parametrize("stage", ["bulk", "insert"])
@pytest.mark.parametrize("grade", ["U50", "U90"])
@pytest.mark.parametrize(
    ("distance", "moment", "eta"),
    [
        ("adjacent", "flush", 0.97),
        ("adjacent", "rest", 0.97),
        ("shuffled", "flush", 0.35),
        ("shuffled", "rest", 0.36),
    ],
)
def test_eta_and_costs(
    replacing: list[Row], stage: str, grade: str, distance: str, moment: str, eta: float
) -> None:
    where = {"stage": stage, "grade_asked": grade, "distance": distance, "moment": moment}
    assert one(replacing, metric="dedup_efficiency", **where).value == pytest.approx(eta, abs=1e-4)
    assert one(replacing, metric="unique_cost", **where).value == pytest.approx(1.01, abs=1e-4)
    cost = one(replacing, metric="duplicate_cost", **where)
    assert cost.value == pytest.approx(1.01 * (1 - eta), abs=1e-4)
    share = int(grade[1:]) / 100
    expected = 1 / (1.01 * (1 - share + (1 - eta) * share))
    assert one(replacing, metric="edr", **where).value == pytest.approx(expected, rel=1e-4)


def test_reclaim_of_the_filled_container_is_a_moment_of_bulk(replacing: list[Row]) -> None:
    row = one(
        replacing, metric="dedup_efficiency", stage="bulk", moment="reclaim",
        grade_asked="U90", distance="shuffled",
    )  # fmt: skip
    assert row.value == pytest.approx(0.99, abs=1e-4)
    assert row.mode == "optimize-final"
    assert row.grade_achieved == pytest.approx(0.9)


def test_other_layers_are_given_beside_files_and_never_instead(replacing: list[Row]) -> None:
    where = {
        "metric": "dedup_efficiency", "stage": "bulk", "moment": "rest",
        "grade_asked": "U90", "distance": "shuffled",
    }  # fmt: skip
    found = [(row.layer, row.ruler) for row in select(replacing, **where)]
    assert found == [("FILES", "allocated"), ("FILES", "apparent"), ("ENGINE", "reported")]
    volume = select(replacing, layer="VOLUME", grade_asked="U0")
    assert [(row.value, row.outcome) for row in volume] == [(None, "UNSUPPORTED")]
    assert "no file system of its own" in volume[0].reason


def test_u0_has_no_cost_of_copies(replacing: list[Row]) -> None:
    assert not select(replacing, grade_asked="U0", metric="duplicate_cost")
    assert select(replacing, grade_asked="U0", metric="unique_cost")
    assert {row.distance for row in select(replacing, grade_asked="U0")} == {"none"}


def test_deletion_steps_and_refill(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([POSTGRES], grades=(0,))))
    reclaimed = select(found, metric="reclaimed", layer="FILES", ruler="allocated")
    assert [(row.stage, row.mode) for row in reclaimed] == [
        ("delete", "rowwise"),
        ("reclaim", "vacuum"),
        ("reclaim", "vacuum-full"),
    ]
    assert [row.value for row in reclaimed] == pytest.approx([0.02, 0.05, 0.98], abs=1e-4)
    assert one(found, metric="refill_growth", moment="rest").value == pytest.approx(1.0)


def test_time_to_reclaim_ends_when_the_size_stops_falling(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([SQLITE], grades=(0,))))
    row = one(found, metric="time_to_reclaim", stage="delete", layer=None, ruler=None)
    # 0.5 s of operations, 0.02 s of flush, and 0.3 s until the curve has its last value
    assert row.value == pytest.approx(0.82)


def test_footprints_by_component_add_up(replacing: list[Row]) -> None:
    where = {"stage": "insert", "moment": "rest", "grade_asked": "U90", "distance": "adjacent"}
    total = one(replacing, metric="footprint_bytes", **where).value
    parts = [one(replacing, metric=f"footprint_bytes:{name}", **where) for name in ("data", "wal")]
    assert total == sum(row.value or 0 for row in parts)
    baseline = one(replacing, metric="baseline_bytes", grade_asked="U0")
    assert (baseline.stage, baseline.moment) == (None, None)
    gap = one(replacing, metric="apparent_per_allocated", ruler=None, **where)
    assert gap.value is not None
    assert gap.value > 1


def test_timings_come_from_raw_nanoseconds(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([SQLITE], grades=(0,), repetitions=2)))
    read = [row for row in found if row.stage == "read"]
    by_metric = {row.metric: row for row in read}
    assert by_metric["latency_p50_ns"].value == 100_002  # rank 200 of 400
    assert by_metric["latency_max_ns"].value == 200_002
    assert by_metric["latency_min_ns"].value == 1001
    assert by_metric["latency_mean_ns"].value == pytest.approx(100_501.5)
    assert (by_metric["latency_p99_ns"].n, by_metric["latency_p99_ns"].reason) == (2, "")
    assert by_metric["latency_p99_ns"].ci_low is not None
    assert by_metric["latency_p99.9_ns"].reason.startswith("few operations (400)")
    assert by_metric["objects_per_s"].value == 400
    assert by_metric["bytes_per_s"].value == 400 * OBJECT_BYTES
    written = [row for row in found if (row.stage, row.metric) == ("bulk", "write_amplification")]
    assert [row.value for row in written] == [2.0]


def test_repetitions_give_an_interval_around_the_mean(tmp_path: Path) -> None:
    noisy = replace(DUCKDB, noise=0.02)
    found = rows(run_of(tmp_path, matrix([noisy], repetitions=3)))
    row = one(
        found, metric="dedup_efficiency", stage="bulk", moment="rest", grade_asked="U90",
        distance="adjacent",
    )  # fmt: skip
    assert row.n == 3
    assert row.value == pytest.approx(0.97, abs=1e-3)
    assert row.ci_low is not None
    assert row.ci_high is not None
    assert row.ci_low < row.value < row.ci_high  # type: ignore[operator]


def test_without_a_control_costs_are_missing_and_say_so(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([SQLITE], grades=(90,))))
    eta = select(found, metric="dedup_efficiency")
    assert eta
    assert {(row.value, row.outcome, row.reason) for row in eta} == {
        (None, "INVALID", "no U0 control")
    }
    assert all(row.ok for row in select(found, metric="edr", stage="bulk"))


def test_cells_that_failed_leave_rows_with_their_reason(tmp_path: Path) -> None:
    cells = [
        failed(cell, OutcomeKind.FAILED, "no answer") if cell.cell.bulk.grade_percent else cell
        for cell in matrix([SQLITE], grades=(0, 90))
    ]
    found = select(rows(run_of(tmp_path, cells)), grade_asked="U90", metric="dedup_efficiency")
    assert {row.reason for row in found} == {"no answer"}
    assert {row.outcome for row in found} == {"FAILED"}
    assert {(row.stage, row.moment) for row in found} == {
        ("bulk", "flush"), ("bulk", "rest"), ("bulk", "reclaim"),
        ("insert", "flush"), ("insert", "rest"),
    }  # fmt: skip


def test_a_failed_repetition_is_left_out_and_named(tmp_path: Path) -> None:
    cells = matrix([SQLITE], grades=(0,), repetitions=3)
    cells[1] = failed(cells[1], OutcomeKind.INVALID, "99 of 100")
    row = one(rows(run_of(tmp_path, cells)), metric="edr", stage="bulk", moment="rest")
    assert (row.n, row.reason) == (2, "1 cell left out: 99 of 100")


def test_censored_footprints_never_count(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([replace(SQLITE, censored="bulk")])))
    at_rest = select(found, stage="bulk", moment="rest", metric="dedup_efficiency", layer="FILES")
    assert at_rest
    for row in at_rest:
        assert (row.value, row.outcome) == (None, "INVALID")
        assert row.reason == "censored: rest not reached after 1.3 s; busy: merges=2"
    flush = select(found, stage="bulk", moment="flush", metric="dedup_efficiency", layer="FILES")
    assert all(row.ok for row in flush)


def test_a_censored_base_censors_the_increment(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([replace(SQLITE, censored="reclaim")])))
    inserts = select(found, stage="insert", metric="edr")
    assert inserts
    assert not any(row.ok for row in inserts)


def test_unlike_versions_are_never_averaged(tmp_path: Path) -> None:
    cells = matrix([SQLITE], grades=(0,), repetitions=2)
    cells[1] = replace(cells[1], identity=Identity("product", "2.0", "other"))
    found = select(rows(run_of(tmp_path, cells)), metric="edr")
    assert not any(row.ok for row in found)
    assert "product 1.0, product 2.0" in found[0].reason


def test_a_control_of_another_configuration_is_refused(tmp_path: Path) -> None:
    cells = [
        replace(cell, identity=Identity("product", "1.0", "x", {"page_bytes": "8192"}))
        if cell.cell.bulk.grade_percent
        else cell
        for cell in matrix([SQLITE])
    ]
    found = rows(run_of(tmp_path, cells))
    eta = select(found, metric="dedup_efficiency")
    assert not any(row.ok for row in eta)
    assert "page_bytes" in eta[0].reason
    assert all(row.ok for row in select(found, metric="edr", stage="bulk"))


def test_settings_that_differ_in_a_run_keep_their_cells_apart(tmp_path: Path) -> None:
    first = matrix([SQLITE], grades=(0,))
    second = [replace(entry, cell=replace(entry.cell, durability="none")) for entry in first]
    found = rows(run_of(tmp_path, [*first, *second]))
    assert {row.variant for row in found} == {
        "default [durability=fsync]",
        "default [durability=none]",
    }


def test_no_maintenance_is_unsupported_not_zero(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([Behaviour("plain", modes=(), back=(1.0,))])))
    third = select(found, stage="bulk", moment="reclaim", metric="dedup_efficiency")
    assert third
    assert {(row.value, row.outcome) for row in third} == {(None, "UNSUPPORTED")}


def test_a_system_that_stores_nothing_has_no_ratio(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([Behaviour("null", unique_cost=0.0)])))
    edr = select(found, metric="edr", layer="FILES")
    assert edr
    assert {(row.value, row.outcome) for row in edr} == {(None, "INVALID")}
    eta = select(found, metric="dedup_efficiency", layer="FILES")
    assert {row.reason for row in eta} == {"not defined: first copies took no bytes"}


def test_an_invalid_stage_spoils_itself_only(tmp_path: Path) -> None:
    result = result_of(SQLITE, "random_binary", 0, "none")

    def spoiled(entry: Measurement) -> Measurement:
        outcome = failed(result, OutcomeKind.INVALID, "short").outcome
        return replace(entry, outcome=outcome) if entry.stage is Stage.INSERT else entry

    result = replace(result, measurements=tuple(spoiled(entry) for entry in result.measurements))
    found = rows(run_of(tmp_path, [result]))
    assert one(found, metric="edr", stage="insert", moment="rest").reason == "short"
    assert one(found, metric="edr", stage="bulk", moment="rest").ok


def test_every_row_has_a_value_or_a_reason(replacing: list[Row], tmp_path: Path) -> None:
    mixed = rows(run_of(tmp_path, matrix([replace(POSTGRES, censored="delete")])))
    for row in [*replacing, *mixed]:
        assert (row.value is not None) == row.ok
        assert row.ok or row.reason
        assert (row.ci_low is None) == (row.ci_high is None)
        assert row.n > 0 or not row.ok


def test_rows_are_written_as_json(replacing: list[Row]) -> None:
    import json

    back = json.loads(export_json(replacing))
    assert back == [row.as_dict() for row in replacing]
    assert list(back[0])[:5] == ["run", "system", "variant", "payload", "layout"]
    assert json.loads(export_json([])) == []


def test_rows_do_not_depend_on_the_order_of_cells(tmp_path: Path) -> None:
    cells = matrix([SQLITE, DUCKDB], repetitions=2)
    run = run_of(tmp_path, cells)
    assert rows_of(run, cells) == rows_of(run, reversed(cells))
