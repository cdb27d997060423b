"""The pods that a workload owns: those whose owner it is, not those that look like its own."""

from __future__ import annotations

from typing import Any, Final

from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.experiment import Member
from deduplab.ops.kubernetes.kinds import DEPLOYMENT, POD, REPLICA_SET, Object, name_of

_ENDED: Final = ("Succeeded", "Failed")


def living_pods(cluster: Cluster, member: Member) -> list[str]:
    """Return the names of the pods of a workload that have not ended, those that end included."""
    selector = _selector(member.found["spec"]["selector"])
    owners = {member.uid}
    if member.workload.kind is DEPLOYMENT:
        sets = cluster.listed(REPLICA_SET, selector)
        owners = {str(one["metadata"]["uid"]) for one in sets if _owner(one) in owners}
    return [
        name_of(pod)
        for pod in cluster.listed(POD, selector)
        if _owner(pod) in owners and (pod.get("status") or {}).get("phase") not in _ENDED
    ]


def controller(found: Object) -> dict[str, Any] | None:
    """Return the reference to whatever made an object and looks after it."""
    for reference in found["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def _owner(found: Object) -> str | None:
    reference = controller(found)
    return None if reference is None else str(reference["uid"])


def _selector(given: dict[str, Any]) -> str:
    """Write a selector of labels as a query has it."""
    parts = [f"{key}={value}" for key, value in (given.get("matchLabels") or {}).items()]
    for one in given.get("matchExpressions") or ():
        values = ",".join(one.get("values") or ())
        parts.append(
            {
                "In": f"{one['key']} in ({values})",
                "NotIn": f"{one['key']} notin ({values})",
                "Exists": one["key"],
                "DoesNotExist": f"!{one['key']}",
            }[one["operator"]]
        )
    return ",".join(parts)
