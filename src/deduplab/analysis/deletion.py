"""What comes back: the share of bytes reclaimed after a deletion, how long it took, and reuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

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
from deduplab.analysis.statistics import Floats, estimate, first_column, quotient
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
            yield _reclaimed_row(context, group, spot, gauge, columns, resolution)
        if measurement.stage is Stage.REFILL:
            for moment in ("flush", "rest"):
                spot = Spot(Stage.REFILL, moment)
                filled = absolute(Spot(Stage.BULK, moment), gauge)
                columns = [absolute(spot, gauge), filled]
                yield _refill_row(context, group, spot, gauge, columns, resolution)


def _reclaimed(means: Sequence[Floats]) -> Floats:
    (cells,) = means
    share: Floats = (cells[..., 0] - cells[..., 1]) / (cells[..., 0] - cells[..., 2])
    return share


def _reclaimed_row(
    context: Context,
    group: Group,
    spot: Spot,
    gauge: Gauge,
    columns: Sequence[Column],
    resolution: Resolution,
) -> Row:
    place, found = Place.of(spot, gauge), sample(group.counting, columns)
    if not len(found.values):
        return context.absent(place, "reclaimed", _RATIO, found.problem)
    filled, _, empty = found.values.mean(axis=0)
    problem = resolution.of_growth(gauge, filled - empty)
    if not problem.ok:
        return context.absent(place, "reclaimed", _RATIO, problem)
    figure = estimate(_reclaimed, [found.values])
    remark = left_out(found) or cells_left_out(group)
    return context.figure(place, "reclaimed", _RATIO, figure, remark)


def _refill_row(
    context: Context,
    group: Group,
    spot: Spot,
    gauge: Gauge,
    columns: Sequence[Column],
    resolution: Resolution,
) -> Row:
    place, found = Place.of(spot, gauge), sample(group.counting, columns)
    if not len(found.values):
        return context.absent(place, "refill_growth", _RATIO, found.problem)
    problem = resolution.of_growth(gauge, found.values[:, 1].mean())
    if not problem.ok:
        return context.absent(place, "refill_growth", _RATIO, problem)
    figure = estimate(quotient, [found.values])
    remark = left_out(found) or cells_left_out(group)
    return context.figure(place, "refill_growth", _RATIO, figure, remark)


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
