"""What a plan will take: objects, bytes, disk and time, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deduplab import registry
from deduplab.cell import Cell
from deduplab.model import Stage
from deduplab.units import MIB

# Deliberately coarse; a cell of an embedded engine with 8 MiB takes about half a second on two
# cores. The disk factor covers data, log and a rewrite beside the old copy at the same time.
_START_S: Final = {"reference": 0.1, "embedded": 0.3, "server": 1.5}
_BYTES_PER_S: Final = 60 * MIB
_DISK_FACTOR: Final = 4
_DISK_FLOOR_BYTES: Final = 256 * MIB
_RESULT_BYTES_PER_CELL: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the cells of a plan will take.

    ``logical_bytes`` counts every byte handed over in any stage; ``disk_bytes``
    is the most that one instance and all results need at a time;
    ``duration_s`` is coarse, within a factor of two on a machine of two cores.
    """

    cells: int
    stages: int
    logical_bytes: int
    disk_bytes: int
    duration_s: float


def instance_bytes(cell: Cell) -> int:
    """Return what the instance of a cell may need on the workspace's disk; coarse."""
    return max(_DISK_FACTOR * cell.bulk.logical_bytes + _DISK_FLOOR_BYTES, cell.volume_bytes)


def estimate(cells: tuple[Cell, ...]) -> Estimate:
    """Return what these cells of a plan will take."""
    most_bytes = max(map(instance_bytes, cells), default=_DISK_FLOOR_BYTES)
    return Estimate(
        cells=len(cells),
        stages=sum(len(cell.stages) for cell in cells),
        logical_bytes=sum(_handed_over_bytes(cell) for cell in cells),
        disk_bytes=most_bytes + _RESULT_BYTES_PER_CELL * len(cells),
        duration_s=sum(duration_s(cell) for cell in cells),
    )


def _handed_over_bytes(cell: Cell) -> int:
    loads = sum(stage in (Stage.BULK, Stage.REFILL) for stage in cell.stages)
    insert_bytes = cell.insert.logical_bytes if cell.insert else 0
    return loads * cell.bulk.logical_bytes + insert_bytes


def duration_s(cell: Cell) -> float:
    """Return what one cell may take, in seconds; coarse, as :class:`Estimate` says."""
    entry = registry.system(cell.system)
    rests = 1 + sum(stage is not Stage.READ for stage in cell.stages)
    rest_s = cell.rest.window_s * rests if entry.capabilities().background_work else 0.0
    return _START_S[entry.kind] + rest_s + 2 * _handed_over_bytes(cell) / _BYTES_PER_S
