"""Resolution: the steps in which a footprint can move, and what ratios of few steps are worth.

A system that allocates its files in blocks of 256 KiB shows nothing that is smaller:
a growth is known to within one step. A ratio counts only where one step could
not change what is concluded from it (docs/method.md, section 5).

The step is the larger of what the system declares (``allocation_bytes`` in the
configuration of its identity) and what is measured: the greatest common divisor of
all movements of the footprint, of all cells of a system and variant. It is read by the
apparent ruler, for a file system adds blocks of its own to what is allocated, and
passed over where the data explain it: objects of 64 KiB, each stored in a file, move
a footprint in steps of 64 KiB, too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deduplab.analysis.footprints import FILES_ALLOCATED, FILES_APPARENT, Gauge
from deduplab.analysis.groups import Group
from deduplab.cell import CellResult
from deduplab.model import OK, Layer, Moment, Outcome, OutcomeKind, Stage
from deduplab.units import format_bytes

DECLARED: Final = "allocation_bytes"
"""The name under which a system's configuration may declare the unit its files grow by."""

WORST: Final = 0.1
"""The most by which one step may move a ratio that counts: the least eta that names a mechanism."""

_PROPORTIONAL: Final = 0.01  # loads that differ less in bytes a byte are explained by the data
_NEAR: Final = 1 / 16  # of a step: how far a file system's own blocks may move it off the steps
_LEAST_MOVEMENTS: Final = 2  # one movement alone has no common divisor but itself


@dataclass(frozen=True, slots=True)
class Resolution:
    """The bytes of one step, by gauge; a gauge without one moves as finely as can be told."""

    step_bytes: Mapping[Gauge, int] = field(default_factory=dict)

    def of_growth(self, gauge: Gauge, growth: float) -> Outcome:
        """Say whether a ratio of a growth to known bytes counts: u, edr, reclaimed."""
        step = self.step_bytes.get(gauge, 0)
        off = step / growth if growth > 0 else 0.0
        return self._judged(step, growth, off, "the ratio")

    def of_saving(
        self,
        gauge: Gauge,
        growth: float,
        first_growth: float,
        first_bytes: float,
        saved_bytes: float,
    ) -> Outcome:
        """Say whether eta (and so c, and the efficiency of a bound) counts.

        Parameters
        ----------
        growth, first_growth
            Of the cells with copies, and of their control.
        first_bytes
            Logical bytes of the control.
        saved_bytes
            What could be saved: bytes of duplicates, or beyond a bound.
        """
        step = self.step_bytes.get(gauge, 0)
        if first_growth <= 0 or saved_bytes <= 0:
            return OK
        # eta = 1 - (growth x first_bytes / first_growth - unique bytes) / duplicate bytes
        relative = step / first_growth
        off = first_bytes / saved_bytes * relative * (1 + max(growth, 0.0) / first_growth)
        return self._judged(step, first_growth, off, "eta")

    @staticmethod
    def _judged(step: int, growth: float, off: float, what: str) -> Outcome:
        if off <= WORST:
            return OK
        reason = (
            f"not resolved: the footprint moves in steps of {format_bytes(step)}, and the growth "
            f"of {format_bytes(growth)} is {growth / step:.1f} of them; one step changes {what} by "
            f"{off:.2f}{' of itself' if what != 'eta' else ''}, and {WORST} is the most that "
            "counts. Larger data resolve it (--scale)"
        )
        return Outcome(OutcomeKind.INVALID, reason)


FINE: Final = Resolution()
"""Nothing is known of steps: every ratio counts."""


def resolutions(groups: Iterable[Group]) -> dict[tuple[str, str], Resolution]:
    """Return the resolution of every system and variant, from all its groups."""
    cells: dict[tuple[str, str], list[CellResult]] = defaultdict(list)
    for group in groups:
        cells[group.series.system, group.series.variant] += group.counting
    return {name: _resolution(found) for name, found in cells.items()}


