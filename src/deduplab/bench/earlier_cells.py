"""Cells of a plan that earlier runs measured, and that a new run may take over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deduplab import registry
from deduplab.bench import environment
from deduplab.cell import Cell
from deduplab.errors import StoreError
from deduplab.model import OutcomeKind
from deduplab.store import Run

_FINAL: Final = (OutcomeKind.OK, OutcomeKind.UNSUPPORTED)
_NEW: Final = "no run of another plan here has it"


@dataclass(frozen=True, slots=True)
class EarlierCells:
    """What a new run begins with.

    Attributes
    ----------
    taken
        Cells that are taken over, by id, with the run to take each from.
    left
        Why the others are not, by id.
    """

    taken: dict[str, Run] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def earlier_cells(runs: Iterable[Run], cells: Sequence[Cell], workspace: Path) -> EarlierCells:
    """Find all cells that a run has with the same inputs, measured in an environment like this.

    What is compared (systems, volumes, layouts, grades, distances) are the cells of one payload
    and repetition: a block. Where a run has a whole one it is taken from there, since its
    cells were measured in one random order, and then what changed between runs falls on no
    comparison. What is left is taken cell by cell, and readers are told where runs meet.

    Parameters
    ----------
    runs
        Where to look, in this order.
    cells
        All cells of the plan.
    """
    sources = [_Source(run, workspace) for run in runs]
    taken = _whole_blocks(sources, cells)
    left = {}
    for cell in cells:
        cell_id = cell.cell_id
        if cell_id in taken:
            continue
        source = next((one for one in sources if one.has(cell)), None)
        if source is not None:
            taken[cell_id] = source.run
        else:
            reasons = filter(None, (one.why_not(cell) for one in sources))
            left[cell_id] = next(reasons, _NEW)
    return EarlierCells(taken, left)


def _whole_blocks(sources: Sequence[_Source], cells: Sequence[Cell]) -> dict[str, Run]:
    """Return the cells of the blocks that a run has whole."""
    blocks: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        blocks[cell.bulk.payload, cell.repetition].append(cell)
    found: dict[str, Run] = {}
    for source in sources:
        for key, block in list(blocks.items()):
            if all(map(source.has, block)):
                found |= {cell.cell_id: source.run for cell in blocks.pop(key)}
    return found


class _Source:
    """A run that may have cells of a plan."""

    def __init__(self, run: Run, workspace: Path) -> None:
        self.run = run
        self._workspace = workspace
        self._committed = run.committed_ids()
        self._reasons: dict[str, str] = {}
        self._unlike: dict[tuple[str, str], str] = {}

    def has(self, cell: Cell) -> bool:
        """Whether the cell lies there and may be taken over."""
        return cell.cell_id in self._committed and not self.why_not(cell)

    def why_not(self, cell: Cell) -> str:
        """Return why the cell is not taken over though it lies there; empty if there is nothing."""
        cell_id = cell.cell_id
        if cell_id not in self._committed:
            return ""
        if cell_id not in self._reasons:
            self._reasons[cell_id] = self._look(cell, cell_id)
        return self._reasons[cell_id]

    def _look(self, cell: Cell, cell_id: str) -> str:
        name = self.run.header.run_id
        if cell.remote is not None:
            return f"{cell.system} is a server of one's own: nothing tells whether it is as it was"
        if unlike := self._differences(cell.system, cell.volume):
            return f"run {name} measured it in another environment ({unlike})"
        try:
            kind = self.run.whole_cell(cell_id).outcome.kind
        except StoreError:
            return f"run {name} has it, and it is damaged there"
        return "" if kind in _FINAL else f"it is {kind.value} in run {name}"

    def _differences(self, system: str, volume: str) -> str:
        """Say in what the host is not as it was, as far as that concerns a system on a volume."""
        key = (system, volume)
        if key not in self._unlike:
            driver = registry.system(system).driver
            now = environment.record(self._workspace, [driver], [volume])
            found = environment.differences_within(self.run.header.environment, now)
            self._unlike[key] = "; ".join(found)
        return self._unlike[key]
