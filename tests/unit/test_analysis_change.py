"""Changes: known answers, what repetitions can tell, and how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deduplab.analysis.change import Change, Verdict, change, enough, kind_of
from deduplab.analysis.comparison import ALIASES, METRICS, MORE
from deduplab.analysis.row import ROW_FIELDS, Row
from deduplab.analysis.statistics import estimate, first_column, interval, percentiles, unpaired
from deduplab.analysis.threshold import judged, parse_threshold
from deduplab.errors import PlanError

TRIALS = 400


def row_of(values: list[float], metric: str = "unique_cost", reason: str = "") -> Row:
    """Return the row of a figure with these repetitions."""
    found = estimate(first_column, [np.array(values, dtype=np.float64)[:, None]])
    return Row(
        run="r", system="s", variant="default", payload="p", layout="blob", grade_asked="U0",
        grade_achieved=0.0, distance="none", placement="within", rate_per_s=None, clients=1,
        replicas=1,
        stage="bulk", moment="rest", mode=None, layer=None, ruler=None, metric=metric,
        value=found.value, ci_low=found.low, ci_high=found.high, n=found.n, unit="ratio",
        outcome="OK", reason=reason, draws=found.draws,
    )  # fmt: skip


def missing(reason: str) -> Row:
    return Row(**{
        **row_of([1.0]).as_dict(), "value": None, "ci_low": None, "ci_high": None, "n": 0,
        "outcome": "INVALID", "reason": reason,
    })  # fmt: skip


def test_a_ratio_has_the_answer_that_is_known() -> None:
    found = change(row_of([10.0] * 4), row_of([15.0] * 4))
    assert (found.kind, found.value, found.low, found.high) == ("ratio", 1.5, 1.5, 1.5)
    assert found.verdict is Verdict.DIFFERS


def test_a_difference_has_the_answer_that_is_known() -> None:
    first, second = (row_of([value] * 5, "dedup_efficiency") for value in (0.0, -0.25))
    found = change(first, second)
    assert (found.kind, found.value, found.low, found.high) == ("difference", -0.25, -0.25, -0.25)
    assert found.verdict is Verdict.DIFFERS


def test_few_repetitions_have_the_widest_interval_that_their_ranges_allow() -> None:
    found = change(row_of([1.0, 2.0, 2.0, 2.0]), row_of([3.0, 4.0, 4.0, 5.0]))
    assert found.value == 4.0 / 1.75
    assert (found.low, found.high) == (3.0 / 2.0, 5.0 / 1.0)
    assert found.verdict is Verdict.DIFFERS
    apart = change(row_of([1.0, 2.0, 2.0, 3.0]), row_of([3.0, 4.0, 4.0, 5.0]))
    assert (apart.low, apart.verdict) == (1.0, Verdict.SAME)


def test_what_is_alike_shows_no_difference_whatever_rounding_does() -> None:
    found = change(row_of([0.1 + 0.2] * 4), row_of([0.3] * 4))
    assert found.verdict is Verdict.SAME
    assert change(row_of([0.0] * 4), row_of([0.0] * 4)).verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("first_n", "second_n", "expected"),
    [(1, 1, False), (1, 60, False), (2, 30, False), (3, 3, False), (3, 4, False),
     (3, 5, True), (4, 4, True), (5, 5, True)],
)  # fmt: skip
def test_so_many_repetitions_are_enough(first_n: int, second_n: int, expected: bool) -> None:
    assert enough(first_n, second_n) is expected
    found = change(row_of([1.0] * first_n), row_of([2.0] * second_n))
    assert (found.verdict is not Verdict.UNTOLD) is expected
    assert found.value == 2.0, "the figures are shown all the same"
    if not expected:
        assert found.reason == f"too few repetitions: n = {first_n} and {second_n}"


def test_what_is_missing_is_told_with_its_side_and_reason() -> None:
    there, gone = row_of([1.0] * 4), missing("censored: x")
    assert change(there, gone).reason == "missing in B: censored: x"
    assert change(gone, there).reason == "missing in A: censored: x"
    assert change(gone, gone).reason == "missing in both: censored: x"
    assert change(there, None).reason == "missing in B: no such figure"
    both = change(gone, missing("no U0 control"))
    assert both.reason == "missing in A: censored: x; missing in B: no U0 control"
    assert {change(there, gone).verdict, both.verdict} == {Verdict.UNTOLD}


def test_what_has_no_ratio_is_not_given_one() -> None:
    found = change(row_of([0.0] * 4), row_of([1.0] * 4))
    assert (found.value, found.verdict) == (None, Verdict.UNTOLD)
    crossing = change(row_of([-1.0, 1.0, 2.0, 3.0]), row_of([1.0] * 4))
    assert (crossing.low, crossing.verdict) == (None, Verdict.UNTOLD)
    assert crossing.reason == "not defined in every draw of the repetitions"


def test_remarks_of_either_side_are_kept() -> None:
    first, second = row_of([1.0] * 4, reason="1 cell left out: x"), row_of([1.0] * 4)
    assert change(first, second).reason == "A: 1 cell left out: x"
    assert change(second, first).reason == "B: 1 cell left out: x"


def test_draws_are_no_field_of_an_export_and_compare_with_nothing() -> None:
    assert "draws" not in ROW_FIELDS
    assert row_of([1.0, 2.0]) == row_of([1.0, 2.0])


def test_draws_give_the_interval_of_their_figure() -> None:
    values = np.array([[1.0], [2.0], [4.0], [5.0], [9.0]])
    found = estimate(first_column, [values])
    assert found.draws is not None
    assert interval(found.draws(), 5) == (found.low, found.high)
    rank = percentiles([np.array([1, 5, 9]), np.array([2, 3, 40]), np.array([1, 1, 7])], [0.5])[0]
    assert rank.draws is not None
    assert interval(rank.draws(), 3) == (rank.low, rank.high)
    assert estimate(first_column, [np.array([[3.0]])]).draws is None


def test_two_runs_are_not_drawn_alike() -> None:
    draws = row_of([1.0, 2.0, 4.0, 8.0, 16.0]).draws
    assert draws is not None
    other = unpaired(draws())
    assert sorted(other) == sorted(draws())
    assert abs(np.corrcoef(draws(), other)[0, 1]) < 0.1


def _trial(rng: np.random.Generator, sizes: tuple[int, int], ratio: float, noise: float) -> Change:
    first, second = (
        row_of(list(mean * np.exp(rng.normal(0, noise, size=size))))
        for mean, size in zip((1.0, ratio), sizes, strict=True)
    )
    return change(first, second)


@pytest.mark.parametrize("sizes", [(3, 5), (4, 4), (5, 5), (5, 12), (10, 10), (20, 20)])
def test_intervals_of_ratios_hold_the_truth(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(sizes))
    held = 0
    for _ in range(TRIALS):
        found = _trial(rng, sizes, 1.3, 0.2)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.3 <= found.high
    assert held / TRIALS >= 0.95 - 2.5 * math.sqrt(0.95 * 0.05 / TRIALS)


@pytest.mark.parametrize("sizes", [(4, 4), (5, 5), (10, 10)])
def test_a_threshold_is_not_broken_by_noise(sizes: tuple[int, int]) -> None:
    """Nothing changed, and repetitions vary by a fifth: hardly one of a hundred breaks 10 %."""
    rng = np.random.default_rng(7)
    limit = parse_threshold("u+10%")
    broken = sum(limit.broken_by(_trial(rng, sizes, 1.0, 0.2)) for _ in range(TRIALS))
    assert broken / TRIALS <= 0.01


def test_a_change_that_is_great_is_found() -> None:
    rng = np.random.default_rng(3)
    limit = parse_threshold("u+10%")
    found = [_trial(rng, (5, 5), 2.0, 0.1) for _ in range(100)]
    assert sum(one.verdict is Verdict.DIFFERS for one in found) >= 99
    assert sum(limit.broken_by(one) for one in found) >= 99


@pytest.mark.parametrize(
    ("text", "metric", "rises", "limit"),
    [
        ("p99+20%", "latency_p99_ns", True, 1.2),
        ("objects_per_s - 10 %", "objects_per_s", False, 0.9),
        ("eta-0.05", "dedup_efficiency", False, -0.05),
        ("duplicate_cost+0.1", "duplicate_cost", True, 0.1),
        ("latency_p99.9_ns+100%", "latency_p99.9_ns", True, 2.0),
    ],
)
def test_thresholds_are_read(text: str, metric: str, rises: bool, limit: float) -> None:
    found = parse_threshold(text)
    assert (found.metric, found.rises) == (metric, rises)
    assert found.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p99", r"not a threshold: 'p99'; write a metric, \+ or -"),
        ("p99>20%", "not a threshold"),
        ("p98+20%", r"unknown metric 'p98'; did you mean 'p99'\?"),
        ("eta-5%", "may be 0, so its change is a difference"),
        ("p99+20", r"the change of p99 is a ratio; write p99\+10%"),
        ("p99-100%", "nothing falls by 100 % or more"),
    ],
)
def test_what_is_no_threshold_is_refused(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        parse_threshold(text)


def test_a_threshold_is_broken_only_beyond_the_whole_interval() -> None:
    first = row_of([1.0, 1.0, 1.0, 1.0])
    limit = parse_threshold("u+10%")
    near = change(first, row_of([1.05, 1.2, 1.2, 1.2]))
    beyond = change(first, row_of([1.11, 1.2, 1.2, 1.2]))
    untold = change(row_of([1.0]), row_of([9.0]))
    found = judged(limit, [near, beyond, untold])
    assert (found.broken, found.judged, found.untold) == ((beyond,), 2, 1)
    assert found.words == "u+10%: broken by 1 of 2 figures, 1 more can't be told"
    none = judged(limit, [untold])
    assert none.words == "u+10%: could not be judged, nothing can be told of 1 figures"
    absent = judged(parse_threshold("backlog_s+1"), [near])
    assert absent.words == (
        "backlog_s+1: could not be judged, no cell that both have has this figure"
    )
    fallen = parse_threshold("u-10%")
    assert fallen.broken_by(change(first, row_of([0.89] * 4)))
    assert not fallen.broken_by(change(first, row_of([0.91] * 4)))
    assert not fallen.broken_by(change(first, row_of([9.0] * 4)))


def test_every_name_means_a_metric_and_has_one_kind() -> None:
    known = {*METRICS, *MORE}
    assert set(ALIASES.values()) <= known
    assert {kind_of(metric) for metric in known} == {"ratio", "difference"}
    assert kind_of("footprint_bytes:wal") == "ratio"
