"""A comparison: two runs side by side, figure by figure, and what else differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deduplab.analysis.change import TOO_FEW, Change, Verdict, change
from deduplab.analysis.contrast import Difference, differences
from deduplab.analysis.derive import rows_by_group
from deduplab.analysis.groups import Group
from deduplab.analysis.lookup import ENGINE, FILES
from deduplab.analysis.pairing import Declared, Key, declared_of, paired
from deduplab.analysis.row import Row
from deduplab.cell import CellResult
from deduplab.errors import PlanError, unknown_name
from deduplab.run_header import RunHeader
from deduplab.store import Run

METRICS: Final = (
    "dedup_efficiency", "duplicate_cost", "unique_cost", "edr", "efficiency_of_bound",
    "footprint_bytes", "reclaimed", "time_to_reclaim", "refill_growth", "objects_per_s",
    "bytes_per_s", "latency_p50_ns", "latency_p99_ns", "service_p50_ns", "service_p99_ns",
    "backlog_s", "write_amplification", "flush_s", "maintenance_s", "restart_s",
    "latency_first_ns",
)  # fmt: skip
"""What is compared unless other metrics are named, in this order."""

MORE: Final = (
    "baseline_bytes", "latency_mean_ns", "latency_p90_ns", "latency_p95_ns", "latency_p99.9_ns",
    "service_mean_ns", "service_p90_ns", "service_p95_ns", "service_p99.9_ns",
    "apparent_per_allocated", "clients_idle_ratio", "saturated",
)  # fmt: skip
"""What can be asked for besides."""

ALIASES: Final = {
    "eta": "dedup_efficiency",
    "c": "duplicate_cost",
    "u": "unique_cost",
    "p50": "latency_p50_ns",
    "p99": "latency_p99_ns",
}
_OF_A_SIDE: Final = ("value", "ci_low", "ci_high", "n", "outcome", "reason")
_Place = tuple[str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Compared:
    """All figures of one pair of groups."""

    declared: Declared
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs say of the same cells; ``only_first`` and ``only_second`` have no partner."""

    first: RunHeader
    second: RunHeader
    differences: tuple[Difference, ...]
    compared: tuple[Compared, ...]
    only_first: tuple[Declared, ...]
    only_second: tuple[Declared, ...]

    @property
    def changes(self) -> list[Change]:
        """Every change, in order."""
        return [one for entry in self.compared for one in entry.changes]

    def count(self, verdict: Verdict) -> int:
        """Return how many figures have a verdict."""
        return sum(one.verdict is verdict for one in self.changes)

    @property
    def untold(self) -> dict[str, int]:
        """Why nothing can be told, by kinds of reason with how many figures, the greatest first."""
        found = Counter(
            _kind_of(one.reason) for one in self.changes if one.verdict is Verdict.UNTOLD
        )
        return dict(found.most_common())


@dataclass(frozen=True, slots=True)
class Side:
    """A run with its cells; of them those that are asked for, and what they are known by."""

    run: Run
    results: Sequence[CellResult]
    wanted: Callable[[Group], bool] = lambda group: True
    key: Key = declared_of


def metric_named(name: str) -> str:
    """Return the metric that a name means.

    Raises
    ------
    PlanError
        If there is none of that name.
    """
    known = (*METRICS, *MORE)
    metric = ALIASES.get(name, name)
    if metric not in known:
        raise PlanError(unknown_name("metric", name, (*ALIASES, *known)))
    return metric


def compared(first: Side, second: Side, metrics: Sequence[str] = METRICS) -> Comparison:
    """Set the cells of two runs beside each other.

    Parameters
    ----------
    first, second
        A and B: ratios are B / A, differences B - A.
    metrics
        Which figures are compared, in this order.

    Raises
    ------
    StoreError
        If a cell can't be read.
    """
    rows: dict[int, list[Row]] = {}
    groups: list[list[Group]] = []
    for side in (first, second):
        found = list(rows_by_group(side.run, side.results, side.wanted))
        rows |= {id(group): part for group, part in found}
        groups.append([group for group, _ in found])
    pairing = paired(groups[0], groups[1], (first.key, second.key))
    return Comparison(
        first=first.run.header,
        second=second.run.header,
        differences=differences(first.run.header, second.run.header, pairing.pairs),
        compared=tuple(
            Compared(
                pair.declared,
                tuple(
                    one
                    for one in _changes(rows[id(pair.first)], rows[id(pair.second)], metrics)
                    # u is that of the control: told there once, not again at each grade
                    if one.row.metric != "unique_cost" or pair.declared.grade == "U0"
                ),
            )
            for pair in pairing.pairs
        ),
        only_first=tuple(first.key(group) for group in pairing.only_first),
        only_second=tuple(second.key(group) for group in pairing.only_second),
    )


def _changes(first: Iterable[Row], second: Iterable[Row], metrics: Sequence[str]) -> list[Change]:
    """Return the changes of all figures that either side has, by metric and place in the chain."""
    ours, theirs = list(first), list(second)
    gauge = _gauge([*ours, *theirs])
    places = [
        {_place(row): row for row in rows if (row.layer, row.ruler) in (gauge, (None, None))}
        for rows in (ours, theirs)
    ]
    found = []
    for metric in metrics:
        for place in dict.fromkeys(place for side in places for place in side):
            if place[0] == metric:
                found.append(change(places[0].get(place), places[1].get(place)))
    return found


def _gauge(rows: Iterable[Row]) -> tuple[str | None, str | None]:
    """Return the layer and ruler that bytes are compared by: the same on both sides.

    FILES allocated; ENGINE as reported where neither side has a figure of FILES.
    """
    counting = {(row.layer, row.ruler) for row in rows if row.ok}
    return ENGINE if ENGINE in counting and FILES not in counting else FILES


def _kind_of(reason: str) -> str:
    """Return a reason without the numbers and names that follow its kind."""
    if reason.startswith(TOO_FEW):
        return reason
    sides = (": ".join(part.split(": ")[:2]) for part in reason.split("; missing"))
    return "; missing".join(sides)


def _place(row: Row) -> _Place:
    return row.metric, row.stage, row.moment, row.mode


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison for JSON: everything, whether it differs or not."""
    return {
        "runs": {
            name: {"run_id": header.run_id, "plan": header.plan_name, "digest": header.plan_digest}
            for name, header in (("A", comparison.first), ("B", comparison.second))
        },
        "differences": [
            {"kind": one.kind, "of": one.of, "name": one.name, "A": one.first, "B": one.second}
            for one in comparison.differences
        ],
        "figures": [
            {**entry.declared._asdict(), **_as_dict(one)}
            for entry in comparison.compared
            for one in entry.changes
        ],
        "only_in_A": [one._asdict() for one in comparison.only_first],
        "only_in_B": [one._asdict() for one in comparison.only_second],
    }


def _as_dict(one: Change) -> dict[str, Any]:
    row = one.row
    place = {name: getattr(row, name) for name in ("metric", "stage", "moment", "mode")}
    where = {"layer": row.layer, "ruler": row.ruler, "unit": row.unit}
    sides = {
        name: None if side is None else {key: getattr(side, key) for key in _OF_A_SIDE}
        for name, side in (("A", one.first), ("B", one.second))
    }
    told = {"value": one.value, "low": one.low, "high": one.high}
    return {
        **place, **where, **sides, one.kind: told,
        "verdict": one.verdict.value, "reason": one.reason,
    }  # fmt: skip
