"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from deduplab.executors.workspace import WORKSPACE_VARIABLE, default_workspace

_Command = TypeVar("_Command", bound=Callable[..., Any])

RUNS_VARIABLE: Final = "DEDUPLAB_RUNS"


def runs_option(command: _Command) -> _Command:
    """Add ``--runs``: where results are kept."""
    return click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=RUNS_VARIABLE,
        default=Path("runs"),
        show_default=True,
        help=f"Directory that keeps the results of runs (also ${RUNS_VARIABLE}).",
    )(command)


def workspace_option(command: _Command) -> _Command:
    """Add ``--workspace``: where private instances live while they are measured."""
    return click.option(
        "--workspace",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_workspace,
        help=f"Directory for private instances while they run (also ${WORKSPACE_VARIABLE}); "
        "its file system is the one that is measured.  [default: below /var/tmp]",
    )(command)


def plan_argument(command: _Command) -> _Command:
    """Add the argument PLAN with the options that change what it unfolds to."""
    for decorate in (
        click.option(
            "--only",
            metavar="SYSTEM[/VARIANT],...",
            default="",
            help="Only these systems of the plan, as 'sqlite,clickhouse/mergetree'.",
        ),
        click.option(
            "--scale",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Make every dataset that many times larger.",
        ),
        click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def split_only(only: str) -> tuple[str, ...]:
    """Split the value of ``--only`` at its commas."""
    return tuple(part.strip() for part in only.split(",") if part.strip())
