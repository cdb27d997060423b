"""Footprints: the bytes of one layer at every moment of a cell that counts, or why they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deduplab.analysis.statistics import Floats
from deduplab.cell import CellResult
from deduplab.model import (
    DEDUPE,
    DEDUPE_MODES,
    OK,
    Layer,
    Measurement,
    Moment,
    Outcome,
    OutcomeKind,
    Reading,
    Ruler,
    Stage,
)

# A number of bytes, or the reason why there is none.
Bytes = int | Outcome
Column = Callable[[CellResult], Bytes | float]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the chain a footprint belongs; the baseline has no stage.

    Maintenance of the filled container is ``("bulk", "reclaim", mode)``, of
    the emptied one ``("reclaim", "reclaim", mode)``; after the volume's blocks
    were shared it is ``("bulk", "dedupe", mode)``.
    """

    stage: Stage | None
    moment: str
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """Which bytes are meant: a layer, a ruler, and one component or (None) all."""

    layer: Layer
    ruler: Ruler
    component: str | None = None


_AFTER_MAINTENANCE = ("reclaim", DEDUPE)
_LOADS = (Stage.BULK, Stage.INSERT, Stage.REFILL)
BASELINE = Spot(None, "baseline")
FILES_ALLOCATED = Gauge(Layer.FILES, Ruler.ALLOCATED)
FILES_APPARENT = Gauge(Layer.FILES, Ruler.APPARENT)
FILES_SHARED = Gauge(Layer.FILES, Ruler.SHARED)


@dataclass(frozen=True, slots=True)
class Sample:
    """The numbers of those repetitions where all columns could be had.

    ``values`` has shape (repetitions, columns). ``problem`` is the first
    reason why a repetition was left out, OK if none was.
    """

    values: Floats
    left_out: int
    problem: Outcome


def sample(cells: Sequence[CellResult], columns: Sequence[Column]) -> Sample:
    """Collect columns over repetitions; a repetition without one of them is left out whole."""
    kept: list[list[float]] = []
    problem = OK
    for cell in cells:
        found = [column(cell) for column in columns]
        problems = [value for value in found if isinstance(value, Outcome)]
        if problems:
            problem = problem if not problem.ok else problems[0]
            continue
        kept.append([float(value) for value in found if not isinstance(value, Outcome)])
    values = np.array(kept, dtype=np.float64).reshape(len(kept), len(columns))
    return Sample(values, len(cells) - len(kept), problem)


def spot_of(cell: CellResult, measurement: Measurement, moment: str) -> Spot:
    """Return where a measurement's moment belongs; maintenance belongs to what was loaded last."""
    stage = measurement.stage
    if stage is Stage.RECLAIM and measurement.filled:
        before = (entry.stage for entry in cell.measurements[: measurement.position])
        loaded = [entry for entry in before if entry in _LOADS]
        stage = loaded[-1] if loaded else stage
    return Spot(stage, moment, measurement.mode or None)


def maintenance_moment(measurement: Measurement) -> str:
    """Return the name of the moment after a measurement of the stage reclaim."""
    return DEDUPE if measurement.mode in DEDUPE_MODES else "reclaim"


def measurement_at(cell: CellResult, spot: Spot) -> Measurement | None:
    """Return the measurement that a spot belongs to, or None if the chain has none."""
    for measurement in cell.measurements:
        maintenance = measurement.stage is Stage.RECLAIM
        if maintenance != (spot.moment in _AFTER_MAINTENANCE):
            continue
        if maintenance and spot.moment != maintenance_moment(measurement):
            continue
        at = spot_of(cell, measurement, spot.moment)
        if at.stage is spot.stage and (spot.mode is None or spot.mode == at.mode):
            return measurement
    return None


