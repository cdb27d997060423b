"""A group whose commands are imported when they are called for, so that help costs nothing."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands that lie in modules of their own, each as ``command``.

    Parameters
    ----------
    modules
        What the modules' names begin with; that of ``run`` is ``<modules>run_command``.
    words
        One line of help for each command, in the order in which they are shown.
    """

    def __init__(self, *args: Any, modules: str, words: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules
        self._words = words

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self._words)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._words:
            return None
        # What is imported stays: looking through it for what could go takes a tenth of the start.
        gc.disable()
        try:
            module = importlib.import_module(f"{self._modules}{cmd_name}_command")
        finally:
            gc.enable()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the lines that are known."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._words.items()))
