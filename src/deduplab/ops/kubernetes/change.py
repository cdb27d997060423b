"""Carrying out a decision on one workload, again from the start if somebody came between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deduplab.errors import OperationFailed
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.decision import LEAVE, NOTHING, Decision
from deduplab.ops.kubernetes.experiment import Member
from deduplab.ops.kubernetes.kinds import Object
from deduplab.ops.kubernetes.marker import why_not_ours
from deduplab.ops.kubernetes.refusals import Conflict
from deduplab.ops.kubernetes.workloads import Workload

MOST_ATTEMPTS: Final = 10

Decide = Callable[[Workload, Object], Decision]


@dataclass(frozen=True, slots=True)
class Change:
    """What was done with a workload, and what it is now; None if it is gone."""

    member: Member
    decision: Decision
    now: Member | None

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return self.decision.patch is not None


def carry_out(cluster: Cluster, experiment: str, member: Member, decide: Decide) -> Change:
    """Do with a workload what is decided of it.

    Its controller and other people write to it as well: then the server refuses, and it is
    looked at and decided of anew, its marker included.

    Raises
    ------
    OperationFailed
        If somebody else was faster ten times.
    """
    found = member.found
    for _ in range(MOST_ATTEMPTS):
        if reason := why_not_ours(found, experiment):
            return Change(member, _aside(LEAVE, f"since it was found, {reason}"), None)
        decision = decide(member.workload, found)
        if decision.patch is None:
            return Change(member, decision, Member(member.workload, found))
        try:
            changed = cluster.patch(member.workload.kind, member.name, decision.patch)
        except Conflict:
            changed = None
        else:
            if changed is not None:
                return Change(member, decision, Member(member.workload, changed))
        again = cluster.get(member.workload.kind, member.name)
        if again is None:
            return Change(member, _aside(NOTHING, "it was deleted meanwhile"), None)
        found = again
    raise OperationFailed(
        f"{member} was changed by somebody else {MOST_ATTEMPTS} times while it was to be "
        "changed here; what was done already stays, and the same command does the rest"
    )


def _aside(action: str, note: str) -> Decision:
    return Decision(action, "", "", note)
