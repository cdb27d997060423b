"""``deduplab ops kubernetes status``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from deduplab.cli.aligned import aligned
from deduplab.cli.kubernetes_options import cluster_options, experiment_argument, json_option
from deduplab.ops.kubernetes.connection import connect
from deduplab.ops.kubernetes.experiment import find
from deduplab.ops.kubernetes.kinds import shown
from deduplab.ops.kubernetes.remarks import remarks
from deduplab.ops.kubernetes.status import Row, rows

_HEADINGS = ("object", "component", "status", "ready", "suspended since", "remembered")


@click.command(
    "status",
    short_help="Show the objects of an experiment.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops kubernetes status quick\n"
    "  deduplab ops kubernetes status quick -n lab --json",
)
@experiment_argument
@cluster_options
@json_option
def command(
    experiment: str,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """Show every object of EXPERIMENT: pods ready of those wanted, and what is remembered.

    'down' is a workload that asks for no pods though it was not suspended here. Nothing is
    changed.
    """
    cluster = connect(kubeconfig, context, namespace)
    found = find(cluster, experiment)
    shown_rows = rows(found, remarks(cluster, found))
    left_alone = [
        {"kind": one.kind.name, "name": one.name, "reason": one.reason} for one in found.left_alone
    ]
    if as_json:
        whole = {"experiment": experiment, "namespace": cluster.namespace}
        click.echo(json.dumps(whole | {"objects": shown_rows, "left_alone": left_alone}, indent=2))
        return
    click.echo(aligned([_HEADINGS, *map(_cells, shown_rows)]))
    for row in shown_rows:
        if row["note"]:
            click.echo(f"{row['kind']}/{row['name']}: {row['note']}")
    for one in found.left_alone:
        click.echo(f"{shown(one.kind, one.name)}: left alone: {one.reason}")


def _cells(row: Row) -> tuple[str, ...]:
    pods = "" if row["wanted"] is None else f"{row['ready']}/{row['wanted']}"
    return (
        f"{row['kind']}/{row['name']}",
        row["component"] or "",
        row["status"],
        pods,
        row["suspended_since"] or "",
        row["remembered"] or "",
    )
