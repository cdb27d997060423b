"""Calibration, attribution, findings, coverage: the words that figures become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deduplab.analysis import calibrate, findings, rows
from deduplab.analysis.coverage import coverage
from deduplab.analysis.tables import findings_of
from deduplab.cell import CellResult
from deduplab.model import OutcomeKind, Stage
from tests.report.factory import (
    COMPRESSED,
    DUCKDB,
    PLAIN,
    POSTGRES,
    REFERENCES,
    REPLACING,
    SINGLE,
    SQLITE,
    Behaviour,
    failed,
    matrix,
    result_of,
    run_of,
)


def words(tmp_path: Path, behaviour: Behaviour) -> tuple[str, str, str]:
    (finding,) = findings_of(rows(run_of(tmp_path, matrix([behaviour]))))
    found = finding.attribution
    return found.verdict, found.words, found.deletion_words


# Calibration


def test_known_answers_pass(tmp_path: Path) -> None:
    found = calibrate(run_of(tmp_path, matrix(REFERENCES)))
    assert found.verdict == "passed", found
    assert not found.missing
    assert "passed" in found.summary


@pytest.mark.parametrize(
    ("wrong", "store"),
    [
        (replace(PLAIN, shuffled=(0.0, 0.02, 0.0)), "plain"),
        (replace(SINGLE, adjacent=(0.98, 1.0, 1.0)), "single_instance"),
        (Behaviour("chunked", shuffled=(0.95, 0.95, 0.95), adjacent=(1, 1, 1)), "chunked"),
        (replace(COMPRESSED, unique_cost=1.02), "compressed"),
        (replace(PLAIN, unique_cost=1.02), "plain"),
    ],
)
def test_an_answer_that_is_two_percent_off_fails(
    tmp_path: Path, wrong: Behaviour, store: str
) -> None:
    others = [entry for entry in REFERENCES if entry.system != wrong.system]
    found = calibrate(run_of(tmp_path, matrix([*others, wrong])))
    assert found.verdict == "failed"
    assert {check.store for check in found.checks if check.status == "failed"} == {store}
    assert "FAILED" in found.summary


def test_half_a_percent_is_within_tolerance(tmp_path: Path) -> None:
    near = replace(SINGLE, adjacent=(0.995, 0.995, 0.995))
    others = [entry for entry in REFERENCES if entry.system != "single_instance"]
    found = calibrate(run_of(tmp_path, matrix([*others, near])))
    assert found.verdict == "passed"
    worst = next(check for check in found.checks if check.store == "single_instance")
    assert worst.measured == pytest.approx(0.995, abs=1e-4)
    assert "adjacent" in worst.detail


def test_missing_references_leave_it_incomplete(tmp_path: Path) -> None:
    found = calibrate(run_of(tmp_path, matrix([PLAIN, SQLITE])))
    assert found.verdict == "incomplete"
    assert found.missing == ("single_instance", "chunked", "compressed")


def test_a_reference_that_failed_leaves_it_incomplete(tmp_path: Path) -> None:
    cells = [
        failed(cell, OutcomeKind.INVALID, "short")
        if (cell.cell.system, cell.cell.bulk.grade_percent) == ("plain", 90)
        else cell
        for cell in matrix(REFERENCES)
    ]
    found = calibrate(run_of(tmp_path, cells))
    assert found.verdict == "incomplete"
    assert "short" in found.summary


def test_a_run_without_copies_can_not_be_calibrated(tmp_path: Path) -> None:
    assert calibrate(run_of(tmp_path, matrix(REFERENCES, grades=(0,)))).verdict == "incomplete"


def test_text_must_shrink_in_the_compressed_store(tmp_path: Path) -> None:
    def of(cost: float) -> list[CellResult]:
        return matrix([replace(COMPRESSED, unique_cost=cost)], payloads=["text_document"])

    checks = calibrate(run_of(tmp_path / "a", of(0.4))).checks
    assert [check.status for check in checks if check.what == "u < 1, data"] == ["passed"]
    checks = calibrate(run_of(tmp_path / "b", of(1.0))).checks
    assert [check.status for check in checks if check.what == "u < 1, data"] == ["failed"]


def test_the_null_system_must_not_grow_and_gives_the_overhead(tmp_path: Path) -> None:
    null = Behaviour("null", unique_cost=0.0)
    found = calibrate(run_of(tmp_path / "a", matrix([*REFERENCES, null])))
    assert found.verdict == "passed"
    overhead = [check for check in found.checks if check.unit == "ns"]
    assert [check.measured for check in overhead] == [500_000, 5_000_000]
    grown = replace(null, unique_cost=0.001)
    assert calibrate(run_of(tmp_path / "b", matrix([*REFERENCES, grown]))).verdict == "failed"


def test_waiting_in_an_open_loop_is_no_overhead(tmp_path: Path) -> None:
    closed = matrix([Behaviour("null", unique_cost=0.0)])
    waited = [
        replace(
            result,
            cell=replace(result.cell, rate_per_s=200.0),
            measurements=tuple(
                replace(one, rate_per_s=200.0, duration_ns=10**12)
                if one.stage is Stage.INSERT
                else one
                for one in result.measurements
            ),
        )
        for result in closed
    ]
    for name, results, insert in (("a", [*closed, *waited], 5_000_000), ("b", waited, None)):
        checks = calibrate(run_of(tmp_path / name, results)).checks
        overhead = {check.what: check.measured for check in checks if check.unit == "ns"}
        assert overhead["harness overhead, bulk object"] == 500_000
        assert overhead.get("harness overhead, insert object") == insert


# Attribution


def test_nothing_saved(tmp_path: Path) -> None:
    verdict, text, _ = words(tmp_path, SQLITE)
    assert verdict == "none"
    assert "0.00 adjacent, 0.00 shuffled" in text


def test_what_disappears_with_distance_is_compression(tmp_path: Path) -> None:
    verdict, text, _ = words(tmp_path, DUCKDB)
    assert verdict == "compression-implicit"
    assert "disappears with distance (eta 0.97 adjacent, 0.02 shuffled)" in text


def test_one_block_at_ingestion_and_the_rest_by_maintenance(tmp_path: Path) -> None:
    verdict, text, _ = words(tmp_path, REPLACING)
    assert verdict == "ingestion-time + compaction-time"
    assert "Copies inside one inserted block go at ingestion (eta 0.97 adjacent, 0.35" in text
    assert "The rest goes by explicit maintenance; no more went on its own" in text
    assert "within the window of rest (eta 0.99 adjacent, 0.99" in text


def test_what_went_only_by_maintenance_names_the_window_of_rest(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([REPLACING])))
    (finding,) = findings_of(found, [0.1])
    assert "on its own within 0.1 s of rest" in finding.attribution.words
    (finding,) = findings_of(found, [1.0, 0.1])
    assert "on its own within 0.1 to 1 s of rest" in finding.attribution.words


def test_without_a_figure_at_rest_nothing_is_said_about_it(tmp_path: Path) -> None:
    unrested = replace(REPLACING, censored="bulk")
    verdict, text, _ = words(tmp_path, unrested)
    assert verdict == "ingestion-time + compaction-time"
    assert "on its own" not in text
    assert "there is no figure at rest" in text


def test_single_instance_is_ingestion(tmp_path: Path) -> None:
    assert words(tmp_path, SINGLE)[0] == "ingestion-time"


def test_a_merge_in_the_background_is_compaction(tmp_path: Path) -> None:
    merging = Behaviour("log", adjacent=(0, 0.9, 0.9), shuffled=(0, 0.9, 0.9))
    verdict, text, _ = words(tmp_path, merging)
    assert verdict == "compaction-time"
    assert "in the background" in text


def test_near_copies_in_a_shuffled_set_do_not_make_compression_ingestion(tmp_path: Path) -> None:
    window = Behaviour("window", adjacent=(0.9, 0.9, 0.9), shuffled=(0.2, 0.2, 0.2))
    verdict, text, _ = words(tmp_path, window)
    assert verdict == "compression-implicit"
    assert "shrinks with distance" in text


@pytest.mark.parametrize("far", [0.0, 0.2, 0.6])
def test_a_memory_that_is_too_short_is_no_compression_where_nothing_encodes(
    far: float, tmp_path: Path
) -> None:
    """The variant says of itself that nothing in it spans several objects; another may."""
    refusing = Behaviour("nats", "unique-content-short", adjacent=(0.99,) * 3, shuffled=(far,) * 3)
    verdict, text, _ = words(tmp_path / "a", refusing)
    assert verdict == "ingestion-time"
    assert "stored when it is forgotten: eta 0.99 adjacent" in text
    assert "Compression, not" not in text
    verdict, text, _ = words(tmp_path / "b", replace(refusing, variant="s2"))
    assert "compression-implicit" in verdict


def test_without_shuffled_cells_nothing_is_claimed(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([DUCKDB], distances=["adjacent"])))
    (finding,) = findings_of(found)
    assert finding.attribution.mechanisms == ("undecided",)


@pytest.mark.parametrize(("eta", "verdict"), [(0.12, "undecided"), (0.98, "ingestion-time")])
def test_without_adjacent_cells_a_part_that_is_saved_is_no_deduplication(
    eta: float, verdict: str, tmp_path: Path
) -> None:
    store = Behaviour("store", adjacent=(1.0, 1.0, 1.0), shuffled=(eta, eta, eta))
    (finding,) = findings_of(rows(run_of(tmp_path, matrix([store], distances=["shuffled"]))))
    assert finding.attribution.verdict == verdict
    assert ("without adjacent ones" in finding.attribution.words) == (verdict == "undecided")


def test_storage_layer_is_not_claimed_without_the_volume(tmp_path: Path) -> None:
    for number, behaviour in enumerate((SQLITE, DUCKDB, REPLACING, SINGLE)):
        assert "storage-layer" not in words(tmp_path / str(number), behaviour)[0]


def test_deleted_is_not_reclaimed_until(tmp_path: Path) -> None:
    assert words(tmp_path, POSTGRES)[2] == (
        "Deleted is not reclaimed until vacuum-full "
        "(reclaimed 0.02 after delete, 0.05 after vacuum, 0.98 after vacuum-full)."
    )


def test_deleted_is_reclaimed_at_once_or_never(tmp_path: Path) -> None:
    assert words(tmp_path / "a", PLAIN)[2].startswith("Deleted is reclaimed at once")
    never = replace(SQLITE, back=(0.0, 0.1))
    assert words(tmp_path / "b", never)[2].startswith("Deleted is not reclaimed (reclaimed 0.00")


def test_the_null_system_stores_nothing(tmp_path: Path) -> None:
    assert words(tmp_path, Behaviour("null", unique_cost=0.0))[0] == "stores nothing"


# What must not be concluded


def outcome_of(tmp_path: Path, cells: list[CellResult]) -> tuple[str, str]:
    (finding,) = findings_of(rows(run_of(tmp_path, cells)))
    return finding.attribution.verdict, finding.attribution.words


def replaced(
    cells: list[CellResult], distance: str, change: Callable[[CellResult], CellResult]
) -> list[CellResult]:
    """Change the cells of U90 at a distance."""
    return [
        change(cell)
        if (cell.cell.bulk.grade_percent, cell.cell.bulk.distance) == (90, distance)
        else cell
        for cell in cells
    ]


def test_half_of_the_copies_found_is_said_so(tmp_path: Path) -> None:
    half = Behaviour("half", adjacent=(0.5, 0.5, 0.5), shuffled=(0.5, 0.5, 0.5))
    verdict, text, _ = words(tmp_path / "a", half)
    assert verdict == "ingestion-time"
    assert text.startswith("A part of the copies is removed at ingestion (eta 0.50 adjacent")
    later = replace(half, adjacent=(0.0, 0.5, 0.5), shuffled=(0.0, 0.5, 0.5))
    verdict, text, _ = words(tmp_path / "b", later)
    assert verdict == "compaction-time"
    assert "a part of them goes in the background" in text


def test_no_inserted_block_is_named_where_adjacent_copies_save_no_more(tmp_path: Path) -> None:
    both = Behaviour("both", adjacent=(0.5, 1.0, 1.0), shuffled=(0.5, 1.0, 1.0))
    verdict, text, _ = words(tmp_path, both)
    assert verdict == "ingestion-time + compaction-time"
    assert "block" not in text


def test_an_index_that_grows_makes_a_copy_cost_more(tmp_path: Path) -> None:
    verdict, text, _ = words(
        tmp_path, Behaviour("index", adjacent=(-0.3,) * 3, shuffled=(-0.3,) * 3)
    )
    assert verdict == "none"
    assert "a copy costs more than the first one cost" in text
    assert "costs what" not in text


def test_more_saved_than_there_are_copies_is_no_verdict(tmp_path: Path) -> None:
    verdict, text, _ = words(tmp_path, Behaviour("odd", adjacent=(1.3,) * 3, shuffled=(1.3,) * 3))
    assert verdict == "undecided"
    assert "the control does not explain it" in text


def test_what_does_not_last_is_said(tmp_path: Path) -> None:
    grown = Behaviour("grown", adjacent=(0.95, 0.95, 0.0), shuffled=(0.95, 0.95, 0.0))
    verdict, text, _ = words(tmp_path, grown)
    assert verdict == "ingestion-time"
    assert "It does not last (shuffled eta 0.95 at flush, 0.95 at rest, 0.00 at reclaim)" in text


def test_distances_are_compared_at_a_moment_that_both_have(tmp_path: Path) -> None:
    censored = result_of(replace(REPLACING, censored="reclaim"), "random_binary", 90, "shuffled")
    cells = replaced(matrix([REPLACING]), "shuffled", lambda _: censored)
    verdict, text = outcome_of(tmp_path, cells)
    assert verdict == "undecided"
    assert "0.97 adjacent, 0.36 shuffled" in text
    assert "copies may go at reclaim" in text


def test_what_far_copies_save_late_counts_without_near_ones(tmp_path: Path) -> None:
    late = Behaviour("late", adjacent=(0, 0, 1), shuffled=(0, 0, 1))
    censored = result_of(replace(late, censored="reclaim"), "random_binary", 90, "adjacent")
    verdict, text = outcome_of(tmp_path, replaced(matrix([late]), "adjacent", lambda _: censored))
    assert verdict == "compaction-time"
    assert "by explicit maintenance" in text


def test_without_a_figure_at_flush_ingestion_is_not_told_from_what_comes_later(
    tmp_path: Path,
) -> None:
    def buffered(cell: CellResult) -> CellResult:
        bulk, *others = cell.measurements
        assert cell.baseline is not None
        flush = replace(bulk.moments[0], footprint=cell.baseline.footprint)
        return replace(
            cell,
            measurements=(replace(bulk, moments=(flush, *bulk.moments[1:])), *others),
        )

    cells = [cell if cell.cell.bulk.grade_percent else buffered(cell) for cell in matrix([SINGLE])]
    verdict, text = outcome_of(tmp_path, cells)
    assert verdict == "undecided"
    assert "whether at ingestion or later can't be told: not defined: first copies took" in text


def test_nothing_saved_is_not_claimed_before_a_censored_maintenance(tmp_path: Path) -> None:
    late = Behaviour("late", adjacent=(0, 0, 1), shuffled=(0, 0, 1), censored="reclaim")
    verdict, text, _ = words(tmp_path, late)
    assert verdict == "undecided"
    assert "censored: reclaim not reached" in text


@pytest.mark.parametrize("distance", ["adjacent", "shuffled"])
def test_why_a_distance_has_no_figure_is_said(distance: str, tmp_path: Path) -> None:
    store = Behaviour("store", adjacent=(0.4, 0.4, 0.4), shuffled=(0.4, 0.4, 0.4))
    cells = replaced(
        matrix([store]), distance, lambda cell: failed(cell, OutcomeKind.FAILED, "no answer")
    )
    verdict, text = outcome_of(tmp_path, cells)
    assert verdict == "undecided"
    assert "(no answer)" in text


def test_why_a_system_has_no_figure_at_all_is_said(tmp_path: Path) -> None:
    """As with several clients of a system whose files belong to one process."""
    why = "sqlite can't have 2 clients: its files belong to one process"
    cells = [failed(cell, OutcomeKind.UNSUPPORTED, why) for cell in matrix([SQLITE])]
    verdict, text = outcome_of(tmp_path, cells)
    assert verdict == "undecided"
    assert text == f"No eta that counts: {why}."


def test_without_adjacent_copies_compression_is_not_excluded(tmp_path: Path) -> None:
    verdict, text = outcome_of(tmp_path, matrix([DUCKDB], distances=["shuffled"]))
    assert verdict == "none"
    assert "compression of neighbours is not excluded" in text


@pytest.mark.parametrize("distances", [("adjacent", "shuffled", 1 << 24), ("shuffled", 1 << 24)])
def test_a_window_over_the_whole_dataset_is_found_beyond_it(
    distances: tuple[str | int, ...], tmp_path: Path
) -> None:
    window = Behaviour("window", adjacent=(0.95,) * 3, shuffled=(0.9,) * 3, apart=(0.02,) * 3)
    (finding,) = findings_of(rows(run_of(tmp_path, matrix([window], distances=distances))))
    assert finding.attribution.verdict == "compression-implicit"
    assert "0.02 at 16.0 MiB" in finding.attribution.words
    words = "distance effect: 0.93 of eta" if "adjacent" in distances else ""
    assert finding.distance_words == words


def test_the_distance_effect_is_that_of_the_copies_which_the_verdict_is_about(
    tmp_path: Path,
) -> None:
    store = Behaviour("store", adjacent=(0.95,) * 3, shuffled=(0.92,) * 3, apart=(0.84,) * 3)
    cells = matrix([store], distances=["adjacent", "shuffled", 1 << 24])
    (finding,) = findings_of(rows(run_of(tmp_path, cells)))
    assert finding.attribution.verdict == "ingestion-time"
    assert finding.distance_words == "no distance effect"


def test_an_interval_that_reaches_below_zero_names_no_mechanism(tmp_path: Path) -> None:
    store = Behaviour("store", adjacent=(0.2,) * 3, shuffled=(0.15,) * 3)
    assert outcome_of(tmp_path / "a", matrix([store], repetitions=3))[0] == "ingestion-time"
    noisy = matrix([replace(store, noise=0.3)], repetitions=3)
    verdict, text = outcome_of(tmp_path / "b", noisy)
    assert verdict == "undecided"
    assert "The repetitions do not agree" in text


def test_an_unsteady_far_eta_does_not_hide_what_adjacent_copies_save(tmp_path: Path) -> None:
    noisy = replace(DUCKDB, shuffled=(0.12, 0.12, 0.12), noise=0.05)
    assert outcome_of(tmp_path, matrix([noisy], repetitions=3))[0] == "compression-implicit"


def test_without_a_figure_after_delete_nothing_is_said_about_it(tmp_path: Path) -> None:
    found = words(tmp_path, replace(SQLITE, censored="delete"))[2]
    assert found == (
        "Deleted is reclaimed after vacuum (reclaimed 1.00 after vacuum; there is no figure after "
        "delete)."
    )


def test_a_list_of_distances_has_costs_in_the_finding(tmp_path: Path) -> None:
    cells = matrix([SINGLE], distances=[(4096, 65_536)])
    (finding,) = findings_of(rows(run_of(tmp_path, cells)))
    assert {cost.distance for cost in finding.costs} == {"4096+65536"}
    assert any(cost.dedup_efficiency and cost.dedup_efficiency.ok for cost in finding.costs)


# Tables and coverage


def test_the_findings_table_shows_three_moments_side_by_side(tmp_path: Path) -> None:
    table = findings(rows(run_of(tmp_path, matrix([REPLACING, PLAIN]))))
    titles = [header.title for header in table.headers]
    first = dict(zip(titles, table.lines[0], strict=True))
    assert first["system"] == "clickhouse/replacing-by-hash"
    assert first["eta shuffled"] == "0.35 0.36 0.99"
    assert first["c adjacent"] == "0.03 0.03 0.01"
    second = dict(zip(titles, table.lines[1], strict=True))
    assert second["eta adjacent"] == "0.00 0.00 –"
    text = table.to_text()
    assert "compaction-time" in text
    starts = {line.index(" U90 ") for line in text.splitlines()[4:6]}
    assert len(starts) == 1
    assert findings([]).lines == ()


def test_coverage_counts_and_joins_equal_troubles(tmp_path: Path) -> None:
    cells = matrix([replace(SQLITE, censored="delete"), PLAIN], grades=(0, 90))
    cells[0] = failed(cells[0], OutcomeKind.FAILED, "no answer")
    run = run_of(tmp_path, cells, lambda ids: [*ids, "a planned one"])
    found = coverage(run.header, run.cells())
    assert (found.planned, found.committed, found.outstanding) == (7, 6, 1)
    assert found.by_outcome == {"OK": 5, "UNSUPPORTED": 0, "INVALID": 0, "FAILED": 1}
    kinds = [(trouble.kind, trouble.system) for trouble in found.troubles]
    assert kinds == [("FAILED", "sqlite"), ("censored", "sqlite"), ("UNSUPPORTED", "plain")]
    censored = found.troubles[1]
    assert len(censored.cells) == 3
    assert censored.stage == "delete (rowwise)"
    assert len(censored.curve) == 3
    assert "merges" in censored.reason
