"""What the commands share that render a pipeline: options, and the pipeline that they mean."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from deduplab import config
from deduplab.bench.estimate import estimate
from deduplab.bench.matrix import cells
from deduplab.cli.options import plan_argument, split_only
from deduplab.errors import unwritten
from deduplab.exports.catalogue import open_target, secret_of
from deduplab.ops.pipeline import NeededSecret, Pipeline
from deduplab.scale import told

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LEAST_HOURS: Final = 2
_PATIENCE: Final = 4  # how much longer than estimated a run may take before it is taken for stuck


def pipeline_options(command: _Command) -> _Command:
    """Add what every pipeline is made from: PLAN, ``--to``, ``--run-hours`` and ``-o``."""
    for decorate in (
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The file to write.  [default: standard output]",
        ),
        click.option(
            "--run-hours",
            metavar="HOURS",
            type=click.IntRange(min=1),
            help="When a run is taken for stuck.  [default: by the plan's estimate]",
        ),
        click.option(
            "--to",
            "targets",
            metavar="TARGET",
            multiple=True,
            help="Where runs are exported to, as 'deduplab export' takes it; several times.",
        ),
        plan_argument,
    ):
        command = decorate(command)
    return command


def pipeline_of(
    plan_path: Path,
    scale: Fraction,
    only: str,
    targets: tuple[str, ...],
    run_hours: int | None,
    more_targets: tuple[str, ...] = (),
) -> Pipeline:
    """Return the pipeline that is asked for; plan and targets are checked, nothing is asked there.

    ``more_targets`` are those that a renderer has of its own; they take all of a run.

    Raises
    ------
    PlanError
        If the plan or a target is wrong, or no target takes all of a run.
    """
    plan = config.load(plan_path, scale=scale, only=split_only(only))
    whole = tuple(text for text in targets if open_target(text).takes_all)
    secrets = [
        NeededSecret.of(system.remote.secret, f"secret of the system {system.name}")
        for system in plan.systems
        if system.remote and system.remote.secret
    ]
    secrets += [
        NeededSecret.of(reference, f"secret of the target {open_target(text).shown}")
        for text in targets
        if (reference := secret_of(text))
    ]
    needed_s = estimate(cells(plan)).duration_s
    return Pipeline(
        name=plan.name,
        digest=plan.digest,
        plan=str(plan_path),
        scale="" if scale == 1 else str(told(scale)),
        only=only,
        targets=(*more_targets, *targets),
        whole_targets=(*more_targets, *whole),
        secrets=tuple(dict.fromkeys(secrets)),
        run_hours=run_hours or max(_LEAST_HOURS, math.ceil(_PATIENCE * needed_s / 3600)),
    )


def command_line() -> str:
    """Return the command that was typed, for the head of what it renders."""
    return " ".join(shlex.join(["deduplab", *sys.argv[1:]]).splitlines())


def write_rendered(text: str, output: Path | None) -> None:
    """Write what was rendered to a file, or on standard output.

    Raises
    ------
    StoreError
        If the file can't be written.
    """
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritten(f"{output} can't be written", error) from error
    click.echo(f"written: {output}")
