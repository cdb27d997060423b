"""What comes back: the share of bytes reclaimed after a deletion, how long it took, and reuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import (
    BASELINE,
    Column,
    Gauge,
    Spot,
    absolute,
    before_delete,
    censored,
    maintenance_moment,
    measurement_at,
    sample,
    spot_of,
)
from deduplab.analysis.groups import Group
from deduplab.analysis.resolution import FINE, Resolution
from deduplab.analysis.row import Row
from deduplab.analysis.sizes import gauges
from deduplab.analysis.statistics import Floats, estimate, first_column
from deduplab.cell import CellResult
from deduplab.model import Measurement, Moment, Outcome, OutcomeKind, Stage

_RATIO: Final = "ratio"


def deletion_rows(run: str, group: Group, resolution: Resolution = FINE) -> Iterator[Row]:
    """Yield ``reclaimed``, ``refill_growth`` and ``time_to_reclaim`` of a group."""
    if not group.counting:
        return
    context = Context(run, group)
    for gauge in gauges(group):
        yield from _deletion_rows(context, group, gauge, resolution)
    for measurement in group.counting[0].measurements:
        if measurement.stage in (Stage.DELETE, Stage.RECLAIM):
            yield _time_row(context, group, measurement)


def _deletion_rows(
    context: Context, group: Group, gauge: Gauge, resolution: Resolution
) -> Iterator[Row]:
    """Yield ``reclaimed`` after delete and after each maintenance mode, and ``refill_growth``."""
    first = group.counting[0]
    for measurement in first.measurements:
        emptied = measurement.stage is Stage.RECLAIM and not measurement.filled
        if measurement.stage is Stage.DELETE or emptied:
            spot = spot_of(first, measurement, "reclaim" if emptied else "rest")
            columns = [before_delete(gauge), absolute(spot, gauge), absolute(BASELINE, gauge)]
            yield _share_row(context, group, spot, gauge, _RECLAIMED, columns, resolution)
        if measurement.stage is Stage.REFILL:
            for moment in ("flush", "rest"):
                spot = Spot(Stage.REFILL, moment)
                filled = absolute(Spot(Stage.BULK, moment), gauge)
                columns = [absolute(spot, gauge), filled]
                yield _share_row(context, group, spot, gauge, _REFILLED, columns, resolution)


def _reclaimed(cells: Floats) -> tuple[Floats, Floats]:
    """Return what came back, and what had been stored; filled, now and empty are the columns."""
    return cells[..., 0] - cells[..., 1], cells[..., 0] - cells[..., 2]


def _refilled(cells: Floats) -> tuple[Floats, Floats]:
    """Return what is there after the second filling, and after the first."""
    return cells[..., 0], cells[..., 1]


class _Share(NamedTuple):
    """A metric that is a part of a whole, and how both are made of its columns."""

    metric: str
    of: Callable[[Floats], tuple[Floats, Floats]]

    def ratio(self, means: Sequence[Floats]) -> Floats:
        part, whole = self.of(means[0])
        return part / whole


_RECLAIMED: Final = _Share("reclaimed", _reclaimed)
_REFILLED: Final = _Share("refill_growth", _refilled)


def _share_row(
    context: Context,
    group: Group,
    spot: Spot,
    gauge: Gauge,
    share: _Share,
    columns: Sequence[Column],
    resolution: Resolution,
) -> Row:
    place, found = Place.of(spot, gauge), sample(group.counting, columns)
    problem = found.problem
    if len(found.values):
        _, whole_bytes = share.of(found.values.mean(axis=0))
        problem = resolution.of_growth(gauge, float(whole_bytes))
    if not len(found.values) or not problem.ok:
        return context.absent(place, share.metric, _RATIO, problem)
    figure = estimate(share.ratio, [found.values])
    remark = left_out(found) or cells_left_out(group)
    return context.figure(place, share.metric, _RATIO, figure, remark)


def _time_row(context: Context, group: Group, measurement: Measurement) -> Row:
    """Return the seconds from the first operation of a stage until the size stopped falling."""
    name = maintenance_moment(measurement) if measurement.stage is Stage.RECLAIM else "rest"
    spot = spot_of(group.counting[0], measurement, name)
    place = Place.of(spot)
    found = sample(group.counting, [_seconds_until_still(spot)])
    if not len(found.values):
        return context.absent(place, "time_to_reclaim", "s", found.problem)
    figure = estimate(first_column, [found.values])
    return context.figure(place, "time_to_reclaim", "s", figure, left_out(found))


def _seconds_until_still(spot: Spot) -> Column:
    """Column: the operations, the flush, and the wait until the curve reached its last value."""

    def column(cell: CellResult) -> float | Outcome:
        measurement = measurement_at(cell, spot)
        if measurement is None:
            return Outcome(OutcomeKind.UNSUPPORTED, "the chain has no such stage")
        if not measurement.outcome.ok:
            return measurement.outcome
        moment = measurement.moment(spot.moment)
        if moment is None or moment.rest is None:
            return Outcome(OutcomeKind.INVALID, "the wait for rest was not recorded")
        if not moment.rest.settled:
            return censored(moment)
        return (measurement.duration_ns + measurement.flush_ns + _still_after_ns(moment)) / 1e9

    return column


def _still_after_ns(moment: Moment) -> int:
    """Return when, since the wait began, the size first had its last value for good."""
    assert moment.rest is not None
    curve = moment.rest.curve
    if not curve:
        return moment.rest.waited_ns
    still_ns = curve[-1][0]
    for at_ns, at_bytes in reversed(curve):
        if at_bytes != curve[-1][1]:
            break
        still_ns = at_ns
    return still_ns
