"""``deduplab ops gitlab``: the pipeline of a campaign, for GitLab."""

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
from deduplab.ops.gitlab import ARTIFACTS, Runner, render


@click.group(
    "gitlab",
    short_help="Render a pipeline for GitLab.",
    epilog="See: deduplab ops gitlab render --help",
)
def command() -> None:
    """Render the pipeline of a campaign for GitLab."""


@command.command(
    "render",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops gitlab render plans/quick.toml -o .gitlab-ci.yml\n"
    "  deduplab ops gitlab render plans/quick.toml --tag lab --state /srv/deduplab/runs\n"
    "  deduplab ops gitlab render lab.toml --image python:3.12 --setup 'pip install deduplab[all]' "
    "\\\n      --to 's3://lab/runs?endpoint=https://s3.example.org&access_key=lab"
    "&secret=env:LAB_S3'",
)
@pipeline_options
@click.option(
    "--state",
    metavar="PATH",
    help="Absolute path of the runners that keeps runs.  [default: GitLab's cache]",
)
@click.option("--image", help="The image that jobs run in.")
@click.option("--tag", "tags", multiple=True, help="Tag of the runners; several times.")
@click.option("--setup", multiple=True, metavar="COMMAND", help="Command before each job's own.")
def render_command(
    plan_path: Path,
    scale: Fraction,
    only: str,
    targets: tuple[str, ...],
    run_hours: int | None,
    output: Path | None,
    state: str | None,
    image: str | None,
    tags: tuple[str, ...],
    setup: tuple[str, ...],
) -> None:
    """Render .gitlab-ci.yml from PLAN: preflight, reset, run, export and clean-up.

    PLAN is the path in the repository. Runs are exported as artifacts, and to each --to. Secrets
    are named as CI variables, never written. A run that was ended goes on in the next pipeline;
    two never measure at once; nothing is cleaned up that is not wholly exported.
    """
    runner = Runner(state, image, tags, setup)
    pipeline = pipeline_of(plan_path, scale, only, targets, run_hours, (ARTIFACTS,))
    write_rendered(render(pipeline, runner, command_line()), output)
