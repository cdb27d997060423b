"""What is being done, on one live line of a terminal, and in plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console


@contextmanager
def live_line(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """Give a function that is told what is done next with whatever has this name."""
    said = ""
    with console.status(name) as status:

        def progress(words: str) -> None:
            nonlocal said
            status.update(f"{name}: {words}")
            if words != said and not console.is_terminal:
                click.echo(f"{name}: {words}", err=True)
            said = words

        yield progress
