"""Live progress of a run: cell, stage, done of total, time left."""

from __future__ import annotations

import time
from collections import defaultdict

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deduplab.model import Cell, Outcome, Stage
from deduplab.units import format_seconds

_MARKS = {"OK": "green", "UNSUPPORTED": "cyan", "INVALID": "yellow", "FAILED": "red"}
_PLAIN_EVERY_S = 5.0


class TimeLeft:
    """Estimates the time left from what cells of the same system took so far."""

    def __init__(self, cells: tuple[Cell, ...], guess_s: float) -> None:
        self._waiting: dict[tuple[str, str], int] = defaultdict(int)
        self._taken: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._guess_s = guess_s
        for cell in cells:
            self._waiting[_kind(cell)] += 1

    def ended(self, cell: Cell, duration_s: float) -> None:
        """Count a cell that ended."""
        self._waiting[_kind(cell)] -= 1
        self._taken[_kind(cell)].append(duration_s)

    def left_s(self) -> float:
        """Return the seconds left: each system's own mean, else the mean of all, else a guess."""
        every = [value for values in self._taken.values() for value in values]
        overall = sum(every) / len(every) if every else self._guess_s
        left = 0.0
        for kind, waiting in self._waiting.items():
            taken = self._taken.get(kind, [])
            left += waiting * (sum(taken) / len(taken) if taken else overall)
        return left


class ConsoleProgress:
    """Shows one live line on a terminal, and plain lines elsewhere; failures stay visible.

    Parameters
    ----------
    console
        Where to show it.
    cells
        The cells still to run.
    done, total
        How many are committed already, and how many there are.
    guess_s
        Seconds a cell may take, until one has ended.
    """

    def __init__(
        self, console: Console, cells: tuple[Cell, ...], done: int, total: int, guess_s: float
    ) -> None:
        self._console = console
        self._time_left = TimeLeft(cells, guess_s)
        self._done = done
        self._total = total
        self._began = time.monotonic()
        self._cell: Cell | None = None
        self._cell_began = self._began
        self._stage = ""
        self._last_plain = 0.0
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
            self._console.print(mark + Text(f"{cell.label}: {outcome.reason}"))
        if self._live:
            self._show()
        elif now - self._last_plain >= _PLAIN_EVERY_S or done == total:
            self._last_plain = now
            left = format_seconds(self._time_left.left_s())
            self._console.print(f"{done:5}/{total}  {left:>9} left  {cell.label}", highlight=False)

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


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.system, cell.variant
