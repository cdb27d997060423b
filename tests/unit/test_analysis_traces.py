"""Rates, gaps and stages of traces made by hand, and which cells stand for their systems."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from deduplab.analysis.trace_account import account_of
from deduplab.analysis.trace_rates import Curve, cores, growth, thinned, value_at, window_s
from deduplab.analysis.trace_spans import places, spans
from deduplab.analysis.trace_stages import stages_seen
from deduplab.analysis.traces import MOST_DRAWN, best, picture_of, traces_of
from deduplab.cell import CellResult
from deduplab.model import OutcomeKind
from deduplab.trace import FILES_COLUMN, Mark
from tests.report.factory import Behaviour, failed, result_of
from tests.report.trace_factory import MIB, MS, NAN, asking, trace_of, traced_run, usual_trace

CPU = "system_cpu_ns"


def cell(
    system: str = "sqlite",
    grade: int = 50,
    repetition: int = 1,
    variant: str = "default",
    distance: str = "shuffled",
) -> CellResult:
    behaviour = Behaviour(system, variant, modes=("vacuum",))
    return asking(result_of(behaviour, "random_binary", grade, distance, repetition))


# Rates


def test_a_steady_counter_is_one_rate_up_to_both_ends() -> None:
    trace = trace_of({CPU: [25 * MS * n for n in range(20)]})
    assert window_s(trace) == 0.5
    assert cores(trace, CPU, 0.5) == pytest.approx(np.full(20, 0.25))


def test_a_burst_is_spread_over_the_window_and_no_wider() -> None:
    found = cores(trace_of({CPU: [0.0] * 10 + [100.0 * MS] * 10}), CPU, 0.5)
    assert found is not None
    assert found[:7] == pytest.approx(0)
    assert found[8:12] == pytest.approx(0.25)  # 100 ms in the 400 ms between five samples
    assert found[13:] == pytest.approx(0)


def test_a_counter_knows_what_passed_while_it_was_not_read() -> None:
    values = [25.0 * MS * n for n in range(20)]
    values[7] = values[9] = NAN
    assert cores(trace_of({CPU: values}), CPU, 0.5) == pytest.approx(np.full(20, 0.25))


def test_a_long_gap_of_a_counter_stays_a_gap() -> None:
    values = [25.0 * MS * n for n in range(20)]
    values[6:14] = [NAN] * 8
    found = cores(trace_of({CPU: values}), CPU, 0.5)
    assert found is not None
    assert np.isnan(found[7:13]).all()
    assert found[:5] == pytest.approx(0.25)
    assert found[15:] == pytest.approx(0.25)


def test_a_counter_that_fell_has_no_rate_about_the_fall() -> None:
    values = [25.0 * MS * n for n in range(10)] + [25.0 * MS * n for n in range(10)]
    found = cores(trace_of({CPU: values}), CPU, 0.5)
    assert found is not None
    assert np.isnan(found[8:12]).all()
    assert np.nanmin(found) == pytest.approx(0.25)


def test_no_counter_is_none_and_one_never_read_is_all_missing() -> None:
    trace = trace_of({CPU: [NAN] * 5})
    assert cores(trace, "client_cpu_ns", 0.5) is None
    found = cores(trace, CPU, 0.5)
    assert found is not None
    assert np.isnan(found).all()


def test_the_window_holds_several_samples_of_a_coarse_trace() -> None:
    assert window_s(trace_of({CPU: [0.0] * 5}, kept_of=4)) == pytest.approx(1.6)
    assert window_s(trace_of({CPU: [0.0] * 2}, at_ms=[0, 600_000])) == pytest.approx(5)


def test_a_value_at_a_moment_is_the_last_one_unless_that_is_old() -> None:
    trace = trace_of({FILES_COLUMN: [1.0, 2.0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 3.0]})
    assert value_at(trace, FILES_COLUMN, 199 * MS) is None  # nothing before
    assert value_at(trace, FILES_COLUMN, 299 * MS) == 1
    assert value_at(trace, FILES_COLUMN, 800 * MS) == 2
    assert value_at(trace, FILES_COLUMN, 801 * MS) is None
    assert value_at(trace, FILES_COLUMN, 1100 * MS) == 3
    assert value_at(trace, "volume_used_bytes", 1100 * MS) is None


def test_growth_is_by_the_time_between_the_samples() -> None:
    trace = trace_of({CPU: [0.0, 10.0, 30.0, 60.0]})
    assert growth(trace, CPU, 250 * MS, 480 * MS) == (30.0, 0.2)
    assert growth(trace, CPU, 250 * MS, 260 * MS) is None  # one sample tells of both
    fallen = trace_of({CPU: [0.0, 50.0, 10.0, 60.0]})
    assert growth(fallen, CPU, 200 * MS, 500 * MS) is None


def test_a_thinned_curve_keeps_extremes_and_gaps() -> None:
    values = np.zeros(10_000)
    values[4321], values[8765] = 7.0, -2.0
    values[2000:3000] = NAN
    found = thinned(Curve(np.arange(10_000.0), values))
    assert len(found.values) <= 300
    assert np.nanmax(found.values) == 7
    assert np.nanmin(found.values) == -2
    assert (np.diff(found.at_s) > 0).all()
    inside = (found.at_s >= 2000) & (found.at_s < 2950)
    assert inside.sum() > 10
    assert np.isnan(found.values[inside]).all()


# Stages


def test_spans_leave_no_time_out() -> None:
    found = spans(usual_trace())
    assert [span.name for span in found] == ["baseline", "bulk", "reclaim", "reclaim"]
    assert [span.position for span in found] == [-1, 0, 1, 2]
    assert [part.name for part in found[1].parts] == ["operations", "flush", "rest", "proof"]
    assert [part.name for part in found[0].parts] == [""]
    assert found[-1].end_ns == 3010 * MS
    for before, after in pairwise(found):
        assert before.end_ns == after.begin_ns


def test_each_sample_has_its_place() -> None:
    trace = usual_trace()
    found = dict(zip((trace.at_ns // MS).tolist(), places(trace), strict=True))
    assert found[200] == ("", "")  # before the first mark
    assert found[300] == ("baseline", "")
    assert found[1000] == ("bulk", "operations")
    assert found[2000] == ("bulk", "flush")
    assert found[2400] == ("bulk", "rest")
    assert found[2500] == ("bulk", "proof")
    assert found[2600] == ("reclaim", "operations")
    assert found[3000] == ("reclaim", "operations")
    assert found[3100] == ("", "")  # after the last


def test_stages_have_figures_or_say_that_they_have_none() -> None:
    baseline, bulk, first, second = stages_seen(usual_trace())
    assert (bulk.begin_s, bulk.length_s) == (1.0, 1.6)
    assert (bulk.files_begin_bytes, bulk.files_end_bytes) == (4 * MIB, 60 * MIB)
    assert bulk.cpu_mean_cores == pytest.approx(0.5)
    assert bulk.cpu_most_cores == pytest.approx(0.5)
    assert bulk.written_bytes == 16 * MIB
    assert baseline.cpu_mean_cores == pytest.approx(0)
    assert first.cpu_mean_cores == pytest.approx(0.5)  # over the 100 ms of one tick
    assert second.cpu_most_cores is None  # shorter than the window
    bare = stages_seen(trace_of({FILES_COLUMN: [NAN] * 30}))[1]
    assert bare.files_end_bytes is None
    assert bare.cpu_mean_cores is None
    assert bare.cpu_most_cores is None
    assert bare.written_bytes is None


def test_too_short_a_time_has_no_cpu() -> None:
    marks = (Mark(200 * MS, 0, "read"), Mark(240 * MS, -1, "end"))
    trace = trace_of({CPU: [0.0, 10.0 * MS]}, at_ms=[200, 240], marks=marks)
    assert stages_seen(trace)[0].cpu_mean_cores is None


# Account


def test_the_account_of_a_trace() -> None:
    trace = usual_trace(missed_ticks=3)
    found = account_of(trace, has_volume=False)
    assert (found.samples, found.missed_ticks) == (30, 3)
    assert found.attained_hz == pytest.approx(10)
    assert found.tracer_cores == pytest.approx(0.058 / 2.9)
    assert [(lack.source, round(lack.share_known, 2)) for lack in found.lacks] == [
        ("client", 0.93),
        ("engine", 0.0),
    ]
    assert found.lacks[1].reason == "it tells no counters that are cheap enough"
    assert next(iter(account_of(trace, has_volume=True).lacks)).source == "volume"


def test_the_last_sample_is_no_tick() -> None:
    trace = trace_of({CPU: [0.0] * 4}, at_ms=[0, 100, 200, 201], kept_of=2)
    assert account_of(trace, has_volume=False).attained_hz == pytest.approx(20)
    assert account_of(trace_of({CPU: [0.0] * 2}), has_volume=False).attained_hz is None


def test_reasons_are_those_of_the_trace_or_of_what_it_is() -> None:
    told = trace_of({CPU: [0.0] * 5}, reasons={"engine": "it refused"})
    lacks = {lack.source: lack.reason for lack in account_of(told, has_volume=False).lacks}
    assert lacks["engine"] == "it refused"
    assert "embedded" in lacks["client"]
    remote = trace_of({"engine_rows": [0.0] * 5})
    lacks = {lack.source: lack.reason for lack in account_of(remote, has_volume=False).lacks}
    assert "on this machine" in lacks["files"]
    assert "on this machine" in lacks["system"]


# Choice


def test_the_cell_with_the_most_copies_in_its_first_repetition_stands_for_its_system() -> None:
    cells = [
        cell(grade=0),
        cell(grade=90, repetition=2),
        cell(grade=90, distance="adjacent"),
        cell(grade=90),
        cell(grade=50),
    ]
    chosen = best(cells).cell
    assert (chosen.bulk.grade_percent, chosen.repetition) == (90, 1)
    assert chosen.bulk.distance == "shuffled"
    broken = failed(cell(grade=95), OutcomeKind.FAILED, "gone")
    assert best([broken, *cells]).cell == chosen
    assert best([broken]) is broken


def test_a_cell_without_a_trace_leaves_its_place_to_another(tmp_path: Path) -> None:
    first, second = cell(grade=90), cell(grade=90, repetition=2)
    lost = asking(first, "the tracer did not answer within 20 s")
    run = traced_run(
        tmp_path,
        [(second, usual_trace()), (cell(grade=0), usual_trace())],
        [lost],
    )
    found = traces_of(run, list(run.cells()))
    assert found is not None
    (system,) = found.systems
    assert system.chosen is not None
    assert system.chosen.cell == second.cell
    assert (system.traced, system.cells) == (2, 3)
    assert system.missing == (("the tracer did not answer within 20 s", 1),)


def test_variants_leave_room_for_other_systems(tmp_path: Path) -> None:
    variants = [cell("alpha", variant=f"v{number:02}") for number in range(MOST_DRAWN)]
    others = [cell(name) for name in ("beta", "gamma", "plain", "null")]
    run = traced_run(tmp_path, [(one, usual_trace()) for one in [*variants, *others]])
    read: list[str] = []
    original = run.trace
    run.trace = lambda cell_id: read.append(cell_id) or original(cell_id)  # type: ignore
    found = traces_of(run, list(run.cells()))
    assert found is not None
    drawn = [system.name for system in found.systems if system.chosen]
    assert len(drawn) == len(read) == MOST_DRAWN
    assert {"beta", "gamma"} <= set(drawn)
    assert {"plain", "null", "alpha/v11", "alpha/v10"} == set(found.left_out)
    assert [system.name for system in found.systems][-2:] == ["plain", "null"]


def test_a_plan_without_traces_has_none(tmp_path: Path) -> None:
    plain = result_of(Behaviour("sqlite"), "random_binary", 0, "none")
    run = traced_run(tmp_path, [(plain, None)])
    assert traces_of(run, list(run.cells())) is None


def test_a_picture_is_in_multiples_of_the_logical_bytes_of_bulk() -> None:
    result = cell()
    found = picture_of(result, usual_trace())
    assert found is not None
    assert found.files is not None
    assert found.files.values[-1] == pytest.approx(60 * MIB / result.cell.bulk.logical_bytes)
    assert found.volume is None
    assert found.client_cores is not None
    assert picture_of(result, trace_of({CPU: [0.0] * 3})) is None
