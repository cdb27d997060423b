"""``deduplab ops pipeline``: the pipeline of a campaign, as a shell script."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from deduplab.cli.pipeline_options import (
    command_line,
    pipeline_of,
    pipeline_options,
    write_rendered,
)
from deduplab.ops.script import render


@click.command(
    "pipeline",
    short_help="Render a pipeline as a shell script.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops pipeline plans/quick.toml --to /srv/results -o pipeline.sh\n"
    "  sh pipeline.sh              all five steps; the exit code is that of the first that failed\n"
    "  sh pipeline.sh export       one of them",
)
@pipeline_options
def command(
    plan_path: Path,
    scale: Fraction,
    only: str,
    targets: tuple[str, ...],
    run_hours: int | None,
    output: Path | None,
) -> None:
    """Render the five steps of PLAN as one sh script, for a CI that is not GitLab's, or none.

    They are those of 'deduplab ops gitlab render'. At least one --to takes all of a run.
    """
    pipeline = pipeline_of(plan_path, scale, only, targets, run_hours)
    write_rendered(render(pipeline, command_line()), output)
