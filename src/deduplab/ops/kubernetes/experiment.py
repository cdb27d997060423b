"""What there is of an experiment: its workloads, and what only claims to be one of them."""

from __future__ import annotations

from dataclasses import dataclass

from deduplab.errors import NamespaceRefused, PlanError
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.kinds import CLAIM, CONFIG_MAP, Kind, Object, name_of, shown
from deduplab.ops.kubernetes.marker import MANAGED_BY, OWNER, selector, why_not_ours
from deduplab.ops.kubernetes.workloads import WORKLOADS, Workload


@dataclass(frozen=True, slots=True)
class Member:
    """A workload that bears our marker, as it was when it was looked at."""

    workload: Workload
    found: Object

    @property
    def name(self) -> str:
        """Its own name."""
        return name_of(self.found)

    @property
    def uid(self) -> str:
        """Its identity, which no other object ever has."""
        return str(self.found["metadata"]["uid"])

    def __str__(self) -> str:
        return shown(self.workload.kind, self.name)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """An object that has the experiment's label, and is not to be touched."""

    kind: Kind
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """What there is of an experiment in a namespace.

    ``members`` are in the order in which they are suspended; ``kept`` are the objects
    that hold something: claims and plans, each with its kind.
    """

    name: str
    members: tuple[Member, ...]
    kept: tuple[tuple[Kind, Object], ...]
    left_alone: tuple[LeftAlone, ...]


def find(cluster: Cluster, name: str) -> Experiment:
    """Find all objects that have the label of an experiment, and look at each one's marker.

    Raises
    ------
    PlanError
        If there is none at all.
    NamespaceRefused
        If there are some, and none of them is ours.
    """
    members, kept, left_alone = [], [], []

    def is_ours(kind: Kind, found: Object) -> bool:
        reason = why_not_ours(found, name)
        if reason:
            left_alone.append(LeftAlone(kind, name_of(found), reason))
        return not reason

    for workload in WORKLOADS:
        kind = workload.kind
        found = [one for one in cluster.listed(kind, selector(name)) if is_ours(kind, one)]
        members += [Member(workload, one) for one in found]
    for kind in (CONFIG_MAP, CLAIM):
        kept += [(kind, one) for one in cluster.listed(kind, selector(name)) if is_ours(kind, one)]
    if not members and not kept:
        _refuse(cluster, name, left_alone)
    return Experiment(name, tuple(members), tuple(kept), tuple(left_alone))


def _refuse(cluster: Cluster, name: str, left_alone: list[LeftAlone]) -> None:
    if not left_alone:
        raise PlanError(
            f"there is nothing of experiment {name!r} in namespace {cluster.namespace!r} of "
            f"{cluster.address}; see --namespace and --context"
        )
    what = ", ".join(f"{shown(one.kind, one.name)}: {one.reason}" for one in left_alone)
    raise NamespaceRefused(
        f"what has the label of experiment {name!r} is not ours, so it is left alone: {what}; "
        f"whoever wants it to be operated by deduplab gives it the label {MANAGED_BY}={OWNER}"
    )
