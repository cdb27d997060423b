"""What was saved, set against what could be saved at each grain.

``efficiency_of_bound`` = saved / possible. Saved are the bytes that the container
holds less than if every byte had cost what a first one costs (u x L); possible
is what a mechanism of that grain could leave out, at the same cost (u x (L -
unique bytes at the grain)). At the grain ``object`` it is the efficiency of
deduplication itself; at chunk grains it is defined for near duplicates, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import Gauge, Spot, growth, sample
from deduplab.analysis.groups import Group
from deduplab.analysis.ratios import (
    NO_CONTROL,
    NO_FIRST_BYTES,
    control_problem,
    manifest_column,
    planned_spots,
)
from deduplab.analysis.resolution import FINE, Resolution
from deduplab.analysis.row import Row
from deduplab.analysis.sizes import gauges
from deduplab.analysis.statistics import Floats, estimate
from deduplab.dataset_spec import Manifest
from deduplab.model import Outcome, OutcomeKind

METRIC: Final = "efficiency_of_bound"
_RATIO: Final = "ratio"
_WHOLE: Final = "object"


def bound_rows(
    run: str, group: Group, control: Group | None, resolution: Resolution = FINE
) -> Iterator[Row]:
    """Yield the efficiency at every grain, at every moment of bulk and insert, by the first ruler.

    The first ruler is FILES allocated, or what there is instead. Only grades above
    U0 have it.
    """
    if not group.grade_percent or not group.counting:
        return
    context = Context(run, group)
    problem = control_problem(group, control)
    for gauge in gauges(group)[:1]:
        for spot in planned_spots(group):
            for grain in _grains(group):
                place = Place.of(spot, gauge)
                metric = f"{METRIC}:{grain}"
                if control is None or not problem.ok:
                    yield context.absent(place, metric, _RATIO, problem if control else NO_CONTROL)
                else:
                    yield _row(context, group, control, spot, gauge, grain, resolution)


def efficiency_of_bound(means: Sequence[Floats]) -> Floats:
    """Return it from the columns (growth, L, bound) of a group and (growth, L) of its control."""
    cells, control = means
    u = control[..., 0] / control[..., 1]
    saved = u * cells[..., 1] - cells[..., 0]
    found: Floats = saved / (u * (cells[..., 1] - cells[..., 2]))
    return found


def _row(
    context: Context,
    group: Group,
    control: Group,
    spot: Spot,
    gauge: Gauge,
    grain: str,
    resolution: Resolution,
) -> Row:
    place = Place.of(spot, gauge)
    metric = f"{METRIC}:{grain}"
    logical = manifest_column(spot, lambda manifest: manifest.logical_bytes)
    bound = manifest_column(spot, lambda manifest: _unique_bytes(manifest, grain))
    cells = sample(group.counting, [growth(spot, gauge), logical, bound])
    firsts = sample(control.counting, [growth(spot, gauge), logical])
    for entry in (cells, firsts):
        if not len(entry.values):
            return context.absent(place, metric, _RATIO, entry.problem)
    if (cells.values[:, 1] <= cells.values[:, 2]).any():
        problem = Outcome(OutcomeKind.INVALID, "not defined: nothing can be saved at this grain")
        return context.absent(place, metric, _RATIO, problem)
    grown, logical_bytes, bound_bytes = cells.values.mean(axis=0)
    first_grown, first_bytes = firsts.values.mean(axis=0)
    if first_grown <= 0:
        return context.absent(place, metric, _RATIO, NO_FIRST_BYTES)
    problem = resolution.of_saving(
        gauge, grown, first_grown, first_bytes, logical_bytes - bound_bytes
    )
    if not problem.ok:
        return context.absent(place, metric, _RATIO, problem)
    figure = estimate(efficiency_of_bound, [cells.values, firsts.values])
    remark = left_out(cells, firsts) or cells_left_out(group, control)
    return context.figure(place, metric, _RATIO, figure, remark)


def _grains(group: Group) -> list[str]:
    manifests = (cell.bulk_manifest for cell in group.counting)
    first = next((manifest for manifest in manifests if manifest), None)
    return [_WHOLE, *(first.grain_unique_bytes if first else ())]


def _unique_bytes(manifest: Manifest, grain: str) -> int:
    return manifest.unique_bytes if grain == _WHOLE else manifest.grain_unique_bytes[grain]
