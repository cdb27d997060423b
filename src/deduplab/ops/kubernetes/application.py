"""Having a cluster make an experiment what its manifests say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deduplab.errors import NamespaceRefused, OperationFailed
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.kinds import JOB, NAMESPACE, Object, kind_of, name_of, shown
from deduplab.ops.kubernetes.marker import MANAGED_BY, OWNER, why_not_ours


def apply(
    cluster: Cluster, experiment: str, wanted: Sequence[Object], *, dry_run: bool = False
) -> Iterator[tuple[str, str]]:
    """Apply manifests in order; give the name of each, and what became of it in words.

    All of them are tried on the server first, so that nothing is done by halves; ``dry_run``
    does no more than that. An object that is there without our marker is not taken over.

    Raises
    ------
    NamespaceRefused
        If there is such an object.
    OperationFailed
        If the server refuses one.
    """
    spaces = [one for one in wanted if kind_of(one) is NAMESPACE]
    others = [one for one in wanted if kind_of(one) is not NAMESPACE]
    for one in spaces:  # a namespace has to be there before anything can be tried in it
        before = _there(cluster, one, experiment)
        if dry_run and before is None:
            yield _named(one), "would be created; what lies in it can't be tried before that"
            return
        yield _apply(cluster, one, before)
    there = [_there(cluster, one, experiment) for one in others]
    for one in others:
        _tried(cluster, one)
        if dry_run:
            yield _named(one), "the server would take it"
    if dry_run:
        return
    for one, before in zip(others, there, strict=True):
        yield _apply(cluster, one, before)


def _there(cluster: Cluster, wanted: Object, experiment: str) -> Object | None:
    """Return the object as it is; refuse one that is somebody else's."""
    kind, name = kind_of(wanted), name_of(wanted)
    found = cluster.get(kind, name)
    if found is not None and (reason := why_not_ours(found, experiment)):
        raise NamespaceRefused(
            f"{shown(kind, name)} is there and not ours: {reason}. It is left alone; choose "
            f"another --name or --namespace, or give it the label {MANAGED_BY}={OWNER}"
            + (", or leave out --create-namespace" if kind is NAMESPACE else "")
        )
    return found


def _tried(cluster: Cluster, wanted: Object) -> None:
    try:
        cluster.apply(wanted, dry_run=True)
    except OperationFailed as error:
        more = ""
        if kind_of(wanted) is JOB and "immutable" in str(error):
            more = (
                ". A Job that is there can't be given another plan, image, resources or sinks: "
                "delete it first (deduplab ops kubernetes delete), which keeps the results, or "
                "choose another --name"
            )
        raise OperationFailed(f"nothing was applied: {error}{more}") from error


def _apply(cluster: Cluster, wanted: Object, before: Object | None) -> tuple[str, str]:
    after = cluster.apply(wanted)
    if before is None:
        return _named(wanted), "created"
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return _named(wanted), "as it was" if same else "changed"


def _named(wanted: Object) -> str:
    return shown(kind_of(wanted), name_of(wanted))
