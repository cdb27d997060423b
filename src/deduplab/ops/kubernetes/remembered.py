"""What is remembered of a suspended object: an annotation on it, written in the same patch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from deduplab.ops.kubernetes.kinds import Object
from deduplab.ops.kubernetes.marker import SUSPENDED


class Unreadable(ValueError):
    """The annotation is there, and was not written by us."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an object was before it was suspended.

    Parameters
    ----------
    since
        When it was suspended: UTC, ISO 8601.
    state
        ``replicas`` or ``suspend`` as they stood in its specification; nothing for a
        DaemonSet, which has neither.
    """

    since: str
    state: dict[str, int | bool]

    def written(self) -> str:
        """Return the annotation's value."""
        return json.dumps({"since": self.since, **self.state})


def now() -> str:
    """Return the time as it is remembered."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def remembered(found: Object) -> Remembered | None:
    """Return what an object remembers; None if it is not suspended.

    Raises
    ------
    Unreadable
        If its annotation is not one of ours.
    """
    text = (found["metadata"].get("annotations") or {}).get(SUSPENDED)
    if text is None:
        return None
    try:
        state = json.loads(text)
        since = state.pop("since")
        datetime.fromisoformat(since)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unreadable(f"its annotation {SUSPENDED} can't be read: {text!r}") from error
    return Remembered(since, state)
