"""Cells of a plan that earlier runs measured, and that a new run may take over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from deduplab import registry
from deduplab.bench import environment
from deduplab.cell import Cell
from deduplab.errors import StoreError
from deduplab.model import OutcomeKind
from deduplab.store import Run

_FINAL: Final = (OutcomeKind.OK, OutcomeKind.UNSUPPORTED)


def earlier_cells(runs: Iterable[Run], cells: Sequence[Cell], workspace: Path) -> dict[str, Run]:
    """Return cells that may be taken over, by id, with the run to take each from.

    Cells are taken over in blocks, a whole one from one run: all of the plan's cells with one
    payload and repetition. What is compared (systems, volumes, layouts, grades, distances) lies
    within a block, and was measured in one random order then. If it came from several runs,
    what changed between them would fall on one of those that are compared.

    Parameters
    ----------
    runs
        Where to look, in this order.
    cells
        All cells of the plan.
    """
    blocks: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        blocks[cell.bulk.payload, cell.repetition].append(cell)
    found: dict[str, Run] = {}
    for run in runs:
        here = _Source(run, workspace)
        for key, block in list(blocks.items()):
            if all(map(here.has, block)):
                found |= {cell.cell_id: run for cell in blocks.pop(key)}
    return found


class _Source:
    """A run that may have cells of a plan, measured on a host like this."""

    def __init__(self, run: Run, workspace: Path) -> None:
        self._run = run
        self._workspace = workspace
        self._committed = run.committed_ids()
        self._alike: dict[tuple[str, str], bool] = {}

    def has(self, cell: Cell) -> bool:
        """Whether the cell lies there, whole and with an outcome that stays."""
        if cell.remote is not None:
            return False  # nothing here tells whether that server is as it was
        cell_id = cell.cell_id
        if cell_id not in self._committed or not self._is_alike(cell.system, cell.volume):
            return False
        try:
            return self._run.whole_cell(cell_id).outcome.kind in _FINAL
        except StoreError:
            return False

    def _is_alike(self, system: str, volume: str) -> bool:
        """Whether the host is as it was, in what concerns a system on a volume."""
        key = (system, volume)
        if key not in self._alike:
            driver = registry.system(system).driver
            now = environment.record(self._workspace, [driver], [volume])
            recorded = self._run.header.environment
            self._alike[key] = not environment.differences_within(recorded, now)
        return self._alike[key]
