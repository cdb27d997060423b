"""Wording: how values, intervals and counts are written; nothing is derived here."""

from __future__ import annotations

from deduplab.analysis.row import Row
from deduplab.analysis.tables import ABSENT, Finding, two_digits
from deduplab.units import format_bytes, format_ns


def value(row: Row | None) -> str:
    """Write a row's value in its unit."""
    if row is None or row.value is None:
        return ABSENT
    return {
        "ns": format_ns,
        "s": _seconds,
        "byte": format_bytes,
        "byte/s": _megabytes,
        "object/s": _thousands,
    }.get(row.unit, two_digits)(row.value)


def interval(row: Row | None) -> str:
    """Write a row's interval, or n where there is none; why there is no value, if there is none."""
    if row is None:
        return ""
    if row.value is None:
        return short(row.reason, row.outcome)
    if row.ci_low is None or row.ci_high is None:
        return f"n={row.n}"
    low, high = two_digits(row.ci_low), two_digits(row.ci_high)
    return f"{low} to {high}" if low.startswith("-") else f"{low}–{high}"


def remark(row: Row | None) -> str:
    """Return what is to be said beside a value, or instead of it."""
    return row.reason if row is not None else "not in the plan"


def short(reason: str, outcome: str) -> str:
    """Shorten a reason to its kind, for narrow columns; the whole one stands in its title."""
    known = {
        "censored": "censored",
        "no U0 control": "no U0 control",
        "it has no explicit maintenance": "no such",
        "not defined": "not defined",
    }
    return next((text for start, text in known.items() if reason.startswith(start)), outcome)


def repetitions(finding: Finding) -> str:
    """Write on how many repetitions a finding's figures rest."""
    rows = [*finding.unique_costs]
    for cost in finding.costs:
        rows += [cost.duplicate_cost, cost.dedup_efficiency]
    counts = sorted({row.n for row in rows if row is not None and row.value is not None})
    if not counts:
        return "nothing counts"
    if counts == [1]:
        return "n = 1, no intervals"
    words = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    return f"{words}, 95 % intervals below the values"


def _seconds(duration_s: float) -> str:
    return format_ns(duration_s * 1e9)


def _megabytes(bytes_per_s: float) -> str:
    return _thousands(bytes_per_s / 1e6)


def _thousands(count: float) -> str:
    """Write a rate to three digits, with thin spaces between thousands."""
    if count < 10:
        return f"{count:.2f}"
    if count < 100:
        return f"{count:.1f}"
    return f"{count:,.0f}".replace(",", "\u202f")
