"""The ratios of the method, section 3: what a byte costs, seen the first time and seen again.

L are logical bytes, B_u the unique ones of them, B_d = L - B_u, P a footprint
and P(0) that of the empty container. For the stage insert, P(0) is the last
settled footprint before it, so that its ratios are those of its increment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import (
    FILES_ALLOCATED,
    Column,
    Gauge,
    Sample,
    Spot,
    growth,
    sample,
)
from deduplab.analysis.groups import Group, comparable
from deduplab.analysis.resolution import FINE, Resolution
from deduplab.analysis.row import Row
from deduplab.analysis.sizes import gauges
from deduplab.analysis.statistics import Floats, estimate, quotient
from deduplab.cell import CellResult
from deduplab.dataset_spec import Manifest
from deduplab.model import DEDUPE, Outcome, OutcomeKind, Stage

NO_CONTROL: Final = Outcome(OutcomeKind.INVALID, "no U0 control")
NO_COPIES: Final = Outcome(
    OutcomeKind.INVALID, "not defined: no object is a copy byte by byte; see efficiency_of_bound"
)
NO_FIRST_BYTES: Final = Outcome(OutcomeKind.INVALID, "not defined: first copies took no bytes")
NEGATIVE: Final = Outcome(
    OutcomeKind.INVALID, "not defined: the footprint shrank while first copies were stored"
)
_RATIO: Final = "ratio"
_COST: Final = "byte/byte"
_METRICS: Final = (
    ("edr", _RATIO),
    ("unique_cost", _COST),
    ("duplicate_cost", _COST),
    ("dedup_efficiency", _RATIO),
)


def ratio_rows(
    run: str, group: Group, control: Group | None, resolution: Resolution = FINE
) -> Iterator[Row]:
    """Yield what bytes of a group cost, at every moment of bulk and insert, by every ruler."""
    context = Context(run, group)
    if not group.counting:
        for spot in planned_spots(group):
            for metric, unit in _metrics_of(group):
                yield context.absent(Place.of(spot, FILES_ALLOCATED), metric, unit, group.refusal)
        return
    for gauge in gauges(group):
        for spot in planned_spots(group):
            yield from _cost_rows(context, group, control, spot, gauge, resolution)


def planned_spots(group: Group) -> tuple[Spot, ...]:
    """Return the moments of bulk and insert that the chain promises, reached or not."""
    cell = group.cells[0].cell
    spots = [Spot(Stage.BULK, "flush"), Spot(Stage.BULK, "rest")]
    if (Stage.BULK, Stage.RECLAIM) in _filled_pairs(cell.stages):
        own = cell.own_reclaim_modes
        spots.append(Spot(Stage.BULK, "reclaim", own[-1] if own else None))
        spots += [Spot(Stage.BULK, DEDUPE, mode) for mode in cell.volume_modes]
    if Stage.INSERT in cell.stages:
        spots += [Spot(Stage.INSERT, "flush"), Spot(Stage.INSERT, "rest")]
    return tuple(spots)


def unique_cost(means: Sequence[Floats]) -> Floats:
    """Return u from the columns (growth, L) of the control."""
    (control,) = means
    u: Floats = control[..., 0] / control[..., 1]
    return u


def duplicate_cost(means: Sequence[Floats]) -> Floats:
    """Return c from the columns (growth, B_u, B_d) of a group and (growth, L) of its control."""
    cells, control = means
    u = control[..., 0] / control[..., 1]
    c: Floats = (cells[..., 0] - u * cells[..., 1]) / cells[..., 2]
    return c


def dedup_efficiency(means: Sequence[Floats]) -> Floats:
    """Return eta from the same columns as :func:`duplicate_cost`."""
    u = means[1][..., 0] / means[1][..., 1]
    eta: Floats = 1 - duplicate_cost(means) / u
    return eta


_STATISTICS: Final = {
    "unique_cost": unique_cost,
    "duplicate_cost": duplicate_cost,
    "dedup_efficiency": dedup_efficiency,
}


def cost_samples(group: Group, control: Group, spot: Spot, gauge: Gauge) -> tuple[Sample, Sample]:
    """Return the columns that costs are made of: of the group, and of its control."""
    return (
        sample(
            group.counting,
            [growth(spot, gauge), _unique(spot), _duplicate(spot)],
        ),
        sample(control.counting, [growth(spot, gauge), logical_bytes(spot)]),
    )


def _cost_rows(
    context: Context,
    group: Group,
    control: Group | None,
    spot: Spot,
    gauge: Gauge,
    resolution: Resolution,
) -> Iterator[Row]:
    place = Place.of(spot, gauge)
    yield _edr_row(context, group, spot, gauge, resolution)
    metrics = _metrics_of(group)[1:]
    problem = control_problem(group, control)
    if control is None or not problem.ok:
        yield from (context.absent(place, metric, unit, problem) for metric, unit in metrics)
        return
    cells, firsts = cost_samples(group, control, spot, gauge)
    for metric, unit in metrics:
        needed = (firsts,) if metric == "unique_cost" else (cells, firsts)
        problem = _cost_problem(metric, cells, firsts, gauge, resolution)
        if not problem.ok:
            yield context.absent(place, metric, unit, problem)
            continue
        remark = left_out(*needed) or cells_left_out(group, control)
        figure = estimate(_STATISTICS[metric], [entry.values for entry in needed])
        yield context.figure(place, metric, unit, figure, remark)


def _cost_problem(
    metric: str, cells: Sample, firsts: Sample, gauge: Gauge, resolution: Resolution
) -> Outcome:
    """Say why u, c or eta can't be had; OK if it can."""
    if metric != "unique_cost" and not len(cells.values):
        return cells.problem
    if not len(firsts.values):
        return firsts.problem
    first_growth, first_bytes = firsts.values.mean(axis=0)
    if first_growth < 0:
        return NEGATIVE
    if metric == "unique_cost":
        return resolution.of_growth(gauge, first_growth)
    growth, _, duplicate_bytes = cells.values.mean(axis=0)
    if not duplicate_bytes:
        return NO_COPIES
    if metric == "dedup_efficiency" and not first_growth:
        return NO_FIRST_BYTES
    return resolution.of_saving(gauge, growth, first_growth, first_bytes, duplicate_bytes)


