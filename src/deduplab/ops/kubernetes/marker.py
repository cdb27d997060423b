"""The marker of our objects: labels that say whose they are, and of which experiment.

Only what bears it is ever changed or deleted. Objects are found by the label of
their experiment, and each is looked at again before it is touched.
"""

from __future__ import annotations

import re
from typing import Final

from deduplab.errors import PlanError
from deduplab.ops.kubernetes.kinds import Object

OWNER: Final = "deduplab"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
COMPONENT: Final = "app.kubernetes.io/component"
EXPERIMENT: Final = "deduplab/experiment"
SUSPENDED: Final = "deduplab/suspended"
"""The annotation that remembers what a suspended object was."""

_MOST_LETTERS: Final = 40  # suffixes are put behind it, and a Job's name ends at 63


def labels(experiment: str, component: str = "") -> dict[str, str]:
    """Return the labels that every object of an experiment bears."""
    found = {MANAGED_BY: OWNER, PART_OF: OWNER, EXPERIMENT: experiment}
    return found | {COMPONENT: component} if component else found


def selector(experiment: str) -> str:
    """Return the selector of all that claims to belong to an experiment."""
    return f"{EXPERIMENT}={experiment}"


def why_not_ours(found: Object, experiment: str) -> str:
    """Return why an object is not to be touched; empty if it bears our marker."""
    borne = found["metadata"].get("labels") or {}
    for label, wanted in ((EXPERIMENT, experiment), (MANAGED_BY, OWNER)):
        if label not in borne:
            return f"it lacks the label {label}={wanted}"
        if borne[label] != wanted:
            return f"its label {label} is {borne[label]!r}, not {wanted!r}"
    return ""


def checked_experiment(name: str) -> str:
    """Return a name that is fit for labels and objects.

    Raises
    ------
    PlanError
        If it is not.
    """
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name) > _MOST_LETTERS:
        raise PlanError(
            f"{name!r} is no name of an experiment: at most {_MOST_LETTERS} of a-z, 0-9 and -, "
            "a letter first and no - last"
        )
    return name


def experiment_of_plan(plan_name: str) -> str:
    """Return the experiment's name that follows from that of a plan, which may hold ``_``."""
    return checked_experiment(plan_name.replace("_", "-").rstrip("-")[:_MOST_LETTERS].rstrip("-"))
