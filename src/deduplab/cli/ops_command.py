"""``deduplab ops``: what surrounds a campaign."""

from __future__ import annotations

import importlib
from typing import Final

import click

# command -> one line of help, so that ``deduplab ops --help`` imports nothing else
COMMANDS: Final = {
    "monitoring": "Write the files by which Prometheus and Grafana watch runs.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"deduplab.cli.ops_{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group("ops", cls=_LazyGroup, short_help="Render and operate what surrounds a campaign.")
def command() -> None:
    """Render and operate what surrounds a campaign, from outside of it."""
