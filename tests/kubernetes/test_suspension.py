"""Suspending and restoring, on a real API server with its controllers; no container runs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
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
from tests.kubernetes.lab import EXPERIMENT, KINDS, OURS, Lab, replicated, template

Beset = Callable[..., Cluster]

REMEMBERED = "deduplab/suspended"
FOREIGN = {
    "unlabelled": {},
    "no-owner": {"deduplab/experiment": EXPERIMENT},
    "other-owner": {**OURS, "app.kubernetes.io/managed-by": "Helm"},
    "other-experiment": {**OURS, "deduplab/experiment": "another"},
}


def spec_of(lab: Lab, kind: str, name: str) -> Any:
    return lab.get(kind, name)["spec"]


def annotation(lab: Lab, kind: str, name: str) -> str | None:
    held = lab.get(kind, name)["metadata"].get("annotations") or {}
    found: str | None = held.get(REMEMBERED)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_and_nothing_beside_it_is_touched(lab: Lab, kind: str) -> None:
    make, count = KINDS[kind]
    lab.make(kind, "ours", make("ours"))
    for name, labels in FOREIGN.items():
        lab.make(kind, name, make(name), labels)
    for name in ("ours", *FOREIGN):
        lab.wait_for_pods(name, count)
    settled = until(lambda: quiet(lab, kind, tuple(FOREIGN)), "foreign workloads come to rest")
    before = spec_of(lab, kind, "ours")
    foreign_pods = {name: lab.pods_of(name) for name in FOREIGN}

    told = json.loads(lab.run("suspend", EXPERIMENT, "--json").stdout)
    assert [(one["kind"], one["name"], one["action"]) for one in told["objects"]] == [
        (kind, "ours", "suspend")
    ]
    assert {one["name"] for one in told["left_alone"]} == {"no-owner", "other-owner"}
    assert lab.pods_of("ours") == [], "it was waited for"
    assert annotation(lab, kind, "ours") is not None

    lab.run("restore", EXPERIMENT)
    lab.wait_for_pods("ours", count)
    assert spec_of(lab, kind, "ours") == before
    assert annotation(lab, kind, "ours") is None
    assert {name: lab.pods_of(name) for name in FOREIGN} == foreign_pods
    assert versions(lab, kind, tuple(FOREIGN)) == settled


def versions(lab: Lab, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    return {name: lab.get(kind, name)["metadata"]["resourceVersion"] for name in names}


def quiet(lab: Lab, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of objects if nobody has written to them for a second, else nothing."""
    before = versions(lab, kind, names)
    time.sleep(1)
    return before if versions(lab, kind, names) == before else {}


def test_again_changes_nothing_and_never_remembers_the_zero(lab: Lab) -> None:
    lab.make("StatefulSet", "ours", replicated("ours", 3) | {"serviceName": "ours"})
    lab.run("suspend", EXPERIMENT)
    first = lab.get("StatefulSet", "ours")["metadata"]
    again = lab.run("suspend", EXPERIMENT)
    assert "nothing" in again.stdout
    second = lab.get("StatefulSet", "ours")["metadata"]
    assert (second["resourceVersion"], second["annotations"]) == (
        first["resourceVersion"],
        first["annotations"],
    )
    lab.run("restore", EXPERIMENT)
    assert spec_of(lab, "StatefulSet", "ours")["replicas"] == 3
    assert "it is not suspended" in lab.run("restore", EXPERIMENT).stdout


def test_what_was_down_before_stays_down_after(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 0))
    lab.make("CronJob", "ours", KINDS["CronJob"][0]("ours") | {"suspend": True})
    lab.run("suspend", EXPERIMENT)
    lab.run("restore", EXPERIMENT)
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 0
    assert spec_of(lab, "CronJob", "ours")["suspend"] is True


