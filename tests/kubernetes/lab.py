"""A namespace of the control plane, and what tests put into it, past all code that is tested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.kubernetes.control_plane import ADMIN, ControlPlane, until

Object = dict[str, Any]

EXPERIMENT: Final = "trial"
OURS: Final = {"app.kubernetes.io/managed-by": "deduplab", "deduplab/experiment": EXPERIMENT}
REMEMBERED: Final = "deduplab/suspended"
PATHS: Final = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}
_MERGE: Final = "application/merge-patch+json"
_VERSIONS: Final = {"apps": "apps/v1", "batch": "batch/v1", "autoscaling": "autoscaling/v2"}


class Lab:
    """One namespace.

    Parameters
    ----------
    control_plane
        It lies there.
    namespace
        Its name.
    directory
        For kubeconfigs.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str, directory: Path) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self._directory = directory

    def make(self, kind: str, name: str, spec: Object, labels: Object | None = None) -> Object:
        """Create an object; return it as the server has it."""
        path = PATHS[kind].format(self.namespace)
        group = path.split("/")[2]
        metadata = {"name": name, "labels": OURS if labels is None else labels}
        body = {"apiVersion": _VERSIONS.get(group, "v1"), "kind": kind, "metadata": metadata}
        made: Object = self.control_plane.request("POST", path, body | {"spec": spec})
        return made

    def create(self, body: Object) -> Object:
        """Create an object from a whole manifest."""
        path = PATHS[body["kind"]].format(self.namespace)
        made: Object = self.control_plane.request("POST", path, body)
        return made

    def get(self, kind: str, name: str) -> Object:
        """Return an object as it is."""
        path = f"{PATHS[kind].format(self.namespace)}/{name}"
        found: Object = self.control_plane.request("GET", path)
        return found

    def spec(self, kind: str, name: str) -> Any:
        """Return what an object is to be."""
        return self.get(kind, name)["spec"]

    def memory(self, kind: str, name: str) -> str | None:
        """Return the annotation by which an object remembers what it was."""
        found: str | None = (self.get(kind, name)["metadata"].get("annotations") or {}).get(
            REMEMBERED
        )
        return found

    def listed(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        path = PATHS[kind].format(self.namespace)
        found: list[Object] = self.control_plane.request("GET", path)["items"]
        return found

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind."""
        return sorted(one["metadata"]["name"] for one in self.listed(kind))

    def patch(self, kind: str, name: str, patch: Object, part: str = "") -> Object:
        """Change an object, or its status."""
        path = f"{PATHS[kind].format(self.namespace)}/{name}{part}"
        changed: Object = self.control_plane.request("PATCH", path, patch, _MERGE)
        return changed

    def remove(self, kind: str, name: str) -> None:
        """Delete an object."""
        path = f"{PATHS[kind].format(self.namespace)}/{name}"
        self.control_plane.request("DELETE", path)

    def pods_of(self, name: str) -> list[str]:
        """Return the names of the pods whose label ``app`` is this, those that end included."""
        pods = self.listed("Pod")
        labelled = [pod for pod in pods if pod["metadata"]["labels"].get("app") == name]
        return sorted(pod["metadata"]["name"] for pod in labelled)

    def wait_for_pods(self, name: str, count: int) -> None:
        """Wait until there are that many."""
        until(lambda: len(self.pods_of(name)) == count, f"{count} pods of {name}")

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return a kubeconfig of a user for this namespace."""
        path = self._directory / f"{user}.kubeconfig"
        return self.control_plane.kubeconfig(user, path, self.namespace)

    def command(self, *arguments: str | Path, user: str = ADMIN) -> list[str]:
        """Return a command line of deduplab for this namespace, as a user."""
        words = [sys.executable, "-m", "deduplab", "ops", "kubernetes", *map(str, arguments)]
        return [*words, "--kubeconfig", str(self.kubeconfig(user))]

    def run(
        self, *arguments: str | Path, user: str = ADMIN, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and look at its exit code."""
        done = subprocess.run(
            self.command(*arguments, user=user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done


def template(name: str, **spec: Any) -> Object:
    """Return the template of a pod."""
    pod = {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 0}
    return {"metadata": {"labels": {"app": name}}, "spec": pod | spec}


def replicated(name: str, replicas: int) -> Object:
    """Return what a Deployment or a StatefulSet is to be."""
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": template(name),
    }


def on_nodes(name: str) -> Object:
    """Return what a DaemonSet is to be."""
    return {"selector": {"matchLabels": {"app": name}}, "template": template(name)}


def batch(name: str) -> Object:
    """Return what a Job is to be."""
    return {"template": template(name, restartPolicy="Never")}


def scheduled(name: str) -> Object:
    """Return what a CronJob is to be."""
    return {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": batch(name)}}


Make = Callable[[str], Object]
KINDS: Final[dict[str, tuple[Make, int]]] = {
    "Deployment": (lambda name: replicated(name, 3), 3),
    "StatefulSet": (lambda name: replicated(name, 2) | {"serviceName": name}, 2),
    "DaemonSet": (on_nodes, 2),
    "Job": (batch, 1),
    "CronJob": (scheduled, 0),
}
"""How each kind of workload is made, and how many pods it has then."""
