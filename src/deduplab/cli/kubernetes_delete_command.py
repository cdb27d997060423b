"""``deduplab ops kubernetes delete``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deduplab.cli.agreed import agreed
from deduplab.cli.kubernetes_options import (
    cluster_options,
    experiment_argument,
    json_option,
    named,
)
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.connection import connect
from deduplab.ops.kubernetes.deletion import Target, delete, targets
from deduplab.ops.kubernetes.experiment import Experiment, find
from deduplab.ops.kubernetes.kinds import name_of, shown


@click.command(
    "delete",
    short_help="Delete an experiment, but for its results.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes delete quick                 asks first\n"
    "  deduplab ops kubernetes delete quick --yes           does not\n"
    "  deduplab ops kubernetes delete quick --results-too   also what was measured\n"
    "  deduplab ops kubernetes delete quick --yes --json    for a script",
)
@experiment_argument
@click.option("--results-too", is_flag=True, help="Delete claims with results as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and do nothing.")
@cluster_options
@json_option
def command(
    experiment: str,
    results_too: bool,
    yes: bool,
    dry_run: bool,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """Delete the objects of EXPERIMENT that bear our marker, with the pods that they own.

    Claims that hold results, or may, are kept unless --results-too. Secrets and namespaces
    are never deleted.
    """
    if as_json and not (yes or dry_run):
        raise PlanError("--json asks nobody: say --yes, or --dry-run to see what would be deleted")
    cluster = connect(kubeconfig, context, namespace)
    found = find(cluster, experiment)
    doomed, kept = targets(found, results_too=results_too)
    if as_json:
        _delete_as_json(cluster, found, doomed, kept, dry_run)
        return
    _announce(found, doomed, kept)
    if dry_run or not doomed:
        click.echo("nothing was deleted")
        return
    question = f"delete {len(doomed)} objects in namespace {cluster.namespace!r}?"
    if not yes and not agreed(f"{question} ({cluster.address})"):
        click.echo("nothing was deleted")
        return
    for name, words in delete(cluster, experiment, doomed):
        click.echo(f"{name}: {words}")


def _announce(found: Experiment, doomed: list[Target], kept: list[Target]) -> None:
    for kind, one in doomed:
        click.echo(f"{shown(kind, name_of(one))}: to be deleted")
    for kind, one in kept:
        click.echo(f"{shown(kind, name_of(one))}: kept, it may hold results (--results-too)")
    for other in found.left_alone:
        click.echo(f"{shown(other.kind, other.name)}: left alone: {other.reason}")


def _delete_as_json(
    cluster: Cluster, found: Experiment, doomed: list[Target], kept: list[Target], dry_run: bool
) -> None:
    """Delete, and tell of each object what became of it; what an error left undone as well."""
    results = {shown(kind, name_of(one)): "to be deleted" for kind, one in doomed}
    try:
        if not dry_run:
            for name, words in delete(cluster, found.name, doomed):
                results[name] = words
    finally:
        whole: dict[str, Any] = {
            "experiment": found.name,
            "namespace": cluster.namespace,
            "dry_run": dry_run,
            "objects": [named(name) | {"result": words} for name, words in results.items()],
            "kept": [{"kind": kind.name, "name": name_of(one)} for kind, one in kept],
            "left_alone": [
                {"kind": one.kind.name, "name": one.name, "reason": one.reason}
                for one in found.left_alone
            ],
        }
        click.echo(json.dumps(whole, indent=2))
