"""What ``render`` and ``apply`` have in common: options of a pod, and the manifests that follow."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.estimate import estimate
from deduplab.cli.options import plan_argument, split_only
from deduplab.cli.shipped import here_or_shipped
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.kinds import Object
from deduplab.ops.kubernetes.manifests import rendered
from deduplab.ops.kubernetes.manifests import sinks as sinks_in_pod
from deduplab.ops.kubernetes.manifests.references import references
from deduplab.ops.kubernetes.manifests.settings import Settings
from deduplab.ops.kubernetes.marker import checked_experiment, experiment_of_plan
from deduplab.scale import told
from deduplab.units import GIB, parse_bytes

_Command = TypeVar("_Command", bound=Callable[..., Any])

_HOST_NAME = "kubernetes.io/hostname"


def _bytes(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        size_bytes = None if text is None else parse_bytes(text)
    except PlanError as error:
        raise click.BadParameter(str(error), context, option) from error
    if size_bytes == 0:
        raise click.BadParameter("nothing would fit into 0 bytes", context, option)
    return size_bytes


def _pairs(separator: str) -> Callable[..., tuple[tuple[str, str], ...]]:
    """Return what splits each value of an option in two at its first separator."""

    def split(
        context: click.Context, option: click.Parameter, values: tuple[str, ...]
    ) -> tuple[tuple[str, str], ...]:
        pairs = []
        for value in values:
            first, found, second = value.partition(separator)
            if not (first and found and second):
                raise click.BadParameter(f"{value!r} is not {option.metavar}", context, option)
            pairs.append((first, second))
        return tuple(pairs)

    return split


def pod_options(command: _Command) -> _Command:
    """Add what a person chooses of how a plan is run in a cluster."""
    for decorate in (
        click.option(
            "--mount",
            "mounts",
            metavar="CLAIM:PATH",
            multiple=True,
            callback=_pairs(":"),
            help="A claim that is there, mounted for reading: the user's own data.",
        ),
        click.option(
            "--secret",
            default="",
            help="The Secret that has what the plan, and the sinks, refer to.  "
            "[default: NAME-secrets]",
        ),
        click.option(
            "--sinks",
            "sinks_path",
            type=click.Path(path_type=Path),
            callback=lambda context, option, path: path and here_or_shipped(context, option, path),
            metavar="FILE",
            help="Tell the run while it goes on, as this file of sinks says, which goes along.",
        ),
        click.option(
            "--node-label",
            "node_labels",
            metavar="KEY=VALUE",
            multiple=True,
            callback=_pairs("="),
            help="Run on nodes with this label only.",
        ),
        click.option("--node", metavar="NAME", help="Run on this node only."),
        click.option("--results-class", default="", help="Storage class of the results."),
        click.option(
            "--workspace-class",
            default="",
            help="Storage class that is measured.  [default: the cluster's]",
        ),
        click.option(
            "--results-size", callback=_bytes, default="10 GiB", show_default=True, metavar="SIZE"
        ),
        click.option(
            "--workspace-size",
            callback=_bytes,
            metavar="SIZE",
            help="[default: twice what the plan is expected to need]",
        ),
        click.option(
            "--memory",
            callback=_bytes,
            default="4 GiB",
            show_default=True,
            metavar="SIZE",
            help="Memory of the pod, asked for and not exceeded.",
        ),
        click.option(
            "--cpus",
            type=click.IntRange(min=1),
            default=2,
            show_default=True,
            help="Whole CPUs of the pod, asked for and not exceeded.",
        ),
        click.option("--name", help="Name of the experiment.  [default: the plan's]"),
        click.option(
            "--image",
            required=True,
            help="A container image with deduplab and what the plan measures.",
        ),
        click.option("--create-namespace", is_flag=True, help="Make the namespace, too."),
        plan_argument,
    ):
        command = decorate(command)
    return command


def objects_of(
    namespace: str,
    *,
    plan_path: Path,
    scale: Fraction,
    only: str,
    image: str,
    name: str | None,
    cpus: int,
    memory: int,
    results_size: int,
    workspace_size: int | None,
    results_class: str,
    workspace_class: str,
    node: str | None,
    node_labels: tuple[tuple[str, str], ...],
    secret: str,
    sinks_path: Path | None,
    mounts: tuple[tuple[str, str], ...],
    create_namespace: bool,
) -> list[Object]:
    """Return the manifests, and say on standard error what a person has to see to besides."""
    plan = config.load(plan_path, scale=scale, only=split_only(only))
    options = ["--scale", str(told(scale))] if scale != 1 else []
    options += ["--only", only] if only else []
    settings = Settings(
        experiment=checked_experiment(name) if name else experiment_of_plan(plan.name),
        namespace=namespace,
        image=image,
        options=tuple(options),
        cpus=cpus,
        memory_bytes=memory,
        results_bytes=results_size,
        workspace_bytes=workspace_size or _workspace_bytes(plan),
        results_class=results_class,
        workspace_class=workspace_class,
        nodes=dict(node_labels) | ({_HOST_NAME: node} if node else {}),
        secret=secret,
        mounts=mounts,
        create_namespace=create_namespace,
    )
    sinks = sinks_in_pod.read(sinks_path) if sinks_path else None
    objects = rendered.manifests(plan, settings, sinks)
    if sinks and sinks.remark:
        click.echo(sinks.remark, err=True)
    if keys := references(plan, sinks).keys:
        words = f"the Secret {settings.secret_name} must have the keys {', '.join(keys)}"
        click.echo(f"{words}; it is not made here", err=True)
    if not settings.nodes:
        click.echo(
            "no --node: a pod that comes up on another kind of machine begins a new run, since "
            "unlike hosts are never mixed",
            err=True,
        )
    return objects


def _workspace_bytes(plan: config.Plan) -> int:
    """Return twice what the plan is expected to need, in whole GiB."""
    expected_bytes = 2 * estimate(matrix.cells(plan)).disk_bytes
    return max(1, -(-expected_bytes // GIB)) * GIB
