"""Live progress of a run: cell, stage, done of total, time left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deduplab.cell import Cell, by_clients, shown_system, with_replicas
from deduplab.model import Outcome, Stage
from deduplab.units import format_rate, format_seconds

_MARKS = {"OK": "green", "UNSUPPORTED": "cyan", "INVALID": "yellow", "FAILED": "red"}
_PLAIN_EVERY_S = 5.0
_TRUSTED_S: Final = 10.0  # so much of what was guessed counts as if it had come out


class TimeLeft:
    """Estimates the time left: systems differ, so each goes by what its own cells took.

    Parameters
    ----------
    cells
        The cells still to run.
    guess_s
        Tells what a cell may take before anything was measured, in seconds.
    taken_s
        Seconds of cells that ended before, by :func:`kind_of`.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        guess_s: Callable[[Cell], float],
        taken_s: Mapping[tuple[str, ...], Sequence[float]] | None = None,
    ) -> None:
        # Kept as sums, for it is asked at every stage, and a campaign may have thousands of cells.
        self._guesses_s: dict[str, float] = {}
        self._waiting: dict[tuple[str, ...], _Sum] = defaultdict(_Sum)
        self._taken: dict[tuple[str, ...], _Sum] = defaultdict(_Sum)
        for cell in cells:
            self._guesses_s[cell.cell_id] = guess_s(cell)
            self._waiting[kind_of(cell)].add(self._guesses_s[cell.cell_id])
        for kind, durations_s in (taken_s or {}).items():
            for duration_s in durations_s:
                self._taken[kind].add(duration_s)
        self._guessed_s = self._needed_s = 0.0

    def ended(self, cell: Cell, duration_s: float) -> None:
        """Count a cell that ended."""
        guess_s = self._no_longer_waiting(cell)
        if guess_s is None:
            return
        self._taken[kind_of(cell)].add(duration_s)
        self._guessed_s += guess_s
        self._needed_s += duration_s

    def dropped(self, cells: Iterable[Cell]) -> None:
        """Leave cells out that are not run."""
        for cell in cells:
            self._no_longer_waiting(cell)

    def left_s(self) -> float:
        """Return the seconds left.

        For each waiting cell that is the mean of what cells of its kind took; before one
        has ended, the guess, corrected by how far guesses were off. A first cell, with which
        drivers are imported, says little about that.
        """
        off = (self._needed_s + _TRUSTED_S) / (self._guessed_s + _TRUSTED_S)
        left_s = 0.0
        for kind, waiting in self._waiting.items():
            taken = self._taken.get(kind)
            left_s += waiting.n * taken.total_s / taken.n if taken else off * waiting.total_s
        return max(0.0, left_s)

    def _no_longer_waiting(self, cell: Cell) -> float | None:
        """Take a cell out; return what was guessed of it, None if it was out already."""
        guess_s = self._guesses_s.pop(cell.cell_id, None)
        if guess_s is not None:
            self._waiting[kind_of(cell)].add(-guess_s, n=-1)
        return guess_s


@dataclass(slots=True)
class _Sum:
    """How many durations there are, and what they come to in seconds."""

    n: int = 0
    total_s: float = 0.0

    def add(self, duration_s: float, n: int = 1) -> None:
        self.n += n
        self.total_s += duration_s


class ConsoleProgress:
    """Shows one live line on a terminal, and plain lines elsewhere; failures stay visible.

    Parameters
    ----------
    console
        Where to show it.
    time_left
        Estimates the time left.
    done, total
        How many cells are committed already, and how many there are.
    """

    def __init__(self, console: Console, time_left: TimeLeft, done: int, total: int) -> None:
        self._console = console
        self._time_left = time_left
        self._done = done
        self._total = total
        self._began = time.monotonic()
        self._cell: Cell | None = None
        self._cell_began = self._began
        self._stage = ""
        self._last_plain = 0.0
        self._told: set[str] = set()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> ConsoleProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *args: object) -> None:
        if self._live:
            self._live.stop()

    def cell_began(self, cell: Cell, attempt: int) -> None:
        """Show the cell in hand."""
        self._cell = cell
        self._cell_began = time.monotonic()
        self._stage = "bringing up" if attempt == 1 else f"bringing up, attempt {attempt}"
        self._show()

    def stage_began(self, position: int, stage: Stage) -> None:
        """Show the stage in hand."""
        self._stage = stage.value
        self._show()

    def cell_ended(self, cell: Cell, outcome: Outcome, done: int, total: int) -> None:
        """Count a cell; print the reason of one that does not count."""
        now = time.monotonic()
        self._time_left.ended(cell, now - self._cell_began)
        self._done = done
        if not outcome.ok:
            mark = Text(f"{outcome.kind.value:11} ", style=_MARKS[outcome.kind.value])
            self._console.print(mark + Text(f"{cell.label}: {outcome.reason}"), soft_wrap=True)
        if self._live:
            self._show()
        elif now - self._last_plain >= _PLAIN_EVERY_S or done == total:
            self._last_plain = now
            left = format_seconds(self._time_left.left_s())
            line = f"{done:5}/{total}  {left:>9} left  {cell.label}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def not_run(self, cells: Sequence[Cell], reason: str) -> None:
        """Take these cells out of the time left, and say once why."""
        self._time_left.dropped(cells)
        names = ", ".join(dict.fromkeys(map(_name, cells)))
        mark = Text(f"{'not run':11} ", style="yellow")
        words = f"{names}, {len(cells)} cells: {reason}"
        if words not in self._told:  # a system is tried once more at the end
            self._told.add(words)
            self._console.print(mark + Text(words), soft_wrap=True)

    def _show(self) -> None:
        if not self._live or self._cell is None:
            return
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=self._total, completed=self._done, width=24),
            f"{self._done}/{self._total}",
            f"{format_seconds(time.monotonic() - self._began)} gone, "
            f"{format_seconds(self._time_left.left_s())} left",
            Text(self._cell.label, style="bold"),
            Text(self._stage, style="cyan"),
        )
        self._live.update(line, refresh=True)


def kind_of(cell: Cell) -> tuple[str, ...]:
    """Return what cells that take about as long have in common."""
    rate = () if cell.rate_per_s is None else (format_rate(cell.rate_per_s),)
    clients = () if cell.clients == 1 else (by_clients(cell.clients),)
    replicas = () if cell.replicas == 1 else (with_replicas(cell.replicas),)
    return (cell.system, cell.variant, *rate, *clients, *replicas)


def _name(cell: Cell) -> str:
    return shown_system(cell.system, cell.variant)