def bytes_at(cell: CellResult, spot: Spot, gauge: Gauge) -> Bytes:
    """Return the bytes that a gauge showed at a spot, or why that does not count."""
    moment = cell.baseline
    if spot != BASELINE:
        measurement = measurement_at(cell, spot)
        if measurement is None:
            return Outcome(OutcomeKind.UNSUPPORTED, f"the chain has no {_spot_words(spot)}")
        if not measurement.outcome.ok:
            return measurement.outcome
        moment = measurement.moment(spot.moment)
    if moment is None:
        return Outcome(OutcomeKind.INVALID, f"no footprint was taken at {_spot_words(spot)}")
    if moment.rest is not None and not moment.rest.settled:
        return censored(moment)
    return _gauged(moment, gauge)


def censored(moment: Moment) -> Outcome:
    """Word why a moment that did not settle is left out."""
    rest = moment.rest
    waited = f"{rest.waited_ns / 1e9:.1f} s" if rest else "the deadline"
    busy = ", ".join(f"{name}={value}" for name, value in (rest.busy if rest else {}).items())
    reason = f"censored: {moment.name} not reached after {waited}" + (
        f"; busy: {busy}" if busy else "; the size kept changing"
    )
    return Outcome(OutcomeKind.INVALID, reason)


def settled_spot_before(cell: CellResult, stage: Stage) -> Spot | None:
    """Return the last spot at rest before the first measurement of a stage; None without one.

    It is the baseline where nothing changed the store before.
    """
    last = BASELINE
    for measurement in cell.measurements:
        if measurement.stage is stage:
            return last
        for name in ("rest", *_AFTER_MAINTENANCE):
            if measurement.moment(name) is not None:
                last = spot_of(cell, measurement, name)
    return None


def growth(spot: Spot, gauge: Gauge) -> Column:
    """Column: bytes at a spot beyond what was there before.

    For the stage insert, what was there is the last settled footprint before
    it; for everything else the empty baseline.
    """

    def column(cell: CellResult) -> Bytes:
        base = BASELINE
        if spot.stage is Stage.INSERT:
            base = settled_spot_before(cell, Stage.INSERT) or BASELINE
        before, after = bytes_at(cell, base, gauge), bytes_at(cell, spot, gauge)
        if isinstance(after, Outcome):
            return after
        return before if isinstance(before, Outcome) else after - before

    return column


def absolute(spot: Spot, gauge: Gauge) -> Column:
    """Column: bytes at a spot, the baseline included."""
    return lambda cell: bytes_at(cell, spot, gauge)


def before_delete(gauge: Gauge) -> Column:
    """Column: bytes of the filled container, at rest before the stage delete."""

    def column(cell: CellResult) -> Bytes:
        spot = settled_spot_before(cell, Stage.DELETE)
        if spot is None or spot == BASELINE:
            return Outcome(OutcomeKind.UNSUPPORTED, "the chain has no filled container to delete")
        return bytes_at(cell, spot, gauge)

    return column


def readings(cell: CellResult) -> list[Reading]:
    """Return the readings of all footprints of a cell."""
    moments = [cell.baseline] if cell.baseline else []
    moments += [moment for entry in cell.measurements for moment in entry.moments]
    return [reading for moment in moments for reading in moment.footprint.readings]


def _gauged(moment: Moment, gauge: Gauge) -> Bytes:
    reading = moment.footprint.reading(gauge.layer, gauge.ruler)
    if reading is None:
        missing = (entry for entry in moment.footprint.missing if entry.layer is gauge.layer)
        reason = next((entry.reason for entry in missing), "no such reading was taken")
        return Outcome(OutcomeKind.UNSUPPORTED, f"{gauge.layer} is missing: {reason}")
    if gauge.component is None:
        return reading.total_bytes
    return reading.components.get(gauge.component, 0)


def _spot_words(spot: Spot) -> str:
    if spot == BASELINE:
        return "baseline"
    mode = f" ({spot.mode})" if spot.mode else ""
    return f"{spot.stage}, {spot.moment}{mode}"
