"""Crashes between objects, and others who write to them: nothing that is remembered is lost."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from deduplab.errors import OperationFailed
from deduplab.ops.kubernetes.change import carry_out
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.connection import connect
from deduplab.ops.kubernetes.decision import to_suspend
from deduplab.ops.kubernetes.experiment import find
from deduplab.ops.kubernetes.kinds import Kind, Object
from deduplab.ops.kubernetes.suspension import restore, suspend
from tests.kubernetes.control_plane import until
from tests.kubernetes.lab import EXPERIMENT, KINDS, REMEMBERED, Lab, replicated

Beset = Callable[..., Cluster]


class Doomed(BaseException):
    """In place of the end of the process."""


def cluster_of(lab: Lab) -> Cluster:
    return connect(lab.kubeconfig(), None, None)


def crash(lab: Lab, verb: Any, after: int) -> None:
    """Suspend or restore, and end after some patches that were taken."""
    cluster = cluster_of(lab)
    done: list[Object | None] = []

    def patch(kind: Kind, name: str, patch: Object) -> Object | None:
        if len(done) == after:
            raise Doomed
        done.append(Cluster.patch(cluster, kind, name, patch))  # not where a controller is faster
        return done[-1]

    experiment = find(cluster, EXPERIMENT)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "patch", patch)
        with pytest.raises(Doomed):
            verb(cluster, experiment, 30.0, lambda change: None, lambda words: None)


def test_a_crash_between_any_two_objects_loses_nothing(lab: Lab) -> None:
    kinds = list(KINDS)
    for kind in kinds:
        lab.make(kind, "ours", KINDS[kind][0]("ours"))
    before = {kind: lab.spec(kind, "ours") for kind in kinds}
    for after in range(len(kinds)):
        crash(lab, suspend, after)
        down = [kind for kind in kinds if lab.memory(kind, "ours")]
        assert len(down) == after
        lab.run("restore", EXPERIMENT)
        assert {kind: lab.spec(kind, "ours") for kind in kinds} == before
    for after in range(len(kinds)):
        lab.run("suspend", EXPERIMENT)
        crash(lab, restore, after)
        lab.run("restore", EXPERIMENT)
        assert {kind: lab.spec(kind, "ours") for kind in kinds} == before
        assert not [kind for kind in kinds if lab.memory(kind, "ours")]


def test_a_command_that_is_killed_half_way_is_made_good_by_restore(lab: Lab) -> None:
    names = [f"ours-{number:02}" for number in range(30)]
    for number, name in enumerate(names):
        lab.make("Deployment", name, replicated(name, number % 3 + 1))
    before = {one["metadata"]["name"]: one["spec"] for one in lab.listed("Deployment")}
    with subprocess.Popen(
        lab.command("suspend", EXPERIMENT), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: some_are_down(lab), "the first one is suspended")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    down = some_are_down(lab)
    assert 0 < len(down) < len(names), "it was half-way"
    lab.run("restore", EXPERIMENT)
    assert {one["metadata"]["name"]: one["spec"] for one in lab.listed("Deployment")} == before
    assert not [name for name in names if lab.memory("Deployment", name)]


def some_are_down(lab: Lab) -> list[str]:
    return [
        one["metadata"]["name"]
        for one in lab.listed("Deployment")
        if REMEMBERED in one["metadata"].get("annotations", {})
    ]


@pytest.fixture
def beset(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Beset:
    """Return what gives a cluster in which somebody is faster than each of our patches."""

    def begin(*changes: Object) -> Cluster:
        cluster, left = cluster_of(lab), list(changes)

        def patch(kind: Kind, name: str, patch: Object) -> Object | None:
            if left:
                lab.patch("Deployment", "ours", left.pop(0))
            return Cluster.patch(cluster, kind, name, patch)

        monkeypatch.setattr(cluster, "patch", patch)
        return cluster

    return begin


def test_what_somebody_changes_in_between_is_what_is_remembered(lab: Lab, beset: Beset) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    cluster = beset({"spec": {"replicas": 5}})
    (member,) = find(cluster, EXPERIMENT).members
    change = carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert change.changed
    assert change.decision.before == "5 replicas"
    lab.run("restore", EXPERIMENT)
    assert lab.spec("Deployment", "ours")["replicas"] == 5


def test_what_loses_its_marker_in_between_is_left_alone(lab: Lab, beset: Beset) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    taken = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
    cluster = beset(taken)
    (member,) = find(cluster, EXPERIMENT).members
    change = carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert change.decision.action == "leave alone"
    assert "lacks the label" in change.decision.note
    assert lab.spec("Deployment", "ours")["replicas"] == 3
    assert lab.memory("Deployment", "ours") is None


def test_somebody_who_is_always_faster_ends_it_in_words(lab: Lab, beset: Beset) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    cluster = beset(*({"metadata": {"annotations": {"n": str(n)}}} for n in range(50)))
    (member,) = find(cluster, EXPERIMENT).members
    with pytest.raises(OperationFailed, match="changed by somebody else 10 times"):
        carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert lab.spec("Deployment", "ours")["replicas"] == 3


def test_what_was_deleted_meanwhile_is_told(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1))
    cluster = cluster_of(lab)
    (member,) = find(cluster, EXPERIMENT).members
    lab.remove("Deployment", "ours")
    change = carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert (change.now, change.decision.note) == (None, "it was deleted meanwhile")
