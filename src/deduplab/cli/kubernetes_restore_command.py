"""``deduplab ops kubernetes restore``."""

from __future__ import annotations

from typing import Any

import click

from deduplab.cli.kubernetes_change import change_options, perform
from deduplab.ops.kubernetes.decision import to_restore
from deduplab.ops.kubernetes.suspension import restore


@click.command(
    "restore",
    short_help="Bring a suspended experiment back.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes restore quick\n"
    "  deduplab ops kubernetes restore quick --no-wait",
)
@change_options
def command(experiment: str, **options: Any) -> None:
    """Bring every suspended workload of EXPERIMENT back to exactly what it was.

    Systems come first; Jobs go on once those are ready. Exit code 7 if they are not ready
    at the deadline: Jobs stay suspended then, and the same command goes on.
    """
    perform(experiment, restore, to_restore, **options)
