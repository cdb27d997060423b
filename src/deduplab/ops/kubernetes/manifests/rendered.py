"""All manifests of an experiment, in the order of their application, and as YAML for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deduplab.config import Plan
from deduplab.errors import unwritten
from deduplab.ops.kubernetes.extra import missing
from deduplab.ops.kubernetes.kinds import NAMESPACE, Object, name_of
from deduplab.ops.kubernetes.manifests import chosen
from deduplab.ops.kubernetes.manifests.claims import claims
from deduplab.ops.kubernetes.manifests.job import job
from deduplab.ops.kubernetes.manifests.plan import plan_file
from deduplab.ops.kubernetes.manifests.references import references
from deduplab.ops.kubernetes.manifests.settings import Settings
from deduplab.ops.kubernetes.manifests.sinks import Sinks
from deduplab.ops.kubernetes.marker import COMPONENT, labels

_WORDS = {
    "plan": "The plan. Another plan is another object.",
    "sinks": "Where the run is told while it goes on; secrets are named in it, and not held.",
    "results": "What was measured: kept by 'delete', unless it is asked for.",
    "workspace": "Where private instances lie while they are measured: this storage is measured.",
    "measurement": "Runs the plan; a pod that is killed is replaced, and goes on.",
}


def manifests(plan: Plan, settings: Settings, sinks: Sinks | None = None) -> list[Object]:
    """Return all objects that run a plan, and tell of it where there are sinks.

    Raises
    ------
    PlanError
        If the plan can't be run in a pod, or something that was chosen can't stand in a manifest.
    """
    chosen.check(settings)
    read = plan_file(plan)
    return [
        *([_namespace(settings)] if settings.create_namespace else []),
        read.config_map(settings),
        *([sinks.file.config_map(settings)] if sinks else []),
        *claims(settings),
        job(settings, read, sinks, references(plan, sinks)),
    ]


def as_yaml(objects: Sequence[Object]) -> str:
    """Write objects as one stream of YAML documents, each with a line on what it is for."""
    return "---\n".join(_document(one) for one in objects)


def write(objects: Sequence[Object], directory: Path) -> list[Path]:
    """Write one file each, numbered in the order of their application; return the files.

    Raises
    ------
    StoreError
        If they can't be written.
    """
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(objects):
            path = directory / f"{number:02}-{one['kind'].lower()}-{name_of(one)}.yaml"
            path.write_text(_document(one), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise unwritten(f"the manifests can't be written to {directory}", error) from error
    return written


def _document(one: Object) -> str:
    words = _WORDS.get((one["metadata"].get("labels") or {}).get(COMPONENT, ""), "")
    try:
        from deduplab.ops.kubernetes.manifests.yaml_text import yaml_text
    except ImportError as error:
        raise missing(error) from error
    text = yaml_text(one)
    return f"# {words}\n{text}" if words else text


def _namespace(settings: Settings) -> Object:
    return {
        "apiVersion": NAMESPACE.api_version,
        "kind": NAMESPACE.name,
        "metadata": {"name": settings.namespace, "labels": labels(settings.experiment)},
    }
