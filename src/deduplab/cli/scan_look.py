"""What the tables of a scan share: how a ratio, a name and the frame look."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table

ABSENT: Final = "-"


def ratio(value: float | None) -> str:
    """Write a ratio for people."""
    if value is None:
        return ABSENT
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"


def framed(title: str = "") -> Table:
    """Return an empty table in the frame of all of them."""
    return Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        title=title or None,
        title_justify="left",
        title_style="bold",
    )


def visible(text: str) -> str:
    """Return a text in which nothing steers the terminal: names come from what is scanned."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def escaped(text: str) -> str:
    """Return a text that rich takes as it is, and in which nothing steers the terminal."""
    return escape(visible(text))
