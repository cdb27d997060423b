"""Numerals: how a figure is written in a paper, in one unit for all figures of its kind.

A page for people may write 950 ns here and 1.2 ms there; a column of a paper, and a number that
a text cites, can't. Nothing is derived here but the unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.row import Row
from deduplab.units import two_digits

MISSING: Final = "--"  # what LaTeX draws as a dash; a note says why
_MOST_BEHIND: Final = 6
_THOUSANDS: Final = re.compile(r"(?<=\d)(?=(?:\d{3})+(?!\d))")


@dataclass(frozen=True, slots=True)
class Unit:
    """How figures of a unit of rows are written: divided by ``divisor``, named ``words``."""

    divisor: float
    words: str
    digits: str = "three"


_UNITS: Final = {
    "ns": Unit(1e3, "µs"),
    "s": Unit(1, "s"),
    "byte/s": Unit(1e6, "MB/s"),
    "object/s": Unit(1, "objects/s"),
    "byte/byte": Unit(1, "byte/byte", "two"),
    "ratio": Unit(1, "ratio", "two"),
}


def unit_of(unit: str) -> Unit:
    """Return how figures of this unit are written; as they are, if nothing is said of it."""
    return _UNITS.get(unit, Unit(1, unit))


def numeral(value: float, unit: str) -> str:
    r"""Write a value with digits, a point and a minus alone, as ``\num`` reads it.

    Ratios and costs have two digits behind the point, all else three digits that count.
    """
    how = unit_of(unit)
    scaled = value / how.divisor
    return two_digits(scaled) if how.digits == "two" else _three_digits(scaled)


def typeset(plain: str) -> str:
    """Return a numeral as a table shows it: thin spaces at thousands, and a true minus."""
    whole, point, rest = plain.partition(".")
    spaced = _THOUSANDS.sub(r"\\,", whole) if len(whole.lstrip("-")) > 4 else whole
    return (spaced + point + rest).replace("-", "$-$")


def interval(row: Row | None) -> str:
    """Return the interval of a figure as a table shows it; empty where there is none."""
    if row is None or row.value is None or row.ci_low is None or row.ci_high is None:
        return ""
    low, high = (typeset(numeral(end, row.unit)) for end in (row.ci_low, row.ci_high))
    return f"{{[}}{low}, {high}{{]}}"


def _three_digits(value: float) -> str:
    """Write three digits that count, or all before the point; never with an exponent.

    At most six stand behind the point: of seconds, microseconds.
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")  # 9.999 becomes 10.0, which has one digit behind the point
    behind = min(_MOST_BEHIND, max(0, 2 - math.floor(math.log10(abs(rounded)))))
    return f"{value:.{behind}f}"
