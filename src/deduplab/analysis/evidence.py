"""Evidence: eta at every moment, of copies that lie near each other and of those that lie far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from deduplab.analysis.lookup import DISTANCES, MOMENTS, Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.model import OutcomeKind
from deduplab.units import format_bytes, two_digits

_ADJACENT, _SHUFFLED = DISTANCES
NOTHING: Final = 0.1  # eta below this: nothing saved; a rise below this: no share of its own
FAR_SHARE: Final = 0.5  # far copies save less than this share of adjacent ones: nearness alone


@dataclass(frozen=True, slots=True)
class Series:
    """Eta of one distance by moment, as far as it counts.

    ``name`` is that of the distance for people. ``lacking`` holds the moments of the plan
    that have no figure, with the reason; what a system does not offer is not among them.
    ``vague`` are rows of a positive eta whose interval reaches below 0. ``unsupported`` says
    why the system does not store such data at all, which no moment lacks.
    """

    name: str
    etas: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    vague: tuple[Row, ...] = ()
    unsupported: str = ""

    @property
    def words(self) -> str:
        """Every eta with its moment."""
        return "eta " + ", ".join(
            f"{two_digits(value)} at {moment}" for moment, value in self.etas.items()
        )

    @property
    def reason(self) -> str:
        """Why there is no eta; empty where there is one, or where no cell was planned."""
        return next(iter(self.lacking.values()), self.unsupported) if not self.etas else ""

    @property
    def unseen(self) -> tuple[str, str] | None:
        """The first moment after the last eta that should have one, with why it has none."""
        if not self.etas:
            return None
        after = MOMENTS[MOMENTS.index(list(self.etas)[-1]) + 1 :]
        return next(((name, self.lacking[name]) for name in after if name in self.lacking), None)

    def until(self, last: str) -> Series:
        """Return the same up to a moment."""
        kept = MOMENTS[: MOMENTS.index(last) + 1]
        etas = {moment: eta for moment, eta in self.etas.items() if moment in kept}
        return replace(self, etas=etas)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The near copies, up to the last moment that both have, and the far ones.

    What far copies save later is deduplication, whatever near ones do; what near ones
    save later may be either.
    """

    near: Series
    far: Series

    @property
    def both(self) -> str:
        """The last eta of either, for people."""
        parts = [f"{two_digits(last(one))} {one.name}" for one in (self.near, self.far) if one.etas]
        return "eta " + ", ".join(parts)

    @property
    def by_nearness(self) -> bool:
        """Whether the far copies save too little beside the near ones to be deduplicated."""
        return bool(self.near.etas and self.far.etas) and (
            last(self.far) < last(self.near) * FAR_SHARE
        )

    @property
    def distance_effect(self) -> float | None:
        """How much more adjacent copies save than far ones, in eta, at the last moment of both."""
        moment = _common(self.near, self.far) if self.near.name == _ADJACENT else None
        return self.near.etas[moment] - self.far.etas[moment] if moment else None

    @property
    def vague(self) -> Row | None:
        """The last eta that a mechanism would be named by, if its interval reaches below 0."""
        decisive = self.near if self.by_nearness or not self.far.etas else self.far
        moment = list(decisive.etas)[-1]
        rows = (row for row in decisive.vague if row.moment == moment)
        return next((row for row in rows if (row.value or 0.0) >= NOTHING), None)


def evidence(lookup: Lookup, subject: Subject, grade: str) -> Evidence:
    """Collect eta of a subject at a grade.

    The far copies are the shuffled ones; or those of an exact distance that save less
    than they do, for a window that spans a whole shuffled dataset looks like
    deduplication until copies lie further apart. Then shuffled ones are the near ones if there
    is no figure of adjacent ones.
    """
    near = _series(lookup, subject, grade, _ADJACENT)
    far = _series(lookup, subject, grade, _SHUFFLED)
    exact = (
        _series(lookup, subject, grade, distance)
        for distance in lookup.distances(subject, grade)
        if isinstance(distance, int)
    )
    for other in exact:
        both = _common(far, other)
        if both and far.etas[both] - other.etas[both] >= NOTHING:
            near, far = near if near.etas else far, other
    both = _common(near, far)
    return Evidence(near.until(both) if both else near, far)


def last(series: Series) -> float:
    """Return the eta at the last moment."""
    return list(series.etas.values())[-1]


def _series(lookup: Lookup, subject: Subject, grade: str, distance: str | int) -> Series:
    rows = list(_rows(lookup, subject, grade, distance))
    return Series(
        name=distance if isinstance(distance, str) else f"at {format_bytes(distance)}",
        etas={row.moment: row.value for row in rows if row.moment and row.value is not None},
        lacking={
            row.moment: row.reason
            for row in rows
            if row.moment and row.value is None and row.outcome != OutcomeKind.UNSUPPORTED
        },
        unsupported=next(
            (row.reason for row in rows if row.outcome == OutcomeKind.UNSUPPORTED), ""
        ),
        vague=tuple(
            row
            for row in rows
            if row.value is not None and row.value > 0 and row.ci_low is not None and row.ci_low < 0
        ),
    )


def _rows(lookup: Lookup, subject: Subject, grade: str, distance: str | int) -> Iterable[Row]:
    for moment in MOMENTS:
        row = lookup.row(subject, grade, distance, "dedup_efficiency", "bulk", moment)
        if row is not None:
            yield row


def _common(one: Series, other: Series) -> str | None:
    """Return the last moment at which both have an eta."""
    return next(
        (name for name in reversed(MOMENTS) if name in one.etas and name in other.etas), None
    )
