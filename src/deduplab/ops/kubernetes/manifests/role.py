"""The least rights that the commands need in a namespace, as a Role.

A Role can't say "only what bears our label": that is what the commands themselves see to.
"""

from __future__ import annotations

from typing import Final

from deduplab.ops.kubernetes.kinds import (
    AUTOSCALER,
    CLAIM,
    CONFIG_MAP,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD,
    REPLICA_SET,
    ROLE,
    STATEFUL_SET,
    Kind,
    Object,
)
from deduplab.ops.kubernetes.marker import MANAGED_BY, OWNER, PART_OF

NAME: Final = "deduplab-operator"

_LOOK: Final = ("list",)
_OPERATE: Final = ("get", "list", "patch", "delete")
_MAKE: Final = ("create", "get", "list", "patch", "delete")

RULES: Final[tuple[tuple[tuple[Kind, ...], tuple[str, ...]], ...]] = (
    ((CONFIG_MAP, CLAIM), _MAKE),
    ((JOB,), _MAKE),
    ((CRON_JOB,), _OPERATE),
    ((DEPLOYMENT, STATEFUL_SET, DAEMON_SET), _OPERATE),
    ((REPLICA_SET,), _LOOK),
    ((POD,), _LOOK),
    ((AUTOSCALER,), _LOOK),
)
"""Kinds of one API group each, and the verbs on them."""


def role() -> Object:
    """Return the manifest of the Role; it holds in the namespace that it is applied to."""
    return {
        "apiVersion": ROLE.api_version,
        "kind": ROLE.name,
        "metadata": {
            "name": NAME,
            "labels": {MANAGED_BY: OWNER, PART_OF: OWNER},
        },
        "rules": [
            {
                "apiGroups": [kinds[0].group],
                "resources": [kind.plural for kind in kinds],
                "verbs": list(verbs),
            }
            for kinds, verbs in RULES
        ],
    }
