"""The scale of a plan: a factor on the logical size of its datasets, whole or a fraction."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from deduplab.errors import PlanError

_WRITTEN: Final = re.compile(r"\d+|\d*\.\d+|\d+/\d+")


def parse_scale(text: str) -> Fraction:
    """Read a scale: ``10``, ``0.001`` or ``1/1000``, kept exactly.

    Raises
    ------
    PlanError
        If it is none of these, or not above 0.
    """
    written = re.sub(r"\s", "", text)
    if _WRITTEN.fullmatch(written):
        try:
            scale = Fraction(written)
        except ZeroDivisionError:
            scale = Fraction(0)
        if scale > 0:
            return scale
    raise PlanError(f"{text!r} is not a scale: write a number above 0, as 10, 0.001 or 1/1000")


def told(scale: Fraction | int) -> int | str:
    """Return a scale as it is kept in results: a whole number, or a fraction as ``1/1000``."""
    exact = Fraction(scale)
    return exact.numerator if exact.denominator == 1 else str(exact)


def scaled_bytes(logical_bytes: int, object_bytes: int, scale: Fraction | int) -> int:
    """Return the bytes of a scaled dataset: for a fraction, whole objects only, rounded down."""
    exact = logical_bytes * Fraction(scale)
    if Fraction(scale).denominator == 1:
        return exact.numerator
    return int(exact // object_bytes) * object_bytes
