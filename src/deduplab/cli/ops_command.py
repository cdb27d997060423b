"""``deduplab ops``: plans run elsewhere, and what is there of them, operated."""

from __future__ import annotations

from typing import Final

import click

from deduplab.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "gitlab": "Render the pipeline of a campaign for GitLab.",
    "pipeline": "Render the pipeline of a campaign as a shell script.",
}


@click.group(
    "ops",
    cls=LazyGroup,
    modules="deduplab.cli.ops_",
    words=COMMANDS,
    short_help="Run plans elsewhere.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops gitlab render plans/quick.toml -o .gitlab-ci.yml\n"
    "  deduplab ops pipeline plans/quick.toml --to /srv/results -o pipeline.sh",
)
def command() -> None:
    """Run plans elsewhere than here, and operate what is there of them."""
