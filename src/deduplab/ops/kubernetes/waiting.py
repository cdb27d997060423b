"""Waiting for pods to be gone, or to be ready, by a deadline, and saying what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from deduplab.errors import OperationFailed, SystemRefused, SystemUnavailable
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.experiment import Member
from deduplab.ops.kubernetes.pods import living_pods

POLL_S: Final = 0.5
_MOST_NAMED: Final = 5

Progress = Callable[[str], None]


def wait_until_gone(
    cluster: Cluster, members: Sequence[Member], end: float, progress: Progress
) -> None:
    """Wait until no pod of these workloads lives.

    Parameters
    ----------
    end
        When to give up, by the monotonic clock.

    Raises
    ------
    OperationFailed
        If some pods are still there; their workloads stay suspended.
    """

    def pending(member: Member) -> list[str]:
        found = cluster.get(member.workload.kind, member.name)
        if found is None or not member.workload.has_pods():
            return []
        now = Member(member.workload, found)
        if not member.workload.is_seen(found):
            return [f"{member} (its controller has not seen it yet)"]
        return living_pods(cluster, now)

    left = _wait(members, pending, end, lambda names: progress(f"pods that end: {_some(names)}"))
    if left:
        raise OperationFailed(
            f"all is suspended, but still there: {_some(left)}; look at them by: kubectl describe "
            f"pod -n {cluster.namespace}, or wait once more by the same command"
        )


def wait_until_ready(
    cluster: Cluster, members: Sequence[Member], end: float, progress: Progress
) -> None:
    """Wait until every workload has as many pods ready as it asks for.

    Raises
    ------
    OperationFailed
        If some have not; they stay restored.
    """

    def pending(member: Member) -> list[str]:
        found = cluster.get(member.workload.kind, member.name)
        if found is None:
            return []
        wanted, ready = member.workload.wanted_and_ready(found)
        if member.workload.is_seen(found) and ready >= wanted:
            return []
        return [f"{member} {ready}/{wanted}"]

    left = _wait(members, pending, end, lambda names: progress(f"getting ready: {_some(names)}"))
    if left:
        raise OperationFailed(
            f"not ready by the deadline: {_some(left)}; what was restored stays so. Look at them "
            f"by: kubectl get events -n {cluster.namespace}; then the same command goes on"
        )


def _wait(
    members: Sequence[Member],
    pending: Callable[[Member], list[str]],
    end: float,
    told: Callable[[list[str]], None],
) -> list[str]:
    """Ask until nothing is pending; return what still is at the end.

    A server that can't be reached for a moment is asked again; one that does not let us is not.
    """
    waiting, left = list(members), [str(member) for member in members]
    while waiting:
        try:
            found = [(member, pending(member)) for member in waiting]
        except SystemRefused:
            raise
        except SystemUnavailable:
            if time.monotonic() >= end:
                raise
        else:
            waiting = [member for member, names in found if names]
            left = [name for _, names in found for name in names]
        if not waiting or time.monotonic() >= end:
            break
        told(left)
        time.sleep(POLL_S)
    return left if waiting else []


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
