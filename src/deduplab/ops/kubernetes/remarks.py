"""What else acts on a workload: whoever scales it by itself, and whoever made it."""

from __future__ import annotations

from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.experiment import Experiment, Member
from deduplab.ops.kubernetes.kinds import AUTOSCALER, CRON_JOB, name_of
from deduplab.ops.kubernetes.pods import controller


def remarks(cluster: Cluster, experiment: Experiment) -> dict[str, str]:
    """Return what a person should know of workloads, by ``KIND/NAME``; only where there is any.

    An autoscaler rests while its target has no replicas, and scales it again once it has
    some (Kubernetes documentation, "Horizontal Pod Autoscaling", implicit maintenance mode).
    """
    scaled = _autoscaled(cluster)
    found = {}
    for member in experiment.members:
        words = []
        if str(member) in scaled:
            words.append(
                f"HorizontalPodAutoscaler/{scaled[str(member)]} targets it: it rests while there "
                "are 0 replicas, and decides on their number after that"
            )
        if made_by := _maker(member):
            words.append(f"{made_by} looks after it, and may undo what is changed here")
        if words:
            found[str(member)] = "; ".join(words)
    return found


def _autoscaled(cluster: Cluster) -> dict[str, str]:
    """Return the autoscaler of each target, by ``KIND/NAME``."""
    found = {}
    for one in cluster.listed(AUTOSCALER):
        target = one["spec"]["scaleTargetRef"]
        found[f"{target['kind']}/{target['name']}"] = name_of(one)
    return found


def _maker(member: Member) -> str:
    reference = controller(member.found)
    if reference is None or reference["kind"] == CRON_JOB.name:  # it lets its Jobs be
        return ""
    return f"{reference['kind']}/{reference['name']}"
