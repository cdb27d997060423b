"""A file of text in a cluster: a ConfigMap that can't be changed, named by what it holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from deduplab.ops.kubernetes.kinds import CONFIG_MAP, Object
from deduplab.ops.kubernetes.manifests.settings import Settings
from deduplab.ops.kubernetes.marker import labels


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that the pod reads.

    Parameters
    ----------
    component
        What it is of the experiment, as its label says; also the name of its volume.
    directory
        Where it is mounted, alone.
    file
        Its name there.
    text
        What it holds.
    """

    component: str
    directory: str
    file: str
    text: str

    @property
    def path(self) -> str:
        """Where the pod finds it."""
        return f"{self.directory}/{self.file}"

    def name(self, settings: Settings) -> str:
        """Return the ConfigMap's name. Another text is another object.

        So a pod that goes on with a run never finds another file than it began with.
        """
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return settings.named(f"{self.component}-{digest}")

    def config_map(self, settings: Settings) -> Object:
        """Return the manifest."""
        return {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.name,
            "metadata": {
                "name": self.name(settings),
                "namespace": settings.namespace,
                "labels": labels(settings.experiment, self.component),
            },
            "immutable": True,
            "data": {self.file: self.text},
        }

    def mount(self) -> Object:
        """Return what a container says to have it."""
        return {"name": self.component, "mountPath": self.directory, "readOnly": True}

    def volume(self, settings: Settings) -> Object:
        """Return what a pod says to have it."""
        return {"name": self.component, "configMap": {"name": self.name(settings)}}
