"""Deleting an experiment: ours alone, and results only where that is asked for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.kubernetes.control_plane import until
from tests.kubernetes.lab import OURS, Lab, replicated
from tests.kubernetes.plans import written

IMAGE = ("--image", "example/deduplab:1")
JOB = "small-one"
FOREIGN = {**OURS, "deduplab/experiment": JOB, "app.kubernetes.io/managed-by": "Helm"}
CLAIM = "PersistentVolumeClaim"


def applied(lab: Lab, folder: Path) -> None:
    lab.run("apply", written(folder), *IMAGE)
    lab.make("Deployment", "foreign", replicated("foreign", 1), FOREIGN)


def test_results_are_kept_and_others_objects_as_well(lab: Lab, tmp_path: Path) -> None:
    applied(lab, tmp_path)
    told = lab.run("delete", JOB, "--yes").stdout
    assert f"{CLAIM}/small-one-results: kept" in told
    assert "Deployment/foreign: left alone" in told
    assert lab.names("Job") == []
    until(lambda: lab.names(CLAIM) == ["small-one-results"], "the workspace is gone")
    assert lab.names("Deployment") == ["foreign"]
    assert not [name for name in lab.names("ConfigMap") if name.startswith(JOB)]
    until(lambda: all(name.startswith("foreign") for name in lab.names("Pod")), "its pod is gone")

    assert "results: kept" in lab.run("delete", JOB, "--yes").stdout
    lab.run("delete", JOB, "--yes", "--results-too")
    until(lambda: lab.names(CLAIM) == [], "the results are gone")


def test_a_claim_of_ours_without_a_component_is_taken_for_results(lab: Lab) -> None:
    room = {"requests": {"storage": "1Gi"}}
    lab.make(CLAIM, "data", {"accessModes": ["ReadWriteOnce"], "resources": room})
    lab.run("delete", "trial", "--yes")
    assert lab.names(CLAIM) == ["data"]


def test_nothing_is_deleted_before_somebody_said_so(lab: Lab, tmp_path: Path) -> None:
    applied(lab, tmp_path)
    assert "nobody answered" in lab.run("delete", JOB, code=2).stderr
    no = subprocess.run(
        lab.command("delete", JOB), input="n\n", capture_output=True, text=True, timeout=60
    )
    assert (no.returncode, "nothing was deleted" in no.stdout) == (0, True)
    assert "nothing was deleted" in lab.run("delete", JOB, "--dry-run").stdout
    assert lab.names("Job") == [JOB]
    assert len(lab.names(CLAIM)) == 2


def test_a_script_is_told_what_became_of_each(lab: Lab, tmp_path: Path) -> None:
    applied(lab, tmp_path)
    assert "--json asks nobody" in lab.run("delete", JOB, "--json", code=2).stderr
    tried = json.loads(lab.run("delete", JOB, "--json", "--dry-run").stdout)
    assert {one["result"] for one in tried["objects"]} == {"to be deleted"}
    assert lab.names("Job") == [JOB]
    told = json.loads(lab.run("delete", JOB, "--json", "--yes").stdout)
    assert {one["kind"] for one in told["objects"]} == {"Job", "ConfigMap", CLAIM}
    assert {one["result"] for one in told["objects"]} == {"deleted"}
    assert told["kept"] == [{"kind": CLAIM, "name": "small-one-results"}]
    assert [one["name"] for one in told["left_alone"]] == ["foreign"]
    assert (told["experiment"], told["namespace"]) == (JOB, lab.namespace)
    assert lab.names("Job") == []
