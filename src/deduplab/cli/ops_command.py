"""``deduplab ops``: plans run elsewhere, and what is there of them, operated."""

from __future__ import annotations

from typing import Final

import click

from deduplab.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "kubernetes": "Run a plan in a Kubernetes cluster; suspend, restore and delete it there.",
}


@click.group(
    "ops",
    cls=LazyGroup,
    modules="deduplab.cli.ops_",
    words=COMMANDS,
    short_help="Run plans elsewhere.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes --help                what can be done in a cluster",
)
def command() -> None:
    """Run plans elsewhere than here, and operate what is there of them."""
