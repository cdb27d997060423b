"""The plan in a cluster: a ConfigMap that can't be changed, named by what it holds."""

from __future__ import annotations

import hashlib
from typing import Final

from deduplab import config
from deduplab.config import Plan
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.kinds import CONFIG_MAP, Object
from deduplab.ops.kubernetes.manifests.settings import Settings
from deduplab.ops.kubernetes.marker import labels

FILE: Final = "plan.toml"

_NOWHERE: Final = "/nowhere/plan.toml"


def check(plan: Plan) -> None:
    """Refuse a plan that can't be run in a pod.

    Raises
    ------
    PlanError
        If it needs a file that lies beside it, or volumes, which are mounted by root.
    """
    if plan.volumes != ("none",):
        raise PlanError(
            "the plan's volumes are mounted by root over loop devices, which a pod has not: "
            "measure one file system at a time, by --workspace-class"
        )
    try:
        config.parse(plan.text, origin=_NOWHERE)
    except PlanError as error:
        said = str(error).removeprefix(f"{_NOWHERE}: ")
        raise PlanError(
            f"the plan alone goes into the cluster, and needs a file beside it: {said}"
        ) from error


def name(settings: Settings, plan: Plan) -> str:
    """Return the ConfigMap's name. Another text is another object.

    So a pod that goes on with a run never finds another plan than it began with.
    """
    return settings.named(f"plan-{hashlib.sha256(plan.text.encode()).hexdigest()[:8]}")


def config_map(settings: Settings, plan: Plan) -> Object:
    """Return the manifest of the plan."""
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.name,
        "metadata": {
            "name": name(settings, plan),
            "namespace": settings.namespace,
            "labels": labels(settings.experiment, "plan"),
        },
        "immutable": True,
        "data": {FILE: plan.text},
    }