def _resolution(cells: Sequence[CellResult]) -> Resolution:
    gauges = {
        Gauge(reading.layer, reading.ruler)
        for cell in cells
        for moment in _moments(cell)
        for reading in moment.footprint.readings
        if reading.layer is not Layer.CLIENT
    }
    declared = max((_declared(cell) for cell in cells), default=0)
    steps = {}
    for gauge in gauges:
        own = declared * _members(cells, gauge.layer)
        steps[gauge] = max(own, _measured(cells, gauge, gauges))
    return Resolution(steps)


def _members(cells: Sequence[CellResult], layer: Layer) -> int:
    """Return how many members may move by a declared step of their own at a layer."""
    if layer is Layer.REPLICAS:
        return max(cell.cell.replicas for cell in cells)
    return int(layer in (Layer.FILES, Layer.ENGINE))


def _measured(cells: Sequence[CellResult], gauge: Gauge, gauges: set[Gauge]) -> int:
    own = _common_step(cells, gauge)
    if gauge != FILES_ALLOCATED or FILES_APPARENT not in gauges:
        return own
    apparent = _common_step(cells, FILES_APPARENT)
    off = (moved % apparent for moved in _movements(cells, gauge)) if apparent else iter(())
    # a file with holes may be allocated more finely than its length moves
    fits = all(min(rest, apparent - rest) <= apparent * _NEAR for rest in off)
    return max(own, apparent) if fits else own


def _common_step(cells: Sequence[CellResult], gauge: Gauge) -> int:
    """Return the greatest step that all movements are multiples of; 0 if the data explain it."""
    movements = set(_movements(cells, gauge)) - {0}
    if len(movements) < _LEAST_MOVEMENTS or _proportional(cells, gauge):
        return 0
    return math.gcd(*movements)


def _movements(cells: Sequence[CellResult], gauge: Gauge) -> Iterator[int]:
    """Yield how far each footprint is from the first one of its cell."""
    for cell in cells:
        found = [total for moment in _moments(cell) if (total := _total(moment, gauge)) is not None]
        yield from (total - found[0] for total in found[1:])


def _proportional(cells: Sequence[CellResult], gauge: Gauge) -> bool:
    """Tell whether, of each payload, all loads cost the same a byte, or a unique byte."""
    loads: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
    for cell in cells:
        loads[cell.cell.bulk.payload, cell.cell.layout] += _loads(cell, gauge)
    return all(_same_cost(found, 1) or _same_cost(found, 2) for found in loads.values())


def _same_cost(loads: Iterable[tuple[int, int, int]], column: int) -> bool:
    costs = [load[0] / load[column] for load in loads if load[column]]
    return not costs or max(costs) - min(costs) <= _PROPORTIONAL * max(costs)


def _loads(cell: CellResult, gauge: Gauge) -> Iterator[tuple[int, int, int]]:
    """Yield growth, logical and unique bytes of each load, at every moment of it."""
    before = _total(cell.baseline, gauge) if cell.baseline else None
    for entry in cell.measurements:
        totals = [_total(moment, gauge) for moment in entry.moments]
        if entry.stage in (Stage.BULK, Stage.INSERT) and entry.outcome.ok and before is not None:
            for total in totals:
                if total is not None:
                    yield total - before, entry.logical_bytes, entry.unique_bytes
        before = totals[-1] if totals else before


def _moments(cell: CellResult) -> Iterator[Moment]:
    if cell.baseline is not None:
        yield cell.baseline
    for entry in cell.measurements:
        yield from entry.moments


def _total(moment: Moment, gauge: Gauge) -> int | None:
    reading = moment.footprint.reading(gauge.layer, gauge.ruler)
    return reading.total_bytes if reading else None


def _declared(cell: CellResult) -> int:
    text = cell.identity.configuration.get(DECLARED, "") if cell.identity else ""
    return int(text) if text.isdecimal() else 0
