"""What ``suspend`` and ``restore`` have in common: workloads are changed, and that is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from deduplab.cli.aligned import aligned
from deduplab.cli.kubernetes_options import (
    DEADLINE_S,
    cluster_options,
    experiment_argument,
    json_option,
    named,
)
from deduplab.cli.live_line import live_line
from deduplab.ops.kubernetes.change import Change
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.connection import connect
from deduplab.ops.kubernetes.decision import NOTHING, Decision
from deduplab.ops.kubernetes.experiment import Experiment, find
from deduplab.ops.kubernetes.kinds import shown
from deduplab.ops.kubernetes.remarks import remarks

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Rows = dict[str, dict[str, str]]

_HEADINGS = ("object", "action", "before", "after")


def change_options(command: _Command) -> _Command:
    """Add the argument and the options of both."""
    for decorate in (
        click.option(
            "--deadline",
            "deadline_s",
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            default=DEADLINE_S,
            show_default=True,
            help="How long pods are waited for.",
        ),
        click.option("--no-wait", is_flag=True, help="Wait for no pods."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
        json_option,
        cluster_options,
        experiment_argument,
    ):
        command = decorate(command)
    return command


def perform(
    experiment: str,
    do: Callable[..., None],
    decide: Callable[..., Decision],
    *,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    deadline_s: float,
    no_wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Do it with every workload of an experiment, or say what would be done.

    Parameters
    ----------
    do
        :func:`deduplab.ops.kubernetes.suspension.suspend` or its opposite.
    decide
        What it decides of each workload.

    Raises
    ------
    DeduplabError
        What ``do`` raises; what was done is told before, as it is after an interrupt.
    """
    cluster = connect(kubeconfig, context, namespace)
    found = find(cluster, experiment)
    notes = remarks(cluster, found)
    rows: _Rows = {}

    def told(change: Change) -> None:
        rows[str(change.member)] = _row(change.decision, notes.get(str(change.member), ""))

    try:
        if dry_run:
            for member in found.members:
                told(Change(member, decide(member.workload, member.found), None))
        else:
            with live_line(Console(stderr=True), experiment) as progress:
                do(cluster, found, None if no_wait else deadline_s, told, progress)
    finally:
        if as_json:
            click.echo(json.dumps(_as_json(cluster, found, rows, dry_run), indent=2))
        else:
            _show(found, rows, dry_run)


def _row(decision: Decision, remark: str) -> dict[str, str]:
    remarks_that_matter = remark if decision.action != NOTHING else ""
    return {
        "action": decision.action,
        "before": decision.before,
        "after": decision.after,
        "note": "; ".join(filter(None, (decision.note, remarks_that_matter))),
    }


def _as_json(cluster: Cluster, found: Experiment, rows: _Rows, dry_run: bool) -> dict[str, Any]:
    objects = [named(name) | row for name, row in rows.items()]
    left_alone = [
        {"kind": one.kind.name, "name": one.name, "reason": one.reason} for one in found.left_alone
    ]
    return {
        "experiment": found.name,
        "namespace": cluster.namespace,
        "dry_run": dry_run,
        "objects": objects,
        "left_alone": left_alone,
    }


def _show(found: Experiment, rows: _Rows, dry_run: bool) -> None:
    if not rows and not found.members:
        click.echo(f"experiment {found.name} has no workloads: there is nothing to change")
    if rows:
        columns = [(name, row["action"], row["before"], row["after"]) for name, row in rows.items()]
        click.echo(aligned([_HEADINGS, *columns]))
    for name, row in rows.items():
        if row["note"]:
            click.echo(f"{name}: {row['note']}")
    for one in found.left_alone:
        click.echo(f"{shown(one.kind, one.name)}: left alone: {one.reason}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