def _edr_row(
    context: Context, group: Group, spot: Spot, gauge: Gauge, resolution: Resolution
) -> Row:
    place = Place.of(spot, gauge)
    found = sample(group.counting, [logical_bytes(spot), growth(spot, gauge)])
    if not len(found.values):
        return context.absent(place, "edr", _RATIO, found.problem)
    grown = found.values[:, 1].mean()
    if grown <= 0:
        problem = Outcome(OutcomeKind.INVALID, "not defined: the footprint did not grow")
        return context.absent(place, "edr", _RATIO, problem)
    problem = resolution.of_growth(gauge, grown)
    if not problem.ok:
        return context.absent(place, "edr", _RATIO, problem)
    figure = estimate(quotient, [found.values])
    return context.figure(place, "edr", _RATIO, figure, left_out(found) or cells_left_out(group))


def control_problem(group: Group, control: Group | None) -> Outcome:
    """Say whether a group's U0 control is there, counts, and may be compared with it."""
    if control is None:
        return NO_CONTROL
    if not control.counting:
        reason = f"no U0 control that counts: {control.refusal.reason}"
        return Outcome(OutcomeKind.INVALID, reason)
    return comparable(group, control)


def _metrics_of(group: Group) -> tuple[tuple[str, str], ...]:
    """U0 has no copies, so no cost of them either."""
    return _METRICS if group.grade_percent else _METRICS[:2]


def _filled_pairs(stages: Sequence[Stage]) -> set[tuple[Stage, Stage]]:
    """Return neighbours in the chain; reading in between changes nothing."""
    changing = [stage for stage in stages if stage is not Stage.READ]
    return set(itertools.pairwise(changing))


def _manifest(cell: CellResult, spot: Spot) -> Manifest | None:
    return cell.insert_manifest if spot.stage is Stage.INSERT else cell.bulk_manifest


def logical_bytes(spot: Spot) -> Column:
    """Column: the logical bytes of what was stored at a spot."""
    return manifest_column(spot, lambda manifest: manifest.logical_bytes)


def _unique(spot: Spot) -> Column:
    return manifest_column(spot, lambda manifest: manifest.unique_bytes)


def _duplicate(spot: Spot) -> Column:
    return manifest_column(spot, lambda manifest: manifest.duplicate_bytes)


def manifest_column(spot: Spot, count: Callable[[Manifest], int]) -> Column:
    """Return a column of what the manifest of a stage's dataset says."""

    def column(cell: CellResult) -> int | Outcome:
        manifest = _manifest(cell, spot)
        if manifest is None:
            return Outcome(OutcomeKind.INVALID, "the cell has no manifest")
        return count(manifest)

    return column
