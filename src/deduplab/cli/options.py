"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from deduplab.cli.shipped import here_or_shipped
from deduplab.errors import PlanError
from deduplab.executors.workspace import WORKSPACE_VARIABLE, default_workspace
from deduplab.scale import parse_scale

_Command = TypeVar("_Command", bound=Callable[..., Any])

RUNS_VARIABLE: Final = "DEDUPLAB_RUNS"


def _scale(context: click.Context, option: click.Parameter, value: str) -> Fraction:
    """Read the factor, exactly; what is none is a wrong argument."""
    try:
        return parse_scale(value)
    except PlanError as error:
        raise click.BadParameter(str(error), context, option) from error


def _reachable(context: click.Context, option: click.Parameter, directory: Path) -> Path:
    """Refuse a directory that nobody can say of whether it is there; click lets it pass."""
    try:
        directory.stat()
    except FileNotFoundError:
        pass  # it is made when there is something to keep
    except OSError as error:
        raise click.BadParameter(
            f"Directory '{directory}' can't be reached: {error.strerror}.", context, option
        ) from error
    return directory


def runs_option(command: _Command) -> _Command:
    """Add ``--runs``: where results are kept."""
    return click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_reachable,
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
            metavar="FACTOR",
            callback=_scale,
            default="1",
            show_default=True,
            help="Make every dataset that many times larger; smaller with 0.001 or 1/1000.",
        ),
        click.argument(
            "plan_path",
            metavar="PLAN",
            type=click.Path(path_type=Path),
            callback=here_or_shipped,
        ),
    ):
        command = decorate(command)
    return command


def split_only(only: str) -> tuple[str, ...]:
    """Split a list of names at its commas; an empty one names nothing, so all are meant.

    Raises
    ------
    PlanError
        If there are commas and no name.
    """
    names = tuple(part.strip() for part in only.split(",") if part.strip())
    if only.strip() and not names:
        raise PlanError(f"{only!r} names no system")
    return names
