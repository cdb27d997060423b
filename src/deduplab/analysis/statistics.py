"""Point values and seeded bootstrap intervals over repetitions, and percentiles of raw latencies.

The interval is the expanded percentile bootstrap: repetitions are drawn with
replacement (Efron and Tibshirani 1993, chapter 13), the figure is computed anew from
every draw, and the interval runs between two percentiles of the draws. The plain ones, 2.5
and 97.5, make it too narrow for few repetitions (5 hold the truth 84 times of 100), so they
lie further out, as Student's t does from the normal distribution (Hesterberg 2015, The
American Statistician 69:371, section 5.3). Below n = 5 no interval of draws can hold the truth 95
times of 100: it is the range of the draws. Groups that a figure combines (cells and their
control) are drawn in the same round. One repetition has no interval.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
LEAST_REPETITIONS: Final = 5
"""With fewer repetitions an interval is the range of the draws, and holds the truth less often."""

_NORMAL: Final = NormalDist()
_SEED: Final = 20_240_131  # any number will do, but the same one always

Floats = npt.NDArray[np.float64]
# Means of each group, last axis = the group's columns -> the figure, one for each leading index.
Statistic = Callable[[Sequence[Floats]], Floats]
Draws = Callable[[], Floats]
"""Gives the figure in every draw, the same each time: shape (RESAMPLES,)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; ``value`` is None where the figure is not defined (0 / 0).

    ``draws`` gives what the interval was made of, where there is one: made anew when it is asked
    for, since most figures are never asked.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    draws: Draws | None = field(default=None, compare=False, repr=False)


def estimate(statistic: Statistic, groups: Sequence[Floats]) -> Estimate:
    """Return a figure of group means with its interval.

    Parameters
    ----------
    statistic
        Takes one array of means a group (columns last) and returns the figure;
        must work on any leading axes.
    groups
        One array of shape (repetitions, columns) a group. ``n`` of the result
        is the least number of repetitions of any group.
    """
    n = min(len(group) for group in groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the mean of one is itself; most figures of a quick run are of one
        value = float(statistic([g[0] if len(g) == 1 else g.mean(axis=0) for g in groups]))
        if not np.isfinite(value):
            return Estimate(None, None, None, n)
        if n < 2:
            return Estimate(value, None, None, n)
        if all((group == group[0]).all() for group in groups):
            same = functools.partial(np.full, RESAMPLES, value)
            return Estimate(value, value, value, n, same)  # every draw would give the same
    draws = functools.partial(_figures, statistic, groups)
    low, high = interval(draws(), n)
    return Estimate(value, low, high, n, draws)


def _figures(statistic: Statistic, groups: Sequence[Floats]) -> Floats:
    """Return the figure in every draw of the groups."""
    draws = _draws(tuple(len(group) for group in groups))
    with np.errstate(divide="ignore", invalid="ignore"):
        return statistic(
            [group[drawn].mean(axis=1) for group, drawn in zip(groups, draws, strict=True)]
        )


def first_column(means: Sequence[Floats]) -> Floats:
    """Return the mean of the only column: the statistic of a plain mean."""
    column: Floats = means[0][..., 0]
    return column


def quotient(means: Sequence[Floats]) -> Floats:
    """Return mean of the first column / mean of the second: the statistic of a rate or ratio."""
    divided: Floats = means[0][..., 0] / means[0][..., 1]
    return divided


def percentiles(
    repetitions: Sequence[npt.NDArray[np.int64]], shares: Sequence[float]
) -> list[Estimate]:
    """Return percentiles of pooled raw values, each with its interval over repetitions.

    The percentile is the nearest rank: the least value that at least ``share``
    of all values do not exceed, so it is always a value that was measured.

    Parameters
    ----------
    repetitions
        Raw values of each repetition; at least one value in all.
    shares
        Each 0 < share <= 1, as 0.99.
    """
    n = len(repetitions)
    pooled = np.sort(np.concatenate(repetitions))
    if n < 2:
        ranks = [math.ceil(share * len(pooled) - 1e-9) for share in shares]
        return [Estimate(float(pooled[rank - 1]), None, None, n) for rank in ranks]
    # cumulative[r, i]: how many values of repetition r are among the i + 1 least of all
    cumulative = np.stack(
        [np.searchsorted(np.sort(values), pooled, side="right") for values in repetitions]
    )
    weights, which = _weights(n)
    ones = np.ones((1, n), dtype=np.int64)
    found = []
    for share in shares:
        value = float(_weighted_rank(pooled, cumulative, ones, share)[0])
        ranked = _weighted_rank(pooled, cumulative, weights, share)
        drawn_figures = functools.partial(np.take, ranked, which)
        low, high = interval(drawn_figures(), n)
        found.append(Estimate(value, low, high, n, drawn_figures))
    return found


def _weighted_rank(
    pooled: npt.NDArray[np.int64],
    cumulative: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    share: float,
) -> Floats:
    """Find, for each row of weights, the nearest rank; by bisection, so that no draw is sorted."""
    needed = np.ceil(share * (weights @ cumulative[:, -1]) - 1e-9)
    low = np.zeros(len(weights), dtype=np.int64)
    high = np.full(len(weights), len(pooled) - 1, dtype=np.int64)
    while bool((low < high).any()):
        middle = (low + high) // 2
        reached = (weights * cumulative[:, middle].T).sum(axis=1) >= needed
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return pooled[low].astype(np.float64)


@functools.cache
def _weights(n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how often draws take each of n repetitions, and which of these lines each draw is.

    Draws that took each repetition equally often give the same, so each is ranked once.
    """
    (draws,) = _draws((n,))
    drawn = np.stack([(draws == index).sum(axis=1) for index in range(n)], axis=1)
    weights, which = np.unique(drawn, axis=0, return_inverse=True)
    return weights, which.reshape(-1)


@functools.cache
def _draws(lengths: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return which repetitions each draw takes, of groups of these lengths; always the same."""
    rng = np.random.default_rng(_SEED)
    return tuple(rng.integers(0, length, size=(RESAMPLES, length)) for length in lengths)


def interval(values: Floats, n: int) -> tuple[float | None, float | None]:
    """Return the interval of what was drawn over n repetitions; none where a draw is undefined."""
    finite = values[np.isfinite(values)]
    if len(finite) < len(values):
        return None, None  # the figure is not defined in some draws: no honest interval
    edge = _edge(n)
    low, high = np.quantile(finite, [edge, 1 - edge])
    return float(low), float(high)


def unpaired(draws: Floats) -> Floats:
    """Return draws in another order, always the same one.

    The same numbers choose the repetitions of every figure. Two figures of different runs must
    not be drawn alike: what varies would seem to vary in both at once.
    """
    order = np.random.default_rng(_SEED + 1).permutation(len(draws))
    return draws[order]


@functools.cache
def _edge(n: int) -> float:
    """Return the share of draws on either side of the interval over n repetitions; 0: none."""
    if n < LEAST_REPETITIONS:
        return 0.0
    z = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
    free = n - 1
    # Student's t as a series in 1 / degrees of freedom (Abramowitz and Stegun 26.7.5)
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return _NORMAL.cdf(-math.sqrt(n / free) * t)
