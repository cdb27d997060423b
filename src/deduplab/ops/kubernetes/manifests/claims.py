"""The two claims of an experiment: results, which stay, and the workspace, which is measured."""

from __future__ import annotations

from typing import Final

from deduplab.ops.kubernetes.kinds import CLAIM, Object
from deduplab.ops.kubernetes.manifests.settings import Settings, quantity
from deduplab.ops.kubernetes.marker import labels

RESULTS: Final = "results"
WORKSPACE: Final = "workspace"


def claims(settings: Settings) -> list[Object]:
    """Return the manifests of both."""
    return [
        _claim(settings, RESULTS, settings.results_bytes, settings.results_class),
        _claim(settings, WORKSPACE, settings.workspace_bytes, settings.workspace_class),
    ]


def _claim(settings: Settings, component: str, size_bytes: int, storage_class: str) -> Object:
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": quantity(size_bytes)}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": CLAIM.api_version,
        "kind": CLAIM.name,
        "metadata": {
            "name": settings.named(component),
            "namespace": settings.namespace,
            "labels": labels(settings.experiment, component),
        },
        "spec": spec,
    }
