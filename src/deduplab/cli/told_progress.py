"""What a run tells whoever watches it, told to a feed too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from deduplab.bench.runner import Progress
from deduplab.cell import Cell
from deduplab.cli.run_events import cell_results, run_began
from deduplab.event import CellBegan, CellName, NotRun, RunEnded
from deduplab.feed import Feed
from deduplab.model import Outcome, Stage
from deduplab.store import Run

WAIT_S: Final = 1.0
"""What an event may wait for room: no stage runs while one of these is told."""


@contextmanager
def told_run(run: Run, done: int, shown: Progress, feed: Feed | None) -> Iterator[Progress]:
    """Tell a feed that a run begins and ends, and yield what tells it all between.

    Parameters
    ----------
    done
        How many of its cells are committed already.
    shown
        Where progress goes besides; alone, if there is no feed.
    """
    if feed is None:
        yield shown
        return
    feed.tell(run_began(run, done, time.time_ns()), WAIT_S)
    why = ""
    try:
        yield ToldProgress(shown, run, feed)
    except BaseException as error:
        why = str(error) or type(error).__name__
        raise
    finally:
        feed.tell(RunEnded(time.time_ns(), why), WAIT_S)


class ToldProgress:
    """Passes progress on, and tells it to a feed: cells, and what they measured.

    Parameters
    ----------
    shown
        What it is passed on to.
    run
        Where the results of committed cells are.
    feed
        Where it is told.
    """

    def __init__(self, shown: Progress, run: Run, feed: Feed) -> None:
        self._shown = shown
        self._run = run
        self._feed = feed
        self._settings = run.header.settings()

    def cell_began(self, cell: Cell, attempt: int) -> None:
        """Tell that a cell begins."""
        self._feed.tell(CellBegan(time.time_ns(), self._name(cell), attempt), WAIT_S)
        self._shown.cell_began(cell, attempt)

    def stage_began(self, position: int, stage: Stage) -> None:
        """Pass a stage on: the cell itself tells of it, by its marks."""
        self._shown.stage_began(position, stage)

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        """Tell what a cell measured, and that it is committed."""
        self._shown.cell_ended(cell, outcome, done, total)
        result = self._run.cell(cell.cell_id)
        for event in cell_results(result, self._name(cell), done, total, time.time_ns()):
            self._feed.tell(event, WAIT_S)

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        """Tell that these cells are not run now."""
        ids = tuple(cell.cell_id for cell in cells)
        self._feed.tell(NotRun(time.time_ns(), ids, reason), WAIT_S)
        self._shown.not_run(cells, reason)

    def _name(self, cell: Cell) -> CellName:
        return CellName.of(cell, self._settings.get(cell.cell_id, ""))
