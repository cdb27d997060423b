"""What happens to deleted bytes, in plain words."""

from __future__ import annotations

from typing import Final

from deduplab.analysis.lookup import Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.model import OutcomeKind
from deduplab.units import two_digits

RECLAIMED: Final = 0.5  # the step that brings `reclaimed` here is where space comes back


def reclaim_steps(lookup: Lookup, subject: Subject) -> list[Row]:
    """Return ``reclaimed`` after delete and after each maintenance mode, in order.

    Taken from U0, where all that was deleted was unique; from the lowest
    grade that has a figure otherwise.
    """
    for grade in reversed(lookup.grades(subject)):
        for distance in ["none"] if grade == "U0" else lookup.distances(subject, grade):
            steps = [
                row
                for stage, moment in (("delete", "rest"), ("reclaim", "reclaim"))
                for row in lookup.rows((subject, grade, distance, "reclaimed", stage, moment))
                if (row.layer, row.ruler) == lookup.gauge(subject)
            ]
            if any(row.ok for row in steps):
                return steps
    return []


def deletion_words(lookup: Lookup, subject: Subject) -> str:
    """Return at which step deleted bytes come back; empty where there is no figure."""
    planned = reclaim_steps(lookup, subject)
    steps = [row for row in planned if row.value is not None]
    if not steps:
        return ""
    shares = ", ".join(f"{two_digits(row.value or 0.0)} after {_step(row)}" for row in steps)
    enough = next((row for row in steps if (row.value or 0.0) >= RECLAIMED), None)
    before = planned if enough is None else planned[: planned.index(enough)]
    unseen = [row for row in before if row.value is None and row.outcome != OutcomeKind.UNSUPPORTED]
    gap = f"; there is no figure after {_step(unseen[0])}" if unseen else ""
    if enough is None:
        return f"Deleted is not reclaimed (reclaimed {shares}{gap})."
    if enough.stage == "delete":
        return f"Deleted is reclaimed at once (reclaimed {shares})."
    how = "reclaimed after" if unseen else "not reclaimed until"
    return f"Deleted is {how} {_step(enough)} (reclaimed {shares}{gap})."


def _step(row: Row) -> str:
    return "delete" if row.stage == "delete" else row.mode or "maintenance"
