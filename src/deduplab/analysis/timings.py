"""Throughput, latency, flush time and write amplification of every stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from deduplab.analysis.context import Context, Place, cells_left_out, left_out
from deduplab.analysis.footprints import Column, Spot, maintenance_moment, sample, spot_of
from deduplab.analysis.groups import Group
from deduplab.analysis.operations import Operations, operation_rows
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import Statistic, estimate, first_column, quotient
from deduplab.cell import CellResult
from deduplab.model import ColdStart, Measurement, Outcome, OutcomeKind, Stage
from deduplab.store import Run

_LOADS: Final = (Stage.BULK, Stage.INSERT, Stage.REFILL)
_Of = Callable[[ColdStart], float]
_COLD: Final[tuple[tuple[str, str, _Of], ...]] = (
    ("restart_s", "s", lambda cold: cold.restart_ns / 1e9),
    ("cold_file_bytes", "byte", lambda cold: cold.file_bytes),
    ("resident_before_bytes", "byte", lambda cold: cold.resident_before_bytes),
    ("resident_after_bytes", "byte", lambda cold: cold.resident_after_bytes),
    ("resident_at_read_bytes", "byte", lambda cold: cold.resident_at_read_bytes),
)
"""What is told of a cold start: see :class:`ColdStart`."""


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
        operations = Operations.read(run, group, position, ids)
        yield from _throughput_rows(context, group, spot, measurement, operations.words)
        yield from operation_rows(context, Place.of(spot), operations)
        if measurement.cold is not None:
            yield from _cold_rows(context, group, spot, position, operations)
        if measurement.stage in (*_LOADS, Stage.DELETE):
            yield _row(context, group, spot, "flush_s", "s", [_flush_seconds(position)])
        if measurement.stage in _LOADS:
            columns = [_storage_writes(position), _logical(position)]
            yield _row(context, group, spot, "write_amplification", "ratio", columns)


def _throughput_rows(
    context: Context, group: Group, spot: Spot, measurement: Measurement, remark: str
) -> Iterator[Row]:
    position = measurement.position
    objects = [_objects(position), _seconds(position)]
    yield _row(context, group, spot, "objects_per_s", "object/s", objects, remark)
    if measurement.stage is not Stage.DELETE:
        logical = [_logical(position), _seconds(position)]
        yield _row(context, group, spot, "bytes_per_s", "byte/s", logical, remark)


def _cold_rows(
    context: Context, group: Group, spot: Spot, position: int, operations: Operations
) -> Iterator[Row]:
    """Yield how cold a cold read was, and what its first operation took."""
    firsts = np.array([values[:1] for values in operations.latencies_ns], dtype=np.float64)
    first = estimate(first_column, [firsts])
    yield context.figure(Place.of(spot), "latency_first_ns", "ns", first, operations.words)
    for name, unit, of in _COLD:
        yield _row(context, group, spot, name, unit, [_cold(position, of)])


def _row(
    context: Context,
    group: Group,
    spot: Spot,
    metric: str,
    unit: str,
    columns: Sequence[Column],
    remark: str = "",
) -> Row:
    """Return the mean of one column, or the quotient of the means of two."""
    found = sample(group.counting, columns)
    place = Place.of(spot)
    if not len(found.values):
        return context.absent(place, metric, unit, found.problem)
    statistic: Statistic = quotient if len(columns) == 2 else first_column
    figure = estimate(statistic, [found.values])
    return context.figure(
        place, metric, unit, figure, left_out(found) or remark or cells_left_out(group)
    )


def _spot(cell: CellResult, measurement: Measurement) -> Spot:
    """Return the whole stage, as timings have no moment; maintenance keeps what it was run on."""
    if measurement.stage is Stage.RECLAIM:
        return spot_of(cell, measurement, maintenance_moment(measurement))
    return Spot(measurement.stage, "", measurement.mode or None)


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


def _cold(position: int, of: _Of) -> Column:
    def column(cell: CellResult) -> float | Outcome:
        found = _measured(cell, position)
        if isinstance(found, Outcome):
            return found
        return of(found.cold) if found.cold else Outcome(OutcomeKind.INVALID, "it was not cold")

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
