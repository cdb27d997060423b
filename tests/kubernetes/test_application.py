"""What is rendered, applied to a real API server and run by its controllers; no container runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml

from deduplab.errors import OperationFailed
from deduplab.ops.kubernetes.connection import connect
from tests.kubernetes.control_plane import until
from tests.kubernetes.lab import PATHS, Lab, replicated
from tests.kubernetes.plans import REMOTE, SMALL, written

IMAGE = ("--image", "example/deduplab:1", "--node", "node-2")
JOB = "small-one"
APPLY = "application/apply-patch+yaml"


def volumes(lab: Lab) -> None:
    """Make what the claims of the experiment are bound to, and no others; nothing is in it."""
    for name in (f"{JOB}-results", f"{JOB}-workspace"):
        spec = {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": lab.namespace, "name": name},
        }
        metadata = {"name": f"{lab.namespace}-{name}"}
        body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
        lab.control_plane.request("POST", "/api/v1/persistentvolumes", body)


def pods(lab: Lab) -> list[dict[str, Any]]:
    """Return the pods of the Job that have not ended."""
    return [pod for pod in lab.listed("Pod") if pod["status"].get("phase") == "Running"]


def running_pod(lab: Lab, but: str = "") -> dict[str, Any]:
    found = until(
        lambda: [pod for pod in pods(lab) if pod["metadata"]["name"] != but], "a pod runs"
    )
    (pod,) = found
    return dict(pod)


def end(lab: Lab, pod: dict[str, Any], exit_code: int) -> None:
    """Say what a kubelet says of a container that has ended."""
    name = pod["metadata"]["name"]
    ended = {"terminated": {"exitCode": exit_code, "reason": "Error", "startedAt": None}}
    status = {"name": "deduplab", "image": "none", "imageID": "", "restartCount": 0}
    status |= {"ready": False, "state": ended}
    lab.patch(
        "Pod", name, {"status": {"phase": "Failed", "containerStatuses": [status]}}, "/status"
    )


def conditions(lab: Lab) -> dict[str, str]:
    held = lab.get("Job", JOB)["status"].get("conditions") or ()
    return {one["type"]: one.get("reason", "") for one in held if one["status"] == "True"}


def test_the_same_again_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    plan = written(tmp_path)
    first = lab.run("apply", plan, *IMAGE).stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in first[:-1]] == ["created"] * 4
    until(lambda: lab.names("Pod"), "the controller has seen it")
    before = lab.get("Job", JOB)["metadata"]["generation"]
    second = lab.run("apply", plan, *IMAGE).stdout
    assert "Job/small-one: created" not in second
    assert lab.get("Job", JOB)["metadata"]["generation"] == before
    assert lab.names("ConfigMap")[-1].startswith("small-one-plan-")


def test_it_runs_on_its_node_with_its_claims_and_no_rights(lab: Lab, tmp_path: Path) -> None:
    volumes(lab)
    lab.run("apply", written(tmp_path), *IMAGE, "--cpus", "3", "--memory", "1536 MiB")
    pod = running_pod(lab)
    assert pod["spec"]["nodeName"] == "node-2"
    assert pod["status"]["qosClass"] == "Guaranteed"
    claims = {one["metadata"]["name"]: one["status"]["phase"] for one in lab.listed(CLAIM)}
    assert claims == {"small-one-results": "Bound", "small-one-workspace": "Bound"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not [one for one in pod["spec"]["volumes"] if one["name"].startswith("kube-api-access")]


CLAIM = "PersistentVolumeClaim"


def test_it_passes_the_strictest_standard_of_pod_security(lab: Lab, tmp_path: Path) -> None:
    strict = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    path = f"/api/v1/namespaces/{lab.namespace}"
    lab.control_plane.request("PATCH", path, strict, "application/merge-patch+json")
    lax = {"containers": [{"name": "main", "image": "none"}]}
    with pytest.raises(HTTPError, match="403"):  # the standard is enforced
        lab.make("Pod", "lax", lax)
    volumes(lab)
    lab.run("apply", written(tmp_path), *IMAGE)
    running_pod(lab)


def test_a_pod_that_is_killed_is_replaced_and_one_that_says_no_is_not(
    lab: Lab, tmp_path: Path
) -> None:
    volumes(lab)
    lab.run("apply", written(tmp_path), *IMAGE)
    first = running_pod(lab)
    end(lab, first, 137)
    second = running_pod(lab, but=first["metadata"]["name"])
    assert not conditions(lab)
    end(lab, second, 2)
    until(lambda: "Failed" in conditions(lab), "the Job has failed")
    assert conditions(lab)["Failed"] == "PodFailurePolicy"
    assert pods(lab) == []


def test_a_suspended_job_is_gone_on_with(lab: Lab, tmp_path: Path) -> None:
    volumes(lab)
    lab.run("apply", written(tmp_path), *IMAGE)
    first = running_pod(lab)
    lab.run("suspend", JOB)
    assert pods(lab) == []
    again = lab.run("apply", written(tmp_path), *IMAGE).stdout
    assert "Job/small-one: " in again
    assert lab.get("Job", JOB)["spec"]["suspend"] is True, "applied again, and still suspended"
    lab.run("restore", JOB)
    second = running_pod(lab)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert second["spec"]["volumes"] == first["spec"]["volumes"]


def test_the_server_reads_the_text_as_it_was_meant(lab: Lab, tmp_path: Path) -> None:
    """It reads YAML by the same library as kubectl, for which words are numbers or false."""
    plan = written(tmp_path, SMALL + REMOTE)
    odd = ("--node", "n", "--node-label", "disk=1e3", "--node-label", "rack=0x1f")
    rendered = lab_free("render", plan, *IMAGE[:2], *odd, "-n", lab.namespace)
    for text in rendered.split("---\n"):
        meant = yaml.safe_load(text)
        path = f"{PATHS[meant['kind']].format(lab.namespace)}/{meant['metadata']['name']}"
        query = "?fieldManager=test&fieldValidation=Strict"
        made = lab.control_plane.request("PATCH", path + query, text, APPLY)
        assert made["metadata"]["labels"].items() >= meant["metadata"]["labels"].items()
    chosen = {"kubernetes.io/hostname": "n", "disk": "1e3", "rack": "0x1f"}
    assert made["spec"]["template"]["spec"]["nodeSelector"] == chosen


def test_the_file_of_sinks_goes_along(lab: Lab, tmp_path: Path) -> None:
    volumes(lab)
    sinks = tmp_path / "sinks.toml"
    sinks.write_text('[prometheus]\nlisten = "0.0.0.0:9464"\n')
    words = ("apply", written(tmp_path), *IMAGE, "--sinks", sinks, "--json")
    told = json.loads(lab.run(*words).stdout)
    assert [one["result"] for one in told["objects"]] == ["created"] * 5
    assert (told["experiment"], told["dry_run"]) == (JOB, False)
    pod = running_pod(lab)
    (container,) = pod["spec"]["containers"]
    (port,) = container["ports"]
    assert (port["name"], port["containerPort"]) == ("metrics", 9464)
    (held,) = [one for one in lab.listed("ConfigMap") if "sinks" in one["metadata"]["name"]]
    assert held["data"] == {"sinks.toml": sinks.read_text()}

    sinks.write_text('[prometheus]\nlisten = "0.0.0.0:9465"\n')
    refused = lab.run(*words, code=7)
    assert json.loads(refused.stdout)["objects"] == []
    assert "another plan, image, resources or sinks" in refused.stderr
    lab.run("delete", JOB, "--yes")
    assert not [name for name in lab.names("ConfigMap") if name.startswith(JOB)]


def test_what_the_server_does_not_know_is_refused(lab: Lab, tmp_path: Path) -> None:
    plan = written(tmp_path)
    (*_, body) = yaml.safe_load_all(lab_free("render", plan, *IMAGE, "-n", lab.namespace))
    cluster = connect(lab.kubeconfig(), None, None)
    assert cluster.apply(body, dry_run=True)["kind"] == "Job"
    body["spec"]["template"]["spec"]["unheardOf"] = 1
    with pytest.raises(OperationFailed, match="unheardOf"):
        cluster.apply(body, dry_run=True)


def lab_free(*arguments: str | Path) -> str:
    """Run a command that asks no cluster."""
    words = ["-m", "deduplab", "ops", "kubernetes", *map(str, arguments)]
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_a_namespace_is_made_where_that_is_asked_for(lab: Lab, tmp_path: Path) -> None:
    plan = written(tmp_path)
    there = ("-n", f"{lab.namespace}-new", "--create-namespace")
    tried = lab.run("apply", plan, *IMAGE, *there, "--dry-run").stdout
    assert "would be created" in tried
    missing = lab.run("apply", plan, *IMAGE, *there[:2], code=2)
    assert f'namespaces "{lab.namespace}-new" not found' in missing.stderr
    made = lab.run("apply", plan, *IMAGE, *there).stdout
    assert f"Namespace/{lab.namespace}-new: created" in made
    assert "Job/small-one: created" in made
    taken = lab.run("apply", plan, *IMAGE, "-n", lab.namespace, "--create-namespace", code=8)
    assert "is there and not ours" in taken.stderr


def test_what_is_there_and_not_ours_is_not_taken_over(lab: Lab, tmp_path: Path) -> None:
    spec = {"template": replicated("x", 1)["template"]}
    spec["template"]["spec"]["restartPolicy"] = "Never"
    lab.make("Job", JOB, spec, {})
    refused = lab.run("apply", written(tmp_path), *IMAGE, code=8)
    assert "Job/small-one is there and not ours" in refused.stderr
    assert not [name for name in lab.names("ConfigMap") if name.startswith(JOB)]


def test_another_plan_under_the_same_name_applies_nothing(lab: Lab, tmp_path: Path) -> None:
    lab.run("apply", written(tmp_path), *IMAGE)
    before = lab.names("ConfigMap")
    changed = written(tmp_path, SMALL.replace("256 KiB", "512 KiB"))
    refused = lab.run("apply", changed, *IMAGE, code=7)
    assert "nothing was applied" in refused.stderr
    assert "delete it first" in refused.stderr
    assert len(refused.stderr) < 1200, "the server's words are cut"
    assert lab.names("ConfigMap") == before
