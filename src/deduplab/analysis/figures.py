"""All figures of a run, with the cells that they follow from: read once, for all who show them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from deduplab.analysis.calibration import Calibration, calibrate_cells
from deduplab.analysis.census import Census, census
from deduplab.analysis.derive import rows_of
from deduplab.analysis.row import Row
from deduplab.cell import CellResult
from deduplab.store import Run


@dataclass(frozen=True)
class Figures:
    """What a run's committed cells gave, and every figure of it.

    Raw latencies and traces are not among it: they are read where a figure is made of them.
    """

    run: Run
    cells: tuple[CellResult, ...]
    rows: list[Row]

    @classmethod
    def of(cls, run: Run) -> Figures:
        """Read the cells of a run, and derive the figures.

        Raises
        ------
        StoreError
            If a cell can't be read.
        """
        cells = tuple(run.cells())
        return cls(run, cells, rows_of(run, cells))

    @cached_property
    def calibration(self) -> Calibration:
        """The verdict on the reference stores."""
        return calibrate_cells(self.cells)

    @cached_property
    def census(self) -> Census:
        """What ran, what did not, and why."""
        return census(self.run, self.cells)
