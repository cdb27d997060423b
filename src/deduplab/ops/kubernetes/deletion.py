"""Deleting an experiment's objects, and keeping its results."""

from __future__ import annotations

from collections.abc import Iterator

from deduplab.errors import OperationFailed
from deduplab.ops.kubernetes.change import MOST_ATTEMPTS
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.experiment import Experiment
from deduplab.ops.kubernetes.kinds import CLAIM, Kind, Object, name_of, shown
from deduplab.ops.kubernetes.manifests.claims import WORKSPACE
from deduplab.ops.kubernetes.marker import COMPONENT, why_not_ours
from deduplab.ops.kubernetes.refusals import Conflict

Target = tuple[Kind, Object]


def targets(experiment: Experiment, *, results_too: bool) -> tuple[list[Target], list[Target]]:
    """Return what is to be deleted, in order, and what is kept.

    A claim that is not known to be a workspace may hold results: it is kept as such.
    """
    kept: list[Target] = []
    doomed = [(member.workload.kind, member.found) for member in experiment.members]
    for kind, found in experiment.kept:
        spared = kind is CLAIM and not results_too and not _is_workspace(found)
        (kept if spared else doomed).append((kind, found))
    return doomed, kept


def delete(cluster: Cluster, experiment: str, doomed: list[Target]) -> Iterator[tuple[str, str]]:
    """Delete objects; give each one's name once it is done, and what became of it.

    What was changed since it was found is looked at again, its marker included.

    Raises
    ------
    OperationFailed
        If somebody else was faster ten times.
    """
    for kind, found in doomed:
        yield shown(kind, name_of(found)), _delete(cluster, experiment, kind, found)


def _delete(cluster: Cluster, experiment: str, kind: Kind, found: Object) -> str:
    for _ in range(MOST_ATTEMPTS):
        if reason := why_not_ours(found, experiment):
            return f"left alone: since it was found, {reason}"
        try:
            cluster.delete(kind, found)
        except Conflict:
            again = cluster.get(kind, name_of(found))
            if again is None:
                break
            found = again
        else:
            break
    else:
        raise OperationFailed(
            f"{shown(kind, name_of(found))} was changed by somebody else {MOST_ATTEMPTS} times "
            "while it was to be deleted; the same command does the rest"
        )
    return "deleted"


def _is_workspace(found: Object) -> bool:
    return bool((found["metadata"].get("labels") or {}).get(COMPONENT) == WORKSPACE)
