"""Tables that are printed whole: no number, name or digest in them is cut off."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

_CUT_OFF: Final = "…"
_ANY_WIDTH: Final = 10_000


def print_whole(console: Console, table: Table) -> None:
    """Print a table that fits, and one that does not in lines as long as it needs.

    A terminal goes on with a line that is too long in the next one, and a file has no width, so
    either way all of it is there. Columns that fold do so as long as nothing is cut off.
    """
    width = console.width
    lines = console.render_lines(table, console.options, pad=False)
    if any(_CUT_OFF in segment.text for line in lines for segment in line):
        console.width = max(width, _whole_width(console, table))
    try:
        console.print(table)
    finally:
        console.width = width


def fits(console: Console, table: Table) -> bool:
    """Tell whether a table fits into a console with no cell folded or cut off."""
    return _whole_width(console, table) <= console.width


def _whole_width(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum
