"""Options that the commands for a cluster share, and how they say what they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from deduplab.ops.kubernetes.marker import checked_experiment

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEADLINE_S: Final = 300.0


def cluster_options(command: _Command) -> _Command:
    """Add the options that say which cluster, as whom, and which namespace of it."""
    for decorate in (
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Where clusters are described.  [default: $KUBECONFIG, ~/.kube/config, or the "
            "pod that this runs in]",
        ),
        click.option("--context", help="One of the kubeconfig.  [default: its current one]"),
        click.option("-n", "--namespace", help="[default: that of the context]"),
    ):
        command = decorate(command)
    return command


def experiment_argument(command: _Command) -> _Command:
    """Add the argument EXPERIMENT, checked."""
    return click.argument("experiment", metavar="EXPERIMENT", callback=_experiment)(command)


def json_option(command: _Command) -> _Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")(
        command
    )


def named(shown: str) -> dict[str, str]:
    """Return kind and name of an object, of ``Job/quick``, as JSON has them."""
    return dict(zip(("kind", "name"), shown.split("/", 1), strict=True))


def _experiment(context: click.Context, argument: click.Parameter, name: str) -> str:
    return checked_experiment(name)
