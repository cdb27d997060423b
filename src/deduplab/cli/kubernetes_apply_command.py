"""``deduplab ops kubernetes apply``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deduplab.cli.kubernetes_manifests import objects_of, pod_options
from deduplab.cli.kubernetes_options import cluster_options, json_option, named
from deduplab.ops.kubernetes.application import apply
from deduplab.ops.kubernetes.connection import connect


@click.command(
    "apply",
    short_help="Have a cluster run a plan.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes apply plans/quick.toml --image registry/deduplab:1 -n lab\n"
    "  deduplab ops kubernetes apply my.toml --image registry/deduplab:1 --dry-run\n"
    "  deduplab ops kubernetes apply my.toml --image registry/deduplab:1 --sinks sinks.toml --json",
)
@pod_options
@click.option("--dry-run", is_flag=True, help="Have the server try it, and change nothing.")
@cluster_options
@json_option
def command(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Apply what 'render' writes, by server-side apply; unknown fields are refused.

    Everything is tried on the server first. What is there and bears no marker of ours is
    refused, not taken over. The same again changes nothing.
    """
    cluster = connect(kubeconfig, context, namespace)
    objects = objects_of(cluster.namespace, **chosen)
    experiment = objects[-1]["metadata"]["name"]
    told: list[dict[str, str]] = []
    try:
        for name, words in apply(cluster, experiment, objects, dry_run=dry_run):
            told.append(named(name) | {"result": words})
            if not as_json:
                click.echo(f"{name}: {words}")
    finally:
        if as_json:  # also what was done before the server refused something
            whole = {"experiment": experiment, "namespace": cluster.namespace, "dry_run": dry_run}
            click.echo(json.dumps(whole | {"objects": told}, indent=2))
    if not (dry_run or as_json):
        click.echo(f"look at it by: deduplab ops kubernetes status {experiment}")
