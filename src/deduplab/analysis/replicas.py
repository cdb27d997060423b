"""Replicas: how many physical copies a footprint was found to contain, and what each one saves.

``edr_replica`` is ``edr`` x R (docs/method.md, section 3): R is what was counted at that very
moment, never what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import (
    Bytes,
    Column,
    Gauge,
    Spot,
    bytes_at,
    growth,
    measurement_at,
    sample,
)
from deduplab.analysis.groups import Group
from deduplab.analysis.lookup import DISTANCES, MOMENTS, REPLICAS, Lookup, Subject
from deduplab.analysis.ratios import logical_bytes, planned_spots
from deduplab.analysis.resolution import FINE, Resolution
from deduplab.analysis.row import Row
from deduplab.analysis.sizes import gauges
from deduplab.analysis.statistics import Floats, estimate, first_column
from deduplab.cell import CellResult
from deduplab.model import Layer, Outcome, OutcomeKind, Stage

COPIES: Final = "physical_copies"
EDR_REPLICA: Final = "edr_replica"

_NOT_COUNTED: Final = Outcome(OutcomeKind.UNSUPPORTED, "no physical copies were counted")
_NOT_GROWN: Final = Outcome(OutcomeKind.INVALID, "not defined: the footprint did not grow")


def replica_rows(run: str, group: Group, resolution: Resolution = FINE) -> Iterator[Row]:
    """Yield R and the reduction of each copy at every moment of bulk and insert.

    Nothing where the system was not replicated.
    """
    context = Context(run, group)
    for gauge in gauges(group) if group.counting else ():
        if gauge.layer is Layer.REPLICAS:
            for spot in planned_spots(group):
                yield _copies_row(context, spot, gauge)
                yield _edr_row(context, spot, gauge, resolution)


def reduction_of_each(means: Sequence[Floats]) -> Floats:
    """Return ``edr`` x R from the columns (L, growth, R)."""
    (cells,) = means
    found: Floats = cells[..., 0] / cells[..., 1] * cells[..., 2]
    return found


def _copies_row(context: Context, spot: Spot, gauge: Gauge) -> Row:
    place = Place.of(spot, gauge)
    found = sample(context.group.counting, [copies(spot, gauge)])
    if not len(found.values):
        return context.absent(place, COPIES, "copy", found.problem)
    return context.figure(
        place, COPIES, "copy", estimate(first_column, [found.values]), left_out(found)
    )


def _edr_row(context: Context, spot: Spot, gauge: Gauge, resolution: Resolution) -> Row:
    place = Place.of(spot, gauge)
    group = context.group
    columns = [logical_bytes(spot), growth(spot, gauge), copies(spot, gauge)]
    found = sample(group.counting, columns)
    if not len(found.values):
        return context.absent(place, EDR_REPLICA, "ratio", found.problem)
    grown = found.values[:, 1].mean()
    problem = _NOT_GROWN if grown <= 0 else resolution.of_growth(gauge, grown)
    if not problem.ok:
        return context.absent(place, EDR_REPLICA, "ratio", problem)
    figure = estimate(reduction_of_each, [found.values])
    remark = left_out(found) or cells_left_out(group)
    return context.figure(place, EDR_REPLICA, "ratio", figure, remark)


def copies(spot: Spot, gauge: Gauge) -> Column:
    """Column: the physical copies that were counted at a spot, at the layer REPLICAS."""

    def column(cell: CellResult) -> Bytes:
        size = bytes_at(cell, spot, gauge)
        if isinstance(size, Outcome):
            return size
        measurement = measurement_at(cell, spot)
        moment = measurement.moment(spot.moment) if measurement else None
        reading = moment.footprint.reading(gauge.layer, gauge.ruler) if moment else None
        return _NOT_COUNTED if reading is None or reading.copies is None else reading.copies

    return column


@dataclass(frozen=True, slots=True)
class ReplicasMoment:
    """One moment after bulk, of the farthest copies; each None where there is no such row.

    ``edr_first`` is that of the files of the first member alone; ``edr_all`` counts all members
    and ``edr_each`` is the latter times the copies.
    """

    moment: str
    copies: Row | None
    edr_first: Row | None
    edr_all: Row | None
    edr_each: Row | None
    efficiency: Row | None


@dataclass(frozen=True, slots=True)
class ReplicasFinding:
    """What replication costs one subject at its highest grade, at every moment."""

    subject: Subject
    grade: str
    distance: str | int
    moments: tuple[ReplicasMoment, ...]


def replicas_findings(rows: Iterable[Row]) -> list[ReplicasFinding]:
    """Return what every replicated subject shows."""
    lookup = Lookup(rows)
    subjects = (subject for subject in lookup.subjects() if subject.replicas > 1)
    found = (_finding(lookup, subject) for subject in subjects)
    return [finding for finding in found if finding.moments]


def _finding(lookup: Lookup, subject: Subject) -> ReplicasFinding:
    grade = lookup.grades(subject)[0]
    distances = lookup.distances(subject, grade) or ["none"]
    distance = DISTANCES[-1] if DISTANCES[-1] in distances else distances[-1]

    def row(metric: str, moment: str, layer: str | None = None) -> Row | None:
        return lookup.row(subject, grade, distance, metric, Stage.BULK, moment, layer=layer)

    moments = (
        ReplicasMoment(
            moment,
            row(COPIES, moment, REPLICAS),
            row("edr", moment),
            row("edr", moment, REPLICAS),
            row(EDR_REPLICA, moment, REPLICAS),
            row("dedup_efficiency", moment, REPLICAS),
        )
        for moment in MOMENTS
    )
    return ReplicasFinding(
        subject, grade, distance, tuple(entry for entry in moments if entry.copies is not None)
    )
