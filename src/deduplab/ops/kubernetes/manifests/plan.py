"""The plan in a cluster."""

from __future__ import annotations

from typing import Final

from deduplab import config
from deduplab.config import Plan
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests.text_file import TextFile

_NOWHERE: Final = "/nowhere/plan.toml"


def plan_file(plan: Plan) -> TextFile:
    """Return the file that the pod reads it from.

    Raises
    ------
    PlanError
        If no pod can run it: it needs a file that lies beside it, or volumes, which are
        mounted by root.
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
    return TextFile("plan", "/etc/deduplab", "plan.toml", plan.text)
