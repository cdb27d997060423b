"""What a run tells whoever watches it, told to a feed too."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from deduplab.bench.runner import Progress
from deduplab.cell import Cell, CellResult
from deduplab.event import (
    CellBegan,
    CellEnded,
    CellName,
    Measured,
    NotRun,
    RunBegan,
    RunEnded,
    Size,
)
from deduplab.feed import Feed
from deduplab.model import Moment, Outcome, Stage
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
    header = run.header
    began = RunBegan(time.time_ns(), header.run_id, header.plan_name, len(header.cell_ids), done)
    feed.tell(began, WAIT_S)
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

    def cell_began(self, cell: Cell, attempt: int) -> None:
        """Tell that a cell begins."""
        self._feed.tell(CellBegan(time.time_ns(), CellName.of(cell), attempt), WAIT_S)
        self._shown.cell_began(cell, attempt)

    def stage_began(self, position: int, stage: Stage) -> None:
        """Pass a stage on: the cell itself tells of it, by its marks."""
        self._shown.stage_began(position, stage)

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        """Tell what a cell measured, and that it is committed."""
        self._shown.cell_ended(cell, outcome, done, total)
        result = self._run.cell(cell.cell_id)
        now_ns, name = time.time_ns(), CellName.of(cell)
        for event in measured(result, now_ns):
            self._feed.tell(event, WAIT_S)
        baseline = tuple(_sizes((result.baseline,) if result.baseline else ()))
        ended = CellEnded(now_ns, name, outcome.kind.value, outcome.reason, done, total, baseline)
        self._feed.tell(ended, WAIT_S)

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        """Tell that these cells are not run now."""
        ids = tuple(cell.cell_id for cell in cells)
        self._feed.tell(NotRun(time.time_ns(), ids, reason), WAIT_S)
        self._shown.not_run(cells, reason)


def measured(result: CellResult, now_ns: int) -> Iterable[Measured]:
    """Yield the measurements of a committed cell as events of now."""
    name = CellName.of(result.cell)
    for one in result.measurements:
        yield Measured(
            at_unix_ns=now_ns,
            name=name,
            position=one.position,
            stage=one.stage.value,
            mode=one.mode,
            filled=one.filled,
            outcome=one.outcome.kind.value,
            reason=one.outcome.reason,
            objects=one.objects,
            logical_bytes=one.logical_bytes,
            unique_bytes=one.unique_bytes,
            operations=one.operations,
            duration_ns=one.duration_ns,
            flush_ns=one.flush_ns,
            sizes=tuple(_sizes(one.moments)),
        )


def _sizes(moments: Iterable[Moment]) -> Iterable[Size]:
    for moment in moments:
        for reading in moment.footprint.readings:
            yield Size(moment.name, reading.layer.value, reading.ruler.value, reading.total_bytes)
