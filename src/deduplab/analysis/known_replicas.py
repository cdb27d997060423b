"""Known answers of replicated reference stores: all copies are counted, each is like the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from deduplab.analysis.footprints import FILES_ALLOCATED, Gauge, growth, sample
from deduplab.analysis.groups import Group
from deduplab.analysis.known_answer import Case, Check, judged, near
from deduplab.analysis.ratios import planned_spots
from deduplab.analysis.replicas import copies
from deduplab.model import Layer, OutcomeKind, Ruler

_ALL: Final = Gauge(Layer.REPLICAS, Ruler.ALLOCATED)


def replica_checks(store: str, payload: str, part: Sequence[Group]) -> Iterator[Check]:
    """Check R, and that all members together take R times what the first one takes.

    Nothing where no cell was replicated.
    """
    counted, alike = [], []
    for group in part:
        if group.series.replicas == 1:
            continue
        for spot in planned_spots(group):
            where = f"{group.grade_asked}, {spot.stage} {spot.moment}"
            found = sample(
                group.counting,
                [copies(spot, _ALL), growth(spot, _ALL), growth(spot, FILES_ALLOCATED)],
            )
            if len(found.values):
                number, every, first = found.values.mean(axis=0)
                counted.append(Case(float(number / group.series.replicas), where))
                alike.append(Case(float(every / (number * first)), where))
            elif found.problem.kind is not OutcomeKind.UNSUPPORTED:
                problem = found.problem if group.refusal.ok else group.refusal
                counted.append(Case(None, where, problem.reason))
    if counted:
        yield judged(store, "copies, of those asked for", payload, counted, 1.0, 0.0, _is_one)
        yield near(store, "all members, by R x first", payload, alike, 1.0)


def _is_one(value: float) -> bool:
    return value == 1
