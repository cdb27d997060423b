"""What is to become of one workload: decided from what it is, without asking anybody.

A decision is one patch, in which the change and the memory of what was before go
together, bound to the version of the object that was looked at: the server
refuses it if anything was changed since. So there is no moment at which a number
is lost, and whoever does it again does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from deduplab.ops.kubernetes.kinds import Object
from deduplab.ops.kubernetes.marker import SUSPENDED
from deduplab.ops.kubernetes.remembered import Remembered, Unreadable, now, remembered
from deduplab.ops.kubernetes.workloads import Workload

NOTHING = "nothing"
SUSPEND = "suspend"
RESTORE = "restore"
LEAVE = "leave alone"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with a workload, and why.

    Parameters
    ----------
    action
        ``suspend``, ``restore``, ``nothing`` or ``leave alone``.
    before, after
        What it is, and what it will be, in words.
    note
        What a person should know besides; empty if nothing.
    patch
        A merge patch; None where nothing is to be changed.
    """

    action: str
    before: str
    after: str
    note: str = ""
    patch: Object | None = None


def to_suspend(workload: Workload, found: Object) -> Decision:
    """Decide how a workload is suspended; what it remembers already stays as it is."""
    before = workload.words(workload.state(found))
    try:
        earlier = remembered(found)
    except Unreadable as error:
        return _left_alone(before, error)
    if workload.is_finished(found):
        return Decision(NOTHING, "finished", "finished")
    if earlier is None:
        memory = Remembered(now(), workload.state(found))
        patch = _patch(found, workload.down(), memory.written())
        note = "" if not workload.is_down(found) else "it was down before, and stays so"
        return Decision(SUSPEND, before, "suspended", note, patch)
    if workload.is_down(found):
        return Decision(NOTHING, "suspended", "suspended", f"since {earlier.since}")
    note = (
        f"somebody had it at {before} again since {earlier.since}; "
        f"what is remembered stays: {workload.words(earlier.state)}"
    )
    patch = _patch(found, workload.down(), earlier.written())
    return Decision(SUSPEND, before, "suspended", note, patch)


def to_restore(workload: Workload, found: Object) -> Decision:
    """Decide how a workload gets back to what it remembers; one that does not stays as it is."""
    before = workload.words(workload.state(found))
    try:
        memory = remembered(found)
        if memory is None:
            before = "finished" if workload.is_finished(found) else before
            return Decision(NOTHING, before, before, "it is not suspended")
        spec = workload.up(memory.state)
    except Unreadable as error:
        return _left_alone(before, error)
    after = workload.words(memory.state)
    note = ""
    if not workload.is_down(found):
        note = f"somebody had it at {before} meanwhile"
    return Decision(RESTORE, "suspended", after, note, _patch(found, spec, None))


def _patch(found: Object, spec: Object, memory: str | None) -> Object:
    version = found["metadata"]["resourceVersion"]
    metadata = {"resourceVersion": version, "annotations": {SUSPENDED: memory}}
    return {"metadata": metadata, "spec": spec}


def _left_alone(before: str, error: Unreadable) -> Decision:
    return Decision(LEAVE, before, before, f"{error}; mend or remove that annotation by hand")
