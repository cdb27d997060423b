"""``deduplab ops kubernetes``: a plan as a Job of a cluster."""

from __future__ import annotations

from typing import Final

import click

from deduplab.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "render": "Write the manifests that run a plan in a cluster.",
    "apply": "Have a cluster run a plan.",
    "status": "Show the objects of an experiment, and how they are.",
    "suspend": "Scale an experiment down, and remember what it was.",
    "restore": "Bring a suspended experiment back.",
    "delete": "Delete an experiment, but for its results.",
}


@click.group(
    "kubernetes",
    cls=LazyGroup,
    modules="deduplab.cli.kubernetes_",
    words=COMMANDS,
    short_help="Run a plan in a Kubernetes cluster.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes render plans/quick.toml --image registry/deduplab:1 > quick.yaml\n"
    "  deduplab ops kubernetes apply plans/quick.toml --image registry/deduplab:1\n"
    "  deduplab ops kubernetes status quick           its objects, and how they are\n"
    "  deduplab ops kubernetes suspend quick          to no pods, and what it was is remembered\n"
    "  deduplab ops kubernetes restore quick          back to exactly that\n"
    "  deduplab ops kubernetes delete quick           all but the results\n"
    "  deduplab ops kubernetes render --role          the rights that this takes",
)
def command() -> None:
    """Run a plan as a Job of a cluster, and operate the objects of an experiment there.

    Only objects that bear our labels are ever changed: app.kubernetes.io/managed-by=deduplab
    and deduplab/experiment=NAME. See docs/kubernetes.md.
    """
