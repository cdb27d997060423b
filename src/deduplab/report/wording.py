"""Wording: how values, intervals and counts are written; nothing is derived here."""

from __future__ import annotations

from deduplab.analysis.row import Row
from deduplab.analysis.statistics import LEAST_REPETITIONS
from deduplab.analysis.tables import ABSENT, Finding
from deduplab.units import format_bytes, format_ns, two_digits


def value(row: Row | None) -> str:
    """Write a row's value in its unit."""
    if row is None or row.value is None:
        return ABSENT
    return _in_unit(row.value, row.unit)


def interval(row: Row | None) -> str:
    """Write a row's interval, or n where there is none; why there is no value, if there is none."""
    if row is None:
        return ""
    if row.value is None:
        return short(row.reason, row.outcome)
    if row.ci_low is None or row.ci_high is None:
        return f"n={row.n}"
    low, high = _in_unit(row.ci_low, row.unit), _in_unit(row.ci_high, row.unit)
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
        "not resolved": "not resolved",
    }
    return next((text for start, text in known.items() if reason.startswith(start)), outcome)


def repetitions(finding: Finding) -> str:
    """Write on how many repetitions a finding's figures rest."""
    counts = _counts(finding)
    if not counts:
        return "nothing counts"
    if counts == [1]:
        return "n = 1, no intervals"
    words = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    # the draws of so few repetitions can give no more than their range
    kind = "ranges" if counts[-1] < LEAST_REPETITIONS else "95 % intervals"
    few = f" (ranges where n < {LEAST_REPETITIONS})" if counts[0] < LEAST_REPETITIONS else ""
    return f"{words}, {kind}{few if kind != 'ranges' else ' of the draws'} below the values"


def count(finding: Finding) -> str:
    """Write the number of repetitions of a finding's figures: ``2``, or ``1–3`` where they differ.

    That is the least and the greatest n of the figures that have a value.
    """
    counts = _counts(finding)
    if not counts:
        return ABSENT
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"


def span(row: Row | None) -> str:
    """Write a row's interval; the kind of reason where there is no value; nothing where n = 1."""
    if row is not None and row.value is not None and row.ci_low is None:
        return ""
    return interval(row)


def _counts(finding: Finding) -> list[int]:
    rows = [*finding.unique_costs]
    for cost in finding.costs:
        rows += [cost.duplicate_cost, cost.dedup_efficiency]
    return sorted({row.n for row in rows if row is not None and row.value is not None})


def _in_unit(number: float, unit: str) -> str:
    return {
        "ns": format_ns,
        "s": _seconds,
        "byte": format_bytes,
        "byte/s": _megabytes,
        "object/s": _thousands,
    }.get(unit, two_digits)(number)


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
