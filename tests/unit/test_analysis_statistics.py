"""Percentiles, bootstrap intervals: against plain computations."""

from __future__ import annotations

import numpy as np
import pytest

from deduplab.analysis.statistics import estimate, first_column, percentiles, quotient


def test_one_repetition_has_no_interval() -> None:
    found = estimate(first_column, [np.array([[3.0]])])
    assert (found.value, found.low, found.high, found.n) == (3.0, None, None, 1)


def test_the_interval_holds_the_mean_and_is_the_same_every_time() -> None:
    values = np.array([[1.0], [2.0], [4.0], [5.0]])
    first, second = estimate(first_column, [values]), estimate(first_column, [values])
    assert first == second
    assert first.low is not None
    assert first.high is not None
    assert 1.0 <= first.low < 3.0 < first.high <= 5.0


def test_a_quotient_is_that_of_the_means() -> None:
    found = estimate(quotient, [np.array([[1.0, 1.0], [3.0, 1.0]])])
    assert found.value == 2.0


def test_what_is_not_defined_has_no_value() -> None:
    assert estimate(quotient, [np.array([[1.0, 0.0]])]).value is None


def test_an_interval_is_refused_where_some_draws_are_not_defined() -> None:
    found = estimate(quotient, [np.array([[1.0, 0.0], [1.0, 1.0]])])
    assert found.value == 2.0
    assert found.low is None


def test_n_is_that_of_the_smaller_group() -> None:
    groups = [np.ones((5, 1)), np.ones((1, 1))]
    found = estimate(lambda means: means[0][..., 0] + means[1][..., 0], groups)
    assert (found.value, found.n, found.low) == (2.0, 1, None)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999, 1.0])
def test_percentiles_are_nearest_ranks_of_the_pooled_values(share: float) -> None:
    rng = np.random.default_rng(7)
    repetitions = [rng.integers(0, 10_000, size) for size in (101, 400, 57)]
    pooled = np.sort(np.concatenate(repetitions))
    expected = pooled[int(np.ceil(share * len(pooled) - 1e-9)) - 1]
    found = percentiles(repetitions, [share])[0]
    assert found.value == expected
    assert found.n == 3
    assert found.low is not None
    assert found.high is not None
    assert found.low <= expected <= found.high


def test_the_interval_of_a_percentile_is_that_of_drawn_repetitions() -> None:
    # With two repetitions of one value each, a draw is (1, 1), (1, 9) or (9, 9).
    found = percentiles([np.array([1]), np.array([9])], [1.0])[0]
    assert (found.value, found.low, found.high) == (9.0, 1.0, 9.0)


@pytest.mark.parametrize(("n", "least", "most"), [(2, 0.4, 0.6), (5, 0.89, 0.96), (10, 0.92, 0.98)])
def test_intervals_hold_the_truth_as_often_as_the_method_says(
    n: int, least: float, most: float
) -> None:
    rng = np.random.default_rng(n)
    held = 0
    for _ in range(600):
        found = estimate(first_column, [rng.normal(10, 1, size=(n, 1))])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 10 <= found.high
    assert least <= held / 600 <= most


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_repetitions_give_their_range(n: int) -> None:
    values = np.arange(n, dtype=np.float64)[:, None]
    found = estimate(first_column, [values])
    assert (found.low, found.high) == (0.0, n - 1)
