"""``deduplab ops kubernetes delete``."""

from __future__ import annotations

from pathlib import Path

import click

from deduplab.cli.agreed import agreed
from deduplab.cli.kubernetes_options import cluster_options, experiment_argument
from deduplab.ops.kubernetes.connection import connect
from deduplab.ops.kubernetes.deletion import delete, targets
from deduplab.ops.kubernetes.experiment import find
from deduplab.ops.kubernetes.kinds import name_of, shown


@click.command(
    "delete",
    short_help="Delete an experiment, but for its results.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes delete quick                 asks first\n"
    "  deduplab ops kubernetes delete quick --yes           does not\n"
    "  deduplab ops kubernetes delete quick --results-too   also what was measured",
)
@experiment_argument
@click.option("--results-too", is_flag=True, help="Delete claims with results as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and do nothing.")
@cluster_options
def command(
    experiment: str,
    results_too: bool,
    yes: bool,
    dry_run: bool,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
) -> None:
    """Delete the objects of EXPERIMENT that bear our marker, with the pods that they own.

    Claims that hold results, or may, are kept unless --results-too. Secrets and namespaces
    are never deleted.
    """
    cluster = connect(kubeconfig, context, namespace)
    found = find(cluster, experiment)
    doomed, kept = targets(found, results_too=results_too)
    for kind, one in doomed:
        click.echo(f"{shown(kind, name_of(one))}: to be deleted")
    for kind, one in kept:
        click.echo(f"{shown(kind, name_of(one))}: kept, it may hold results (--results-too)")
    for other in found.left_alone:
        click.echo(f"{shown(other.kind, other.name)}: left alone: {other.reason}")
    if dry_run or not doomed:
        click.echo("nothing was deleted")
        return
    question = f"delete {len(doomed)} objects in namespace {cluster.namespace!r}?"
    if not yes and not agreed(f"{question} ({cluster.address})"):
        click.echo("nothing was deleted")
        return
    for name, words in delete(cluster, experiment, doomed):
        click.echo(f"{name}: {words}")
