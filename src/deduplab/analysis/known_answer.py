"""A known answer: what must come out, the cases in which it may come out otherwise, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

TOLERANCE_RATIO: Final = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """One known answer and what came out; of several cases, the one farthest from the answer.

    ``status`` is ``passed``, ``failed``, ``incomplete`` (could not be judged;
    ``detail`` says why) or ``reported`` (has no answer that it must have).
    ``detail`` names the worst case otherwise.
    """

    store: str
    what: str
    payload: str
    expected: float | None
    measured: float | None
    tolerance: float | None
    unit: str
    status: str
    cases: int
    detail: str

    @property
    def passed(self) -> bool:
        """Whether it came out as it must."""
        return self.status == "passed"


@dataclass(frozen=True, slots=True)
class Case:
    """One figure of one group at one spot, or why there is none."""

    value: float | None
    where: str
    problem: str = ""


def near(store: str, what: str, payload: str, cases: Sequence[Case], expected: float) -> Check:
    """Judge whether all cases came out within the tolerance of an answer."""

    def within(value: float) -> bool:
        return abs(value - expected) <= TOLERANCE_RATIO

    return judged(store, what, payload, cases, expected, TOLERANCE_RATIO, within)


def judged(
    store: str,
    what: str,
    payload: str,
    cases: Sequence[Case],
    expected: float,
    tolerance: float | None,
    accept: Callable[[float], bool],
    unit: str = "ratio",
) -> Check:
    """Judge by the worst case; one that could not be had leaves the check incomplete."""
    worst = _worst(cases, expected)
    lacking = next((case for case in cases if case.value is None), None)
    if worst is not None and worst.value is not None and not accept(worst.value):
        status, detail = "failed", worst.where
    elif worst is None or lacking is not None:
        status = "incomplete"
        detail = f"{lacking.where}: {lacking.problem}" if lacking else "no cells with copies"
    else:
        status, detail = "passed", worst.where
    measured = worst.value if worst else None
    return Check(
        store, what, payload, expected, measured, tolerance, unit, status, len(cases), detail
    )


def reported(
    store: str, what: str, payload: str, cases: Sequence[Case], unit: str, reference: float
) -> Check:
    """Tell the case that lies farthest from a reference, and judge nothing."""
    worst = _worst(cases, reference)
    measured = worst.value if worst else None
    detail = worst.where if worst else "not measured"
    return Check(store, what, payload, None, measured, None, unit, "reported", len(cases), detail)


def _worst(cases: Sequence[Case], expected: float) -> Case | None:
    had = [case for case in cases if case.value is not None]
    return max(had, key=lambda case: abs((case.value or 0.0) - expected), default=None)
