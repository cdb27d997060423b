"""How each kind of workload is suspended, restored and counted.

=============  ======================================================================
Deployment,    ``spec.replicas`` 0
StatefulSet
Job, CronJob   ``spec.suspend`` true; a Job's pods are ended, a CronJob's Jobs are not
DaemonSet      it has no number of replicas, so its pods are asked for on nodes with a
               label that none has; that one key is all that changes
=============  ======================================================================

Source: Kubernetes' API reference, apps/v1 and batch/v1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from deduplab.ops.kubernetes.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    STATEFUL_SET,
    Kind,
    Object,
)
from deduplab.ops.kubernetes.remembered import Unreadable

NOWHERE: Final = "deduplab/nowhere"
"""A label of nodes that none has."""

State = dict[str, int | bool]


class Workload(ABC):
    """One kind of workload."""

    measures = False
    """Whether it uses systems rather than being one: such are suspended first, restored last."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @abstractmethod
    def is_down(self, found: Object) -> bool:
        """Whether its specification asks for no pods."""

    @abstractmethod
    def state(self, found: Object) -> State:
        """Return what has to be remembered to bring it back exactly."""

    @abstractmethod
    def down(self) -> Object:
        """Return the part of a merge patch on ``spec`` that suspends it."""

    @abstractmethod
    def up(self, state: State) -> Object:
        """Return the part of a merge patch on ``spec`` that restores it.

        Raises
        ------
        Unreadable
            If the state is none of this kind.
        """

    @abstractmethod
    def wanted_and_ready(self, found: Object) -> tuple[int, int]:
        """Return how many pods it asks for, and how many of them are ready."""

    @abstractmethod
    def words(self, state: State) -> str:
        """Put a state into words, as ``3 replicas``."""

    def is_finished(self, found: Object) -> bool:
        """Whether there is nothing left of it to suspend."""
        return False

    def has_pods(self) -> bool:
        """Whether pods are its own."""
        return True

    def is_seen(self, found: Object) -> bool:
        """Whether its controller has looked at it since it was last changed."""
        seen: int = _status(found).get("observedGeneration", 0)
        return seen >= int(found["metadata"]["generation"])


class _Replicated(Workload):
    """A Deployment or a StatefulSet."""

    def is_down(self, found: Object) -> bool:
        return _replicas(found) == 0

    def state(self, found: Object) -> State:
        return {"replicas": _replicas(found)}

    def down(self) -> Object:
        return {"replicas": 0}

    def up(self, state: State) -> Object:
        number = state.get("replicas")
        if set(state) != {"replicas"} or type(number) is not int or number < 0:
            raise Unreadable(f"it remembers {state}, which is no number of replicas")
        return {"replicas": number}

    def wanted_and_ready(self, found: Object) -> tuple[int, int]:
        ready = _status(found).get("readyReplicas", 0)
        return _replicas(found), ready if self.is_seen(found) else 0

    def words(self, state: State) -> str:
        return f"{state['replicas']} replica{'' if state['replicas'] == 1 else 's'}"


class _Switched(Workload):
    """What has a switch."""

    measures = True

    def is_down(self, found: Object) -> bool:
        return bool(found["spec"].get("suspend"))

    def state(self, found: Object) -> State:
        return {"suspend": self.is_down(found)}

    def down(self) -> Object:
        return {"suspend": True}

    def up(self, state: State) -> Object:
        if set(state) != {"suspend"} or not isinstance(state["suspend"], bool):
            raise Unreadable(f"it remembers {state}, which is neither suspended nor not")
        return {"suspend": state["suspend"]}

    def words(self, state: State) -> str:
        return "suspended" if state["suspend"] else "active"


class _Batch(_Switched):
    """A Job."""

    def is_finished(self, found: Object) -> bool:
        return bool(_conditions(found) & {"Complete", "Failed"})

    def is_seen(self, found: Object) -> bool:
        return "Suspended" in _conditions(found) or self.is_finished(found)

    def wanted_and_ready(self, found: Object) -> tuple[int, int]:
        wanted = 0 if self.is_down(found) or self.is_finished(found) else 1
        return wanted * int(found["spec"].get("parallelism", 1)), _status(found).get("ready", 0)


class _Scheduled(_Switched):
    """A CronJob; the Jobs that it made are workloads of their own."""

    def has_pods(self) -> bool:
        return False

    def is_seen(self, found: Object) -> bool:
        return True  # it tells of no generation

    def wanted_and_ready(self, found: Object) -> tuple[int, int]:
        return 0, len(_status(found).get("active") or ())


class _OnNodes(Workload):
    """A DaemonSet."""

    def is_down(self, found: Object) -> bool:
        return NOWHERE in (found["spec"]["template"]["spec"].get("nodeSelector") or {})

    def state(self, found: Object) -> State:
        return {}

    def down(self) -> Object:
        return _on_nodes_with("true")

    def up(self, state: State) -> Object:
        if state:
            raise Unreadable(f"it remembers {state}, and there is nothing to remember")
        return _on_nodes_with(None)

    def wanted_and_ready(self, found: Object) -> tuple[int, int]:
        status = _status(found)
        ready = status.get("numberReady", 0) if self.is_seen(found) else 0
        return status.get("desiredNumberScheduled", 0), ready

    def words(self, state: State) -> str:
        return "on its nodes"


WORKLOADS: Final[tuple[Workload, ...]] = (
    _Batch(JOB),
    _Scheduled(CRON_JOB),
    _OnNodes(DAEMON_SET),
    _Replicated(DEPLOYMENT),
    _Replicated(STATEFUL_SET),
)
"""All kinds, in the order in which they are suspended."""


def _replicas(found: Object) -> int:
    return int(found["spec"].get("replicas", 1))


def _on_nodes_with(value: str | None) -> Object:
    return {"template": {"spec": {"nodeSelector": {NOWHERE: value}}}}


def _status(found: Object) -> dict[str, Any]:
    status: dict[str, Any] = found.get("status") or {}
    return status


def _conditions(found: Object) -> set[str]:
    held = _status(found).get("conditions") or ()
    return {condition["type"] for condition in held if condition["status"] == "True"}
