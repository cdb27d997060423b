"""``deduplab ops kubernetes render``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deduplab.cli.kubernetes_manifests import objects_of, pod_options
from deduplab.ops.kubernetes.manifests import rendered
from deduplab.ops.kubernetes.manifests.role import role


def _print_role(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(rendered.as_yaml([role()]), nl=False)
        context.exit()


@click.command(
    "render",
    short_help="Write the manifests that run a plan in a cluster.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes render plans/quick.toml --image registry/deduplab:1\n"
    "  deduplab ops kubernetes render my.toml --image registry/deduplab:1 -n lab --node node-7 \\\n"
    "      --workspace-class local-nvme --cpus 8 --memory '32 GiB' -o manifests\n"
    "  deduplab ops kubernetes render --role | kubectl apply -n lab -f -",
)
@pod_options
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="One file each, into a directory.  [default: one stream on standard output]",
)
@click.option(
    "--role",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_role,
    help="Print the Role with the rights that all these commands need, and nothing else.",
)
def command(namespace: str, output: Path | None, **chosen: Any) -> None:
    """Write manifests that run PLAN as a Job: the plan, claims, and the Job itself.

    The pod that runs it may be killed at any time: the next one goes on. No secret is ever
    in a manifest: what the plan refers to by env:NAME and file:PATH is taken from a Secret
    that is there. Nothing is asked of a cluster.
    """
    objects = objects_of(namespace, **chosen)
    if output is None:
        click.echo(rendered.as_yaml(objects), nl=False)
        return
    for path in rendered.write(objects, output):
        click.echo(path)
