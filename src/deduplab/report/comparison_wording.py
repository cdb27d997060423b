"""How changes are worded: what a figure is of, its values, and how far apart they are."""

from __future__ import annotations

from deduplab.analysis.change import Change
from deduplab.report import wording
from deduplab.units import two_digits


def place(one: Change) -> str:
    """Write where in the chain a figure stands."""
    row = one.row
    layer = f", {row.layer}" if row.layer not in (None, "FILES") else ""
    parts = (row.stage, row.moment, f"({row.mode})" if row.mode else None)
    return " ".join(part for part in parts if part) + layer


def change(one: Change) -> str:
    """Write how far apart the figures are: ``1.10x``, or ``+0.05`` for a difference."""
    return "–" if one.value is None else _amount(one, one.value)


def interval(one: Change) -> str:
    """Write the interval of a change; empty where there is none."""
    if one.low is None or one.high is None:
        return ""
    return f"[{_amount(one, one.low)}, {_amount(one, one.high)}]"


def counts(one: Change) -> str:
    """Write on how many repetitions either side rests."""
    ns = [side.n if side is not None and side.value is not None else 0
          for side in (one.first, one.second)]  # fmt: skip
    return str(ns[0]) if ns[0] == ns[1] else f"{ns[0]} and {ns[1]}"


def values(one: Change) -> tuple[str, str]:
    """Write the figure of either side."""
    unit = " MB/s" if one.row.unit == "byte/s" else ""
    first, second = (
        wording.value(side) + (unit if side is not None and side.value is not None else "")
        for side in (one.first, one.second)
    )
    return first, second


def _amount(one: Change, value: float) -> str:
    if one.kind == "difference":
        if one.row.unit not in ("ratio", "byte/byte"):
            return f"{value:+.3g} {one.row.unit}"
        return f"{'+' if value > 0 and two_digits(value) != '0.00' else ''}{two_digits(value)}"
    if abs(value - 1) < 0.1 and two_digits(value) == "1.00" and value != 1:
        return f"{value:.4f}x"
    return f"{value:.2f}x" if 0.1 <= value < 100 or value == 0 else f"{value:.3g}x"
