"""``deduplab ops kubernetes suspend``."""

from __future__ import annotations

from typing import Any

import click

from deduplab.cli.kubernetes_change import change_options, perform
from deduplab.ops.kubernetes.decision import to_suspend
from deduplab.ops.kubernetes.suspension import suspend


@click.command(
    "suspend",
    short_help="Scale an experiment down, and remember what it was.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes suspend quick --dry-run\n"
    "  deduplab ops kubernetes suspend quick -n lab --deadline 600\n"
    "  deduplab ops kubernetes suspend quick --json",
)
@change_options
def command(experiment: str, **options: Any) -> None:
    """Bring every workload of EXPERIMENT to no pods; claims and what is in them stay.

    Deployments and StatefulSets get 0 replicas, Jobs and CronJobs are suspended, DaemonSets
    find no node. What each was is remembered on it, in the same change: 'restore' brings back
    exactly that, also after this was killed half-way. Again is harmless. Exit code 7 if pods
    are still there at the deadline.
    """
    perform(experiment, suspend, to_suspend, **options)
