"""The Role that is rendered: it suffices for every command, and nothing in it is too much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.control_plane import until
from tests.kubernetes.lab import KINDS, Lab, replicated
from tests.kubernetes.plans import written

IMAGE = ("--image", "example/deduplab:1")
JOB = "small-one"
OURS = {"app.kubernetes.io/managed-by": "deduplab", "deduplab/experiment": JOB}
WITHOUT_A_RECORD = {
    (resource, "create") for resource in ("configmaps", "persistentvolumeclaims", "jobs")
}
"""Server-side apply of what is not there needs them, and the audit log calls it a patch."""


def role() -> dict[str, Any]:
    words = [sys.executable, "-m", "deduplab", "ops", "kubernetes", "render", "--role"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def granted(lab: Lab, given: dict[str, Any]) -> None:
    """Give a Role to the user 'operator', in this namespace alone."""
    lab.create(given)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": given["metadata"]["name"]},
        "roleRef": reference | {"name": given["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
    }
    lab.create(binding)
    path = f"/api/v1/namespaces/{lab.namespace}/pods?limit=1"
    until(lambda: lab.control_plane.may("operator", path), "the binding holds")


def pairs(given: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (resource, verb)
        for rule in given["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def tour(lab: Lab, folder: Path) -> None:
    """Run every command as the operator, with workloads of every kind."""
    lab.run("apply", written(folder), *IMAGE, user="operator")
    for kind, (make, _) in KINDS.items():
        lab.make(kind, "more", make("more"), OURS)
    lab.run("status", JOB, user="operator")
    lab.run("suspend", JOB, user="operator")
    lab.run("restore", JOB, user="operator")
    lab.run("delete", JOB, "--results-too", "--yes", user="operator")


def test_the_role_suffices_and_all_of_it_is_used(lab: Lab, tmp_path: Path) -> None:
    given = role()
    granted(lab, given)
    tour(lab, tmp_path)
    # What only a change by others in between calls for: an object that is to be looked at again.
    events = [
        event
        for event in lab.control_plane.audited("operator")
        if event["objectRef"].get("namespace") == lab.namespace
    ]
    used = {(event["objectRef"]["resource"], event["verb"]) for event in events}
    refused = [event for event in events if event["responseStatus"]["code"] == 403]
    assert not refused
    assert not [event for event in events if "subresource" in event["objectRef"]]
    assert used | WITHOUT_A_RECORD == pairs(given)


def test_without_the_right_to_create_nothing_is_applied(lab: Lab, tmp_path: Path) -> None:
    given = role()
    for rule in given["rules"]:
        rule["verbs"] = [verb for verb in rule["verbs"] if verb != "create"]
    granted(lab, given)
    refused = lab.run("apply", written(tmp_path), *IMAGE, user="operator", code=3)
    assert "not allowed to patch ConfigMap" in refused.stderr
    assert "render --role" in refused.stderr
    assert not [name for name in lab.names("ConfigMap") if name.startswith(JOB)]


def test_without_rights_a_sentence_names_the_right_that_is_missing(lab: Lab) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1), OURS)
    refused = lab.run("suspend", JOB, user="nobody", code=3)
    assert "not allowed to list jobs in namespace" in refused.stderr
    assert "render --role" in refused.stderr
    assert lab.get("Deployment", "ours")["spec"]["replicas"] == 1


def test_rights_that_end_half_way_leave_what_can_be_restored(lab: Lab) -> None:
    given = role()
    for rule in given["rules"]:
        if "statefulsets" in rule["resources"]:
            rule["resources"].remove("statefulsets")
    given["rules"].append({"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["list"]})
    granted(lab, given)
    lab.make("Deployment", "ours", replicated("ours", 2), OURS)
    lab.make("StatefulSet", "ours", replicated("ours", 2) | {"serviceName": "ours"}, OURS)
    refused = lab.run("suspend", JOB, user="operator", code=3)
    assert "not allowed to patch StatefulSet 'ours'" in refused.stderr
    assert "Deployment/ours  suspend" in refused.stdout, "what was done is told"
    assert lab.get("Deployment", "ours")["spec"]["replicas"] == 0
    lab.run("restore", JOB)
    assert lab.get("Deployment", "ours")["spec"]["replicas"] == 2