def test_what_somebody_scaled_meanwhile_is_told_and_the_first_number_stays(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    lab.run("suspend", EXPERIMENT)
    lab.patch("Deployment", "ours", {"spec": {"replicas": 1}})
    words = "somebody had it at 1 replica"
    assert words in lab.run("status", EXPERIMENT).stdout
    assert words in lab.run("suspend", EXPERIMENT).stdout
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 0
    lab.patch("Deployment", "ours", {"spec": {"replicas": 1}})
    assert words in lab.run("restore", EXPERIMENT).stdout
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 3


def test_an_autoscaler_and_an_operator_are_named(lab: Lab) -> None:
    owner = lab.make("CronJob", "keeper", KINDS["CronJob"][0]("keeper"), {})
    reference = {
        "apiVersion": "example.org/v1",
        "kind": "Database",
        "name": "main",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    lab.make("Deployment", "scaled", replicated("scaled", 1))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    scaler = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4}
    lab.make("HorizontalPodAutoscaler", "elastic", scaler, {})
    lab.make("StatefulSet", "made", replicated("made", 1) | {"serviceName": "made"})
    lab.patch("StatefulSet", "made", {"metadata": {"ownerReferences": [reference]}})
    told = lab.run("suspend", EXPERIMENT, "--dry-run").stdout
    assert "Deployment/scaled: HorizontalPodAutoscaler/elastic targets it" in told
    assert "StatefulSet/made: Database/main looks after it" in told


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 2))
    before = until(lambda: quiet(lab, "Deployment", ("ours",)), "it comes to rest")
    told = lab.run("suspend", EXPERIMENT, "--dry-run").stdout
    assert "2 replicas" in told
    assert versions(lab, "Deployment", ("ours",)) == before


def test_an_annotation_that_is_not_ours_is_left_alone(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 2))
    for text in ("", "3", '{"since": "2026-01-01T00:00:00+00:00", "replicas": -1}', "[]"):
        lab.patch("Deployment", "ours", {"metadata": {"annotations": {REMEMBERED: text}}})
        for verb in ("suspend", "restore") if "since" not in text else ("restore",):
            told = lab.run(verb, EXPERIMENT, "--no-wait").stdout
            assert "mend or remove that annotation" in told
            assert spec_of(lab, "Deployment", "ours")["replicas"] == 2
        lab.run("status", EXPERIMENT)


def test_pods_that_stay_are_named_at_the_deadline_and_waited_for_again(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1))
    lab.wait_for_pods("ours", 1)
    (pod,) = lab.pods_of("ours")
    lab.patch("Pod", pod, {"metadata": {"finalizers": ["example.org/held"]}})
    refused = lab.run("suspend", EXPERIMENT, "--deadline", "2", code=7)
    assert pod in refused.stderr
    assert "all is suspended, but still there" in refused.stderr
    assert "suspend" in refused.stdout, "what was done is told all the same"
    lab.patch("Pod", pod, {"metadata": {"finalizers": None}})
    lab.run("suspend", EXPERIMENT)
    assert lab.pods_of("ours") == []


def test_a_pod_that_only_looks_like_one_of_its_own_is_not_waited_for(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1))
    pod = template("ours")["spec"]
    lab.make("Pod", "alike", pod, {"app": "ours"})
    lab.wait_for_pods("ours", 2)
    lab.run("suspend", EXPERIMENT, "--deadline", "20")
    assert lab.pods_of("ours") == ["alike"]


