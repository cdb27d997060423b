"""A live bar of bytes: what is done, how many of how many, the rate, and the time left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def byte_bar(console: Console, *, auto_refresh: bool = True) -> Progress:
    """Return a bar that is gone when it ends, and that shows nothing where there is no terminal.

    Without ``auto_refresh`` no thread draws it: then it is drawn when an update asks for it.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        auto_refresh=auto_refresh,
    )
