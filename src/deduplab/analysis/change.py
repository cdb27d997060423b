"""A change: one figure in two runs, how far apart it is, and whether repetitions can tell.

The two figures are drawn independently of each other, and their ratio (or difference) is
computed from every pair of draws. From five repetitions on either side on, the interval is the
expanded percentile one of :mod:`deduplab.analysis.statistics`. With fewer it is the widest that the
ranges of both allow, which has to leave no overlap: of n and m repetitions of the same thing, all
of one lie beyond all of the other once in (n + m choose n) / 2 times. Where that is more often
than 1 in 20, nothing can be told at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from deduplab.analysis.row import Row
from deduplab.analysis.statistics import (
    CONFIDENCE,
    LEAST_REPETITIONS,
    Floats,
    interval,
    unpaired,
)

LEAST: Final = 3
"""Repetitions on either side: ranges of two hold the truth too rarely, whatever the other has."""

DIFFERENCES: Final = frozenset(
    {
        "dedup_efficiency", "duplicate_cost", "efficiency_of_bound", "reclaimed",
        "clients_idle_ratio", "saturated", "backlog_s", "shared_per_allocated",
    }
)  # fmt: skip
"""Figures that may be 0 or below, of which a ratio says nothing."""

TOO_FEW: Final = "too few repetitions"
"""Begins the reason of a change that more repetitions would tell of; 4 on either side do."""

_ROUNDING: Final = 1e-9  # two ways of the same arithmetic


class Verdict(StrEnum):
    """What repetitions say of a change."""

    DIFFERS = "differs"
    SAME = "no difference shown"
    UNTOLD = "can't be told"


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of two runs.

    ``value`` is second / first for a *ratio*, second - first for a *difference*, and ``low`` to
    ``high`` its interval; None where there is none. A ``reason`` says why nothing can be told, or
    what is to be said beside what can.
    """

    first: Row | None
    second: Row | None
    kind: str
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str = ""

    @property
    def row(self) -> Row:
        """Either row: what both are of."""
        found = self.first or self.second
        assert found is not None
        return found


def kind_of(metric: str) -> str:
    """Return how figures of a metric are set beside each other: ``ratio`` or ``difference``."""
    return "difference" if metric.partition(":")[0] in DIFFERENCES else "ratio"


def enough(first_n: int, second_n: int) -> bool:
    """Whether so many repetitions can tell a difference from chance at all."""
    least_error = 2 / math.comb(first_n + second_n, first_n)
    return min(first_n, second_n) >= LEAST and least_error <= 1 - CONFIDENCE


def change(first: Row | None, second: Row | None) -> Change:
    """Set one figure of two runs beside each other; one of the rows may be missing."""
    row = first or second
    assert row is not None
    kind = kind_of(row.metric)
    absent = _absent(first, second)
    if absent or first is None or second is None or first.value is None or second.value is None:
        return Change(first, second, kind, None, None, None, Verdict.UNTOLD, absent)
    value = _combined(kind, first.value, second.value)
    if value is None:
        reason = "A is 0, so there is no ratio" if first.value != second.value else "both are 0"
        verdict = Verdict.UNTOLD if first.value != second.value else Verdict.SAME
        return Change(first, second, kind, None, None, None, verdict, reason)
    if not enough(first.n, second.n):
        reason = f"{TOO_FEW}: n = {first.n} and {second.n}"
        return Change(first, second, kind, value, None, None, Verdict.UNTOLD, reason)
    low, high = _interval(kind, first, second)
    if low is None or high is None:
        reason = "not defined in every draw of the repetitions"
        return Change(first, second, kind, value, None, None, Verdict.UNTOLD, reason)
    nothing = 1.0 if kind == "ratio" else 0.0
    apart = low > nothing + _ROUNDING or high < nothing - _ROUNDING
    verdict = Verdict.DIFFERS if apart else Verdict.SAME
    return Change(first, second, kind, value, low, high, verdict, _remarks(first, second))


def _absent(first: Row | None, second: Row | None) -> str:
    """Word on which side a figure is missing, and why; empty where both have it."""
    reasons = {
        name: "no such figure" if row is None else row.reason or row.outcome
        for name, row in (("A", first), ("B", second))
        if row is None or row.value is None
    }
    if len(reasons) == 2 and len(set(reasons.values())) == 1:
        return f"missing in both: {reasons['A']}"
    return "; ".join(f"missing in {name}: {reason}" for name, reason in reasons.items())


def _remarks(first: Row, second: Row) -> str:
    said = {name: row.reason for name, row in (("A", first), ("B", second)) if row.reason}
    if len(said) == 2 and len(set(said.values())) == 1:
        return said["A"]
    return "; ".join(f"{name}: {reason}" for name, reason in said.items())


def _combined(kind: str, first: float, second: float) -> float | None:
    if kind == "difference":
        return second - first
    return second / first if first else None


def _interval(kind: str, first: Row, second: Row) -> tuple[float | None, float | None]:
    if first.draws is None or second.draws is None:
        return None, None  # extremes have none
    before, after = first.draws(), unpaired(second.draws())
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None, None
    if kind == "ratio" and (before.min() <= 0 or after.min() < 0):
        return None, None
    n = min(first.n, second.n)
    if n < LEAST_REPETITIONS:
        return _widest(kind, before, after)
    return interval(after / before if kind == "ratio" else after - before, n)


def _widest(kind: str, before: Floats, after: Floats) -> tuple[float, float]:
    """Return between what the change lies if either figure may be anywhere in its range."""
    if kind == "ratio":
        return float(after.min() / before.max()), float(after.max() / before.min())
    return float(after.min() - before.max()), float(after.max() - before.min())
