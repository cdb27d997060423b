"""The kinds of objects that are listed, written or looked at, and where their API has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Object = dict[str, Any]
"""An object of the cluster as its JSON has it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Parameters
    ----------
    name, api_version
        As they stand in a manifest.
    plural
        As it stands in a path and in a Role.
    namespaced
        Whether its objects lie in a namespace.
    """

    name: str
    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, as a Role names it; empty for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of all objects, or of one."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        place = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{place}/{self.plural}" + (f"/{name}" if name else "")


NAMESPACE: Final = Kind("Namespace", "v1", "namespaces", namespaced=False)
CONFIG_MAP: Final = Kind("ConfigMap", "v1", "configmaps")
CLAIM: Final = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
POD: Final = Kind("Pod", "v1", "pods")
DEPLOYMENT: Final = Kind("Deployment", "apps/v1", "deployments")
STATEFUL_SET: Final = Kind("StatefulSet", "apps/v1", "statefulsets")
DAEMON_SET: Final = Kind("DaemonSet", "apps/v1", "daemonsets")
REPLICA_SET: Final = Kind("ReplicaSet", "apps/v1", "replicasets")
JOB: Final = Kind("Job", "batch/v1", "jobs")
CRON_JOB: Final = Kind("CronJob", "batch/v1", "cronjobs")
AUTOSCALER: Final = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
ROLE: Final = Kind("Role", "rbac.authorization.k8s.io/v1", "roles")

_ALL: Final = (
    *(NAMESPACE, CONFIG_MAP, CLAIM, POD, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET),
    *(JOB, CRON_JOB, AUTOSCALER, ROLE),
)


def kind_of(found: Object) -> Kind:
    """Return the kind of a manifest of ours."""
    return next(kind for kind in _ALL if kind.name == found["kind"])


def name_of(found: Object) -> str:
    """Return an object's name."""
    return str(found["metadata"]["name"])


def shown(kind: Kind, name: str) -> str:
    """Name an object for people, as ``Job/quick``."""
    return f"{kind.name}/{name}"
