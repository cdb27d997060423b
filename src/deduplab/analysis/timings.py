"""Throughput, latency, flush time and write amplification of every stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import Column, Spot, maintenance_moment, sample, spot_of
from deduplab.analysis.groups import Group
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import (
    Estimate,
    Statistic,
    estimate,
    first_column,
    percentiles,
    quotient,
)
from deduplab.cell import CellResult
from deduplab.model import Measurement, Outcome, OutcomeKind, Stage
from deduplab.store import Run

PERCENTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
_LOADS: Final = (Stage.BULK, Stage.INSERT, Stage.REFILL)
Latencies = list[npt.NDArray[np.int64]]


def timing_rows(run: Run, group: Group) -> Iterator[Row]:
    """Yield what the stages of a group took: timed regions alone, from raw nanoseconds."""
    context = Context(run.header.run_id, group)
    if not group.counting:
        return
    first = group.counting[0]
    ids = {id(cell): cell.cell.cell_id for cell in group.counting}  # a hash each: made once
    for measurement in first.measurements:
        spot = _spot(first, measurement)
        position = measurement.position
        if measurement.stage is Stage.RECLAIM:
            yield _row(context, group, spot, "maintenance_s", "s", [_seconds(position)])
            continue
        yield from _throughput_rows(context, group, spot, measurement)
        yield from _latency_rows(context, run, group, spot, position, ids)
        if measurement.stage in (*_LOADS, Stage.DELETE):
            yield _row(context, group, spot, "flush_s", "s", [_flush_seconds(position)])
        if measurement.stage in _LOADS:
            columns = [_storage_writes(position), _logical(position)]
            yield _row(context, group, spot, "write_amplification", "ratio", columns)


def _throughput_rows(
    context: Context, group: Group, spot: Spot, measurement: Measurement
) -> Iterator[Row]:
    position = measurement.position
    objects = [_objects(position), _seconds(position)]
    yield _row(context, group, spot, "objects_per_s", "object/s", objects)
    if measurement.stage is not Stage.DELETE:
        logical = [_logical(position), _seconds(position)]
        yield _row(context, group, spot, "bytes_per_s", "byte/s", logical)


def _latency_rows(
    context: Context, run: Run, group: Group, spot: Spot, position: int, ids: Mapping[int, str]
) -> Iterator[Row]:
    """Yield latencies of one operation: a batch in bulk, refill and delete, else one object."""
    found = [
        run.latencies_ns(ids[id(cell)], position, cell.measurements[position].operations)
        for cell in _valid(group, position)
    ]
    repetitions = [values for values in found if len(values)]
    if not repetitions:
        return
    place = Place.of(spot)
    operations = sum(len(values) for values in repetitions)
    remark = cells_left_out(group)
    # Sums and counts, so that the mean is that of all operations and not of the repetitions' means
    sums = np.array([[values.sum(), len(values)] for values in repetitions], dtype=np.float64)
    mean = estimate(quotient, [sums])
    yield context.figure(place, "latency_mean_ns", "ns", mean, remark)
    extremes = (
        ("min", min(values.min() for values in repetitions)),
        ("max", max(values.max() for values in repetitions)),
    )
    for name, value in extremes:  # no interval: a bootstrap can't reach beyond an extreme
        extreme = Estimate(float(value), None, None, len(repetitions))
        yield context.figure(place, f"latency_{name}_ns", "ns", extreme, remark)
    figures = percentiles(repetitions, [share for _, share in PERCENTILES])
    for (name, share), figure in zip(PERCENTILES, figures, strict=True):
        few = operations < math.ceil(1 / (1 - share) - 1e-9)
        note = f"few operations ({operations}): the greatest one" if few else remark
        yield context.figure(place, f"latency_{name}_ns", "ns", figure, note)


def _row(
    context: Context,
    group: Group,
    spot: Spot,
    metric: str,
    unit: str,
    columns: Sequence[Column],
) -> Row:
    """Return the mean of one column, or the quotient of the means of two."""
    found = sample(group.counting, columns)
    place = Place.of(spot)
    if not len(found.values):
        return context.absent(place, metric, unit, found.problem)
    statistic: Statistic = quotient if len(columns) == 2 else first_column
    figure = estimate(statistic, [found.values])
    return context.figure(place, metric, unit, figure, left_out(found) or cells_left_out(group))


def _spot(cell: CellResult, measurement: Measurement) -> Spot:
    """Return the whole stage, as timings have no moment; maintenance keeps what it was run on."""
    if measurement.stage is Stage.RECLAIM:
        return spot_of(cell, measurement, maintenance_moment(measurement))
    return Spot(measurement.stage, "", measurement.mode or None)


def _valid(group: Group, position: int) -> list[CellResult]:
    return [
        cell
        for cell in group.counting
        if position < len(cell.measurements) and cell.measurements[position].outcome.ok
    ]


def _measured(cell: CellResult, position: int) -> Measurement | Outcome:
    if position >= len(cell.measurements):
        return Outcome(OutcomeKind.INVALID, "the chain ended before this stage")
    measurement = cell.measurements[position]
    return measurement if measurement.outcome.ok else measurement.outcome


def _objects(position: int) -> Column:
    def column(cell: CellResult) -> int | Outcome:
        found = _measured(cell, position)
        return found if isinstance(found, Outcome) else found.objects

    return column


def _logical(position: int) -> Column:
    def column(cell: CellResult) -> int | Outcome:
        found = _measured(cell, position)
        return found if isinstance(found, Outcome) else found.logical_bytes

    return column


def _seconds(position: int) -> Column:
    def column(cell: CellResult) -> float | Outcome:
        found = _measured(cell, position)
        if isinstance(found, Outcome):
            return found
        if found.duration_ns <= 0:
            return Outcome(OutcomeKind.INVALID, "nothing was timed")
        return found.duration_ns / 1e9

    return column


def _flush_seconds(position: int) -> Column:
    def column(cell: CellResult) -> float | Outcome:
        found = _measured(cell, position)
        return found if isinstance(found, Outcome) else found.flush_ns / 1e9

    return column


def _storage_writes(position: int) -> Column:
    def column(cell: CellResult) -> int | Outcome:
        found = _measured(cell, position)
        if isinstance(found, Outcome):
            return found
        if found.storage_write_bytes is None:
            return Outcome(OutcomeKind.UNSUPPORTED, "the kernel did not tell what was written")
        return found.storage_write_bytes

    return column
