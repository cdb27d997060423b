"""Footprints as rows: absolute bytes of every moment and component, the rulers' gap, the bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from deduplab.analysis.context import Context, Place, left_out
from deduplab.analysis.footprints import (
    BASELINE,
    FILES_ALLOCATED,
    FILES_APPARENT,
    FILES_SHARED,
    Gauge,
    Spot,
    absolute,
    readings,
    sample,
    spot_of,
)
from deduplab.analysis.groups import Group
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import Estimate, estimate, first_column, quotient
from deduplab.dataset_spec import Manifest
from deduplab.model import Layer, Outcome, OutcomeKind, Ruler

_CLIENT: Final = Layer.CLIENT.value


def size_rows(run: str, group: Group) -> Iterator[Row]:
    """Yield footprints, the gap between rulers, missing layers, and what the manifests say."""
    context = Context(run, group)
    if not group.counting:
        return
    spots = _all_spots(group)
    for gauge in gauges(group):
        yield from _footprint_rows(context, group, gauge, spots)
    yield from _gap_rows(context, group, spots)
    yield from _shared_rows(context, group, spots)
    yield from _missing_rows(context, group)
    first = group.counting[0]
    for stage, manifest in (("bulk", first.bulk_manifest), ("insert", first.insert_manifest)):
        if manifest is not None:
            yield from _manifest_rows(context, stage, manifest)


def gauges(group: Group) -> tuple[Gauge, ...]:
    """Return the layers and rulers that the group was read by, FILES allocated first.

    CLIENT is not among them: logical bytes are no physical footprint. Nor are
    shared extents: a part of what is allocated, and no footprint of its own.
    """
    found = {
        Gauge(reading.layer, reading.ruler)
        for cell in group.counting
        for reading in readings(cell)
        if reading.layer is not Layer.CLIENT and reading.ruler is not Ruler.SHARED
    }
    others = sorted(found - {FILES_ALLOCATED}, key=lambda gauge: (gauge.layer, gauge.ruler))
    return (FILES_ALLOCATED, *others)


def _footprint_rows(
    context: Context, group: Group, gauge: Gauge, spots: Sequence[Spot]
) -> Iterator[Row]:
    """Yield the absolute footprint of every moment, whole and by component."""
    names = _components(group, gauge)
    for spot in spots:
        place = Place.of(spot, gauge)
        base = "baseline_bytes" if spot == BASELINE else "footprint_bytes"
        for component in (None, *names):
            column = absolute(spot, Gauge(gauge.layer, gauge.ruler, component))
            found = sample(group.counting, [column])
            metric = base if component is None else f"{base}:{component}"
            if len(found.values):
                figure = estimate(first_column, [found.values])
                yield context.figure(place, metric, "byte", figure, left_out(found))
            elif component is None:
                yield context.absent(place, metric, "byte", found.problem)


def _gap_rows(context: Context, group: Group, spots: Sequence[Spot]) -> Iterator[Row]:
    """Yield apparent / allocated: the gap between the two rulers of FILES."""
    for spot in spots:
        if spot.stage is None:
            continue
        columns = [absolute(spot, FILES_APPARENT), absolute(spot, FILES_ALLOCATED)]
        found = sample(group.counting, columns)
        place = Place(spot.stage, spot.moment, spot.mode, Layer.FILES.value, None)
        if len(found.values):
            figure = estimate(quotient, [found.values])
            yield context.figure(place, "apparent_per_allocated", "ratio", figure, left_out(found))


def _shared_rows(context: Context, group: Group, spots: Sequence[Spot]) -> Iterator[Row]:
    """Yield the bytes in shared extents, and their share of what is allocated, where told."""
    for spot in spots:
        found = sample(
            group.counting, [absolute(spot, FILES_SHARED), absolute(spot, FILES_ALLOCATED)]
        )
        if not len(found.values) or spot == BASELINE:
            continue
        place = Place.of(spot, FILES_SHARED)
        shared = estimate(first_column, [found.values])
        yield context.figure(place, "footprint_bytes", "byte", shared, left_out(found))
        share = estimate(quotient, [found.values])
        yield context.figure(place, "shared_per_allocated", "ratio", share, left_out(found))


def _missing_rows(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row for each layer that was not read anywhere in the group, with the reason."""
    read = {reading.layer for cell in group.counting for reading in readings(cell)}
    reasons: dict[Layer, str] = {}
    for cell in group.counting:
        for measurement in cell.measurements:
            for moment in measurement.moments:
                for missing in moment.footprint.missing:
                    reasons.setdefault(missing.layer, missing.reason)
    for layer, reason in reasons.items():
        if layer not in read:
            problem = Outcome(OutcomeKind.UNSUPPORTED, f"{layer} is missing: {reason}")
            place = Place("bulk", "rest", None, layer.value, None)
            yield context.absent(place, "footprint_bytes", "byte", problem)


def _manifest_rows(context: Context, stage: str, manifest: Manifest) -> Iterator[Row]:
    """Yield the ground truth of a dataset: objects, logical bytes, and the bound at every grain."""
    place = Place(stage=stage, layer=_CLIENT)
    counts = [
        ("objects", manifest.objects, "object"),
        ("logical_bytes", manifest.logical_bytes, "byte"),
        ("bound_bytes:object", manifest.unique_bytes, "byte"),
    ]
    counts += [
        (f"bound_bytes:{grain}", unique_bytes, "byte")
        for grain, unique_bytes in sorted(manifest.grain_unique_bytes.items())
    ]
    for metric, count, unit in counts:
        exact = Estimate(float(count), None, None, 1)
        yield context.figure(place, metric, unit, exact)


def _all_spots(group: Group) -> list[Spot]:
    """Return every spot where a footprint was taken in a cell that counts, in order of time."""
    spots = {BASELINE: None}
    for cell in group.counting:
        for measurement in cell.measurements:
            for moment in measurement.moments:
                spots[spot_of(cell, measurement, moment.name)] = None
    return list(spots)


def _components(group: Group, gauge: Gauge) -> list[str]:
    return sorted(
        {
            name
            for cell in group.counting
            for reading in readings(cell)
            if (reading.layer, reading.ruler) == (gauge.layer, gauge.ruler)
            for name in reading.components
        }
    )
