"""Suspending and restoring, on a real API server with its controllers; no container runs."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.kubernetes.control_plane import until
from tests.kubernetes.lab import EXPERIMENT, KINDS, OURS, REMEMBERED, Lab, replicated, template

FOREIGN = {
    "unlabelled": {},
    "no-owner": {"deduplab/experiment": EXPERIMENT},
    "other-owner": {**OURS, "app.kubernetes.io/managed-by": "Helm"},
    "other-experiment": {**OURS, "deduplab/experiment": "another"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_and_nothing_beside_it_is_touched(lab: Lab, kind: str) -> None:
    make, count = KINDS[kind]
    lab.make(kind, "ours", make("ours"))
    for name, labels in FOREIGN.items():
        lab.make(kind, name, make(name), labels)
    for name in ("ours", *FOREIGN):
        lab.wait_for_pods(name, count)
    settled = until(lambda: quiet(lab, kind, tuple(FOREIGN)), "foreign workloads come to rest")
    before = lab.spec(kind, "ours")
    foreign_pods = {name: lab.pods_of(name) for name in FOREIGN}

    told = json.loads(lab.run("suspend", EXPERIMENT, "--json").stdout)
    assert [(one["kind"], one["name"], one["action"]) for one in told["objects"]] == [
        (kind, "ours", "suspend")
    ]
    assert {one["name"] for one in told["left_alone"]} == {"no-owner", "other-owner"}
    assert lab.pods_of("ours") == [], "it was waited for"
    assert lab.memory(kind, "ours") is not None

    lab.run("restore", EXPERIMENT)
    lab.wait_for_pods("ours", count)
    assert lab.spec(kind, "ours") == before
    assert lab.memory(kind, "ours") is None
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
    until(lambda: quiet(lab, "StatefulSet", ("ours",)), "it comes to rest")
    first = lab.get("StatefulSet", "ours")["metadata"]
    again = lab.run("suspend", EXPERIMENT)
    assert "nothing" in again.stdout
    second = lab.get("StatefulSet", "ours")["metadata"]
    assert (second["resourceVersion"], second["annotations"]) == (
        first["resourceVersion"],
        first["annotations"],
    )
    lab.run("restore", EXPERIMENT)
    assert lab.spec("StatefulSet", "ours")["replicas"] == 3
    assert "it is not suspended" in lab.run("restore", EXPERIMENT).stdout


def test_what_was_down_before_stays_down_after(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 0))
    lab.make("CronJob", "ours", KINDS["CronJob"][0]("ours") | {"suspend": True})
    lab.run("suspend", EXPERIMENT)
    lab.run("restore", EXPERIMENT)
    assert lab.spec("Deployment", "ours")["replicas"] == 0
    assert lab.spec("CronJob", "ours")["suspend"] is True


def test_what_somebody_scaled_meanwhile_is_told_and_the_first_number_stays(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 3))
    lab.run("suspend", EXPERIMENT)
    lab.patch("Deployment", "ours", {"spec": {"replicas": 1}})
    words = "somebody had it at 1 replica"
    assert words in lab.run("status", EXPERIMENT).stdout
    assert words in lab.run("suspend", EXPERIMENT).stdout
    assert lab.spec("Deployment", "ours")["replicas"] == 0
    lab.patch("Deployment", "ours", {"spec": {"replicas": 1}})
    assert words in lab.run("restore", EXPERIMENT).stdout
    assert lab.spec("Deployment", "ours")["replicas"] == 3


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
            assert lab.spec("Deployment", "ours")["replicas"] == 2
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
        # A job in the background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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
    assert lab.spec("Deployment", "system")["replicas"] == 1
    assert lab.spec("Job", "measures")["suspend"] is True
    cured = {"template": {"spec": {"nodeSelector": None}}}
    lab.patch("Deployment", "system", {"spec": cured})
    lab.run("restore", EXPERIMENT)
    assert lab.spec("Job", "measures")["suspend"] is False
    lab.wait_for_pods("measures", 1)


def test_what_measures_goes_before_the_systems_and_comes_after_them(lab: Lab) -> None:
    lab.make("StatefulSet", "system", replicated("system", 1) | {"serviceName": "system"})
    lab.make("Job", "measures", KINDS["Job"][0]("measures"))
    lab.wait_for_pods("measures", 1)
    for verb, order in (("suspend", ["Job", "StatefulSet"]), ("restore", ["StatefulSet", "Job"])):
        told = json.loads(lab.run(verb, EXPERIMENT, "--json").stdout)
        assert [one["kind"] for one in told["objects"]] == order
