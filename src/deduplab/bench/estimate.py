"""What a plan will take: objects, bytes, disk and time, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deduplab import registry
from deduplab.cell import Cell
from deduplab.dataset_spec import DatasetSpec
from deduplab.model import READS, Stage, is_paced
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
    one_bytes = _DISK_FACTOR * cell.bulk.logical_bytes + _DISK_FLOOR_BYTES
    return max(one_bytes * cell.replicas, cell.volume_bytes)


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


def scheduled_s(cell: Cell, objects: Mapping[DatasetSpec, int]) -> dict[Stage, float]:
    """Return the seconds that the schedule of each stage with a rate takes, whatever the system.

    Parameters
    ----------
    objects
        How many objects each dataset has.
    """
    found: dict[Stage, float] = {}
    if cell.rate_per_s is None:
        return found
    bulk = objects[cell.bulk]
    insert = objects[cell.insert] if cell.insert else 0
    live = 0
    for stage in cell.stages:
        read = min(cell.read_objects, bulk)
        done = {Stage.INSERT: insert, Stage.DELETE: live, **dict.fromkeys(READS, read)}
        if is_paced(stage, cell.delete_mode):
            found[stage] = found.get(stage, 0.0) + done[stage] / cell.rate_per_s
        if stage in (Stage.BULK, Stage.REFILL, Stage.INSERT):
            live += insert if stage is Stage.INSERT else bulk
        elif stage is Stage.DELETE:
            live = 0
    return found


def duration_s(cell: Cell) -> float:
    """Return what one cell may take, in seconds; coarse, as :class:`Estimate` says."""
    entry = registry.system(cell.system)
    specs = filter(None, (cell.bulk, cell.insert))
    about = {spec: max(1, spec.logical_bytes // spec.object_bytes) for spec in specs}
    rests = 1 + sum(stage not in READS for stage in cell.stages)
    rest_s = cell.rest.window_s * rests if entry.capabilities().background_work else 0.0
    starts_s = _START_S[entry.kind] * cell.replicas * (1 + cell.stages.count(Stage.COLD_READ))
    worked_s = 2 * _handed_over_bytes(cell) / _BYTES_PER_S
    return starts_s + rest_s + worked_s + sum(scheduled_s(cell, about).values())
