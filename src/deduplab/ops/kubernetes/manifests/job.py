"""The Job that runs a plan, such that a pod that is killed is gone on with.

What each choice is for:

- The same command goes on with a run (the committed cell is the checkpoint), and
  ``--once`` never begins a second one: a Job may start its pod again although the
  first one had finished.
- A pod that was killed is replaced only once it is gone (``podReplacementPolicy``), so
  two never measure at a time. Evictions and drained nodes don't count as failures.
- Exit codes by which deduplab says that the same again would end the same fail the Job at once.
- Requests equal limits (the quality of service "Guaranteed"): with whole CPUs and the
  kubelet's static CPU manager they are the pod's alone.
- The pod's processes share one process namespace, whose first process is not ours:
  children that lost their parent are told apart from those of process 1, and reaped.

Source: Kubernetes' documentation of Jobs, "Pod failure policy", "Pod replacement policy".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deduplab.errors import PlanError
from deduplab.ops.kubernetes.kinds import JOB, Object
from deduplab.ops.kubernetes.manifests.claims import RESULTS, WORKSPACE
from deduplab.ops.kubernetes.manifests.references import References
from deduplab.ops.kubernetes.manifests.settings import RESULTS_PATH, Settings, quantity
from deduplab.ops.kubernetes.manifests.sinks import Sinks
from deduplab.ops.kubernetes.manifests.text_file import TextFile
from deduplab.ops.kubernetes.marker import labels

COMPONENT: Final = "measurement"
CONTAINER: Final = "deduplab"
ACCOUNT_ID: Final = 10001
"""The number of the account in the container, and of the group that owns its volumes."""

WORTH_ANOTHER_TRY: Final = (3, 130, 137, 143)
"""Exit codes after which the same command may end otherwise.

A system was not available; interrupted; killed (SIGKILL); terminated (SIGTERM).
"""

_WORKSPACE_PATH: Final = "/workspace"
_PORT_NAME: Final = "metrics"
_MOST_FAILURES: Final = 6
_ENDING_S: Final = 120  # the cell in hand is given up, and its servers are stopped in order


def job(settings: Settings, plan: TextFile, sinks: Sinks | None, references: References) -> Object:
    """Return the manifest of the Job."""
    marks = labels(settings.experiment, COMPONENT)
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.name,
        "metadata": {
            "name": settings.experiment,
            "namespace": settings.namespace,
            "labels": marks,
        },
        "spec": {
            "backoffLimit": _MOST_FAILURES,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {
                "metadata": {"labels": marks},
                "spec": _pod(settings, plan, sinks, references),
            },
        },
    }


def _failure_rules() -> list[Object]:
    """Return what becomes of the Job when its pod fails; the first rule that fits holds."""
    codes = {
        "containerName": CONTAINER,
        "operator": "NotIn",
        "values": list(WORTH_ANOTHER_TRY),
    }
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return [
        {"action": "Ignore", "onPodConditions": [disrupted]},
        {"action": "FailJob", "onExitCodes": codes},
    ]


def _pod(settings: Settings, plan: TextFile, sinks: Sinks | None, references: References) -> Object:
    files = [plan, *([sinks.file] if sinks else [])]
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _ENDING_S,
        "shareProcessNamespace": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ACCOUNT_ID,
            "runAsGroup": ACCOUNT_ID,
            "fsGroup": ACCOUNT_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings, plan, sinks, references)],
        "volumes": _volumes(settings, files, references),
    }
    if settings.nodes:
        pod["nodeSelector"] = dict(settings.nodes)
    return pod


def _container(
    settings: Settings, plan: TextFile, sinks: Sinks | None, references: References
) -> Object:
    resources = {"cpu": str(settings.cpus), "memory": quantity(settings.memory_bytes)}
    workspace = f"{_WORKSPACE_PATH}/deduplab"  # one of its own, since the mount is root's
    args = [*settings.options, "--runs", RESULTS_PATH, "--workspace", workspace]
    files = [plan]
    ports: Object = {}
    if sinks:
        args += ["--sinks", sinks.file.path]
        files.append(sinks.file)
        if sinks.port is not None:
            ports = {"ports": [{"name": _PORT_NAME, "containerPort": sinks.port}]}
    return {
        "name": CONTAINER,
        "image": settings.image,
        "command": ["deduplab", "run", plan.path, "--once"],
        "args": args,
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a volume of the pod
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            *(_variable(settings, name) for name in references.variables),
        ],
        "resources": {"requests": dict(resources), "limits": dict(resources)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(settings, files, references),
        **ports,
    }


def _variable(settings: Settings, name: str) -> Object:
    reference = {"name": settings.secret_name, "key": name}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _mounts(settings: Settings, files: Sequence[TextFile], references: References) -> list[Object]:
    mounts: list[Object] = [
        *(one.mount() for one in files),
        {"name": RESULTS, "mountPath": RESULTS_PATH},
        {"name": WORKSPACE, "mountPath": _WORKSPACE_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the same
    ]
    for path, key in references.files.items():
        mount = {"name": "secrets", "mountPath": path, "subPath": key, "readOnly": True}
        mounts.append(mount)
    for number, (_, path) in enumerate(settings.mounts):
        if any(path.rstrip("/") == one["mountPath"].rstrip("/") for one in mounts):
            raise PlanError(f"--mount: something else is mounted at {path} in the pod already")
        mounts.append({"name": f"data-{number}", "mountPath": path, "readOnly": True})
    return mounts


def _volumes(settings: Settings, files: Sequence[TextFile], references: References) -> list[Object]:
    volumes: list[Object] = [
        *(one.volume(settings) for one in files),
        _claimed(RESULTS, settings.named(RESULTS)),
        _claimed(WORKSPACE, settings.named(WORKSPACE)),
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},  # counts as the pod's memory
    ]
    if references.files:
        items = [{"key": key, "path": key} for key in references.files.values()]
        secret: dict[str, Any] = {
            "secretName": settings.secret_name,
            "defaultMode": 0o440,
            "items": items,
        }
        volumes.append({"name": "secrets", "secret": secret})
    for number, (claim, _) in enumerate(settings.mounts):
        volumes.append(_claimed(f"data-{number}", claim))
    return volumes


def _claimed(name: str, claim: str) -> Object:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}