def test_an_interrupt_tells_what_was_done(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1))
    lab.wait_for_pods("ours", 1)
    (pod,) = lab.pods_of("ours")
    lab.patch("Pod", pod, {"metadata": {"finalizers": ["example.org/held"]}})
    with subprocess.Popen(
        lab.command("suspend", EXPERIMENT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        until(lambda: pod in process.stderr.readline(), "it waits for the pod")
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Deployment/ours  suspend  1 replica" in shown
    assert "interrupted" in said
    lab.patch("Pod", pod, {"metadata": {"finalizers": None}})


def test_systems_that_do_not_get_ready_keep_jobs_suspended(lab: Lab) -> None:
    lab.make("Deployment", "system", replicated("system", 1))
    lab.make("Job", "measures", KINDS["Job"][0]("measures"))
    lab.run("suspend", EXPERIMENT)
    nowhere = {"kubernetes.io/hostname": "nowhere"}
    asked = {"template": {"spec": {"nodeSelector": nowhere}}}
    lab.patch("Deployment", "system", {"spec": asked})
    refused = lab.run("restore", EXPERIMENT, "--deadline", "2", code=7)
    assert "not ready by the deadline: Deployment/system 0/1" in refused.stderr
    assert spec_of(lab, "Deployment", "system")["replicas"] == 1
    assert spec_of(lab, "Job", "measures")["suspend"] is True
    cured = {"template": {"spec": {"nodeSelector": None}}}
    lab.patch("Deployment", "system", {"spec": cured})
    lab.run("restore", EXPERIMENT)
    assert spec_of(lab, "Job", "measures")["suspend"] is False
    lab.wait_for_pods("measures", 1)


def test_what_measures_goes_before_the_systems_and_comes_after_them(lab: Lab) -> None:
    lab.make("StatefulSet", "system", replicated("system", 1) | {"serviceName": "system"})
    lab.make("Job", "measures", KINDS["Job"][0]("measures"))
    lab.wait_for_pods("measures", 1)
    for verb, order in (("suspend", ["Job", "StatefulSet"]), ("restore", ["StatefulSet", "Job"])):
        told = json.loads(lab.run(verb, EXPERIMENT, "--json").stdout)
        assert [one["kind"] for one in told["objects"]] == order


class Doomed(BaseException):
    """In place of the end of the process."""


def cluster_of(lab: Lab) -> Cluster:
    return connect(lab.kubeconfig(), None, None)


def crash(lab: Lab, verb: Any, after: int) -> None:
    """Suspend or restore, and end after some patches."""
    cluster = cluster_of(lab)
    left = iter(range(after))

    def patch(kind: Kind, name: str, patch: Object) -> Object | None:
        if next(left, None) is None:
            raise Doomed
        return Cluster.patch(cluster, kind, name, patch)

    experiment = find(cluster, EXPERIMENT)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "patch", patch)
        with pytest.raises(Doomed):
            verb(cluster, experiment, 30.0, lambda change: None, lambda words: None)


def test_a_crash_between_any_two_objects_loses_nothing(lab: Lab) -> None:
    kinds = list(KINDS)
    for kind in kinds:
        lab.make(kind, "ours", KINDS[kind][0]("ours"))
    before = {kind: spec_of(lab, kind, "ours") for kind in kinds}
    for after in range(len(kinds)):
        crash(lab, suspend, after)
        down = [kind for kind in kinds if annotation(lab, kind, "ours")]
        assert len(down) == after
        lab.run("restore", EXPERIMENT)
        assert {kind: spec_of(lab, kind, "ours") for kind in kinds} == before
    for after in range(len(kinds)):
        lab.run("suspend", EXPERIMENT)
        crash(lab, restore, after)
        lab.run("restore", EXPERIMENT)
        assert {kind: spec_of(lab, kind, "ours") for kind in kinds} == before
        assert not [kind for kind in kinds if annotation(lab, kind, "ours")]


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
    assert not [name for name in names if annotation(lab, "Deployment", name)]


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
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 5


def test_what_loses_its_marker_in_between_is_left_alone(lab: Lab, beset: Beset) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    taken = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
    cluster = beset(taken)
    (member,) = find(cluster, EXPERIMENT).members
    change = carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert change.decision.action == "leave alone"
    assert "lacks the label" in change.decision.note
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 3
    assert annotation(lab, "Deployment", "ours") is None


def test_somebody_who_is_always_faster_ends_it_in_words(lab: Lab, beset: Beset) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    cluster = beset(*({"metadata": {"annotations": {"n": str(n)}}} for n in range(50)))
    (member,) = find(cluster, EXPERIMENT).members
    with pytest.raises(OperationFailed, match="changed by somebody else 10 times"):
        carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert spec_of(lab, "Deployment", "ours")["replicas"] == 3


def test_what_was_deleted_meanwhile_is_told(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1))
    cluster = cluster_of(lab)
    (member,) = find(cluster, EXPERIMENT).members
    lab.remove("Deployment", "ours")
    change = carry_out(cluster, EXPERIMENT, member, to_suspend)
    assert (change.now, change.decision.note) == (None, "it was deleted meanwhile")
