"""``deduplab ops``: plans run elsewhere, and what is there of them, operated."""

from __future__ import annotations

from typing import Final

import click

from deduplab.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "kubernetes": "Run a plan in a Kubernetes cluster; suspend, restore and delete it there.",
    "gitlab": "Render the pipeline of a campaign for GitLab.",
    "pipeline": "Render the pipeline of a campaign as a shell script.",
    "monitoring": "Write the files by which Prometheus and Grafana watch runs.",
}


@click.group(
    "ops",
    cls=LazyGroup,
    modules="deduplab.cli.ops_",
    words=COMMANDS,
    short_help="Run plans elsewhere, and watch them.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes render plans/quick.toml --image IMAGE   as a Job of a cluster\n"
    "  deduplab ops gitlab render plans/quick.toml -o .gitlab-ci.yml\n"
    "  deduplab ops pipeline plans/quick.toml --to /srv/results -o pipeline.sh\n"
    "  deduplab ops monitoring -o watch",
)
def command() -> None:
    """Run plans elsewhere than here, operate what is there of them, and watch runs."""
