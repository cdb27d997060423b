"""What a person chooses of how a plan is run in a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from deduplab.units import GIB

RESULTS_PATH: Final = "/results"
"""Where a pod has the claim that keeps them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a plan is run in a cluster.

    Parameters
    ----------
    experiment
        Names all objects and stands in their labels.
    namespace
        Where they lie.
    image
        A container image with deduplab and the products that the plan measures.
    options
        What follows ``deduplab run PLAN``: scale, choice of systems.
    cpus, memory_bytes
        What the pod asks for, and gets no more of.
    results_bytes, workspace_bytes
        Sizes of the claims.
    results_class, workspace_class
        Their storage classes; empty takes the cluster's default.
    nodes
        Labels of the nodes that may run it, each with its value.
    secret
        The Secret that holds what plan and sinks refer to.
    mounts
        Pairs (claim, path): claims that are there and are mounted for reading.
    """

    experiment: str
    namespace: str
    image: str
    options: tuple[str, ...] = ()
    cpus: int = 2
    memory_bytes: int = 4 * GIB
    results_bytes: int = 10 * GIB
    workspace_bytes: int = 10 * GIB
    results_class: str = ""
    workspace_class: str = ""
    nodes: dict[str, str] = field(default_factory=dict)
    secret: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    create_namespace: bool = False

    def named(self, suffix: str) -> str:
        """Return the name of one of the experiment's objects."""
        return f"{self.experiment}-{suffix}"

    @property
    def secret_name(self) -> str:
        """The name of the Secret that holds what plan and sinks refer to."""
        return self.secret or self.named("secrets")


def quantity(count_bytes: int) -> str:
    """Write a number of bytes as Kubernetes does, exactly: ``4Gi``, ``1536Mi``."""
    for suffix, factor in (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024)):
        if count_bytes % factor == 0:
            return f"{count_bytes // factor}{suffix}"
    return str(count_bytes)
