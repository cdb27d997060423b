"""How the objects of an experiment are."""

from __future__ import annotations

from typing import Any

from deduplab.ops.kubernetes.experiment import Experiment, Member
from deduplab.ops.kubernetes.kinds import CLAIM, Kind, Object, name_of
from deduplab.ops.kubernetes.marker import COMPONENT
from deduplab.ops.kubernetes.remembered import Unreadable, remembered

Row = dict[str, Any]


def rows(experiment: Experiment, remarks: dict[str, str]) -> list[Row]:
    """Return a row an object: workloads first, then what holds something.

    The keys are always the same; what an object does not have is None.
    """
    found = [_of_workload(member, remarks.get(str(member), "")) for member in experiment.members]
    return found + [_of_kept(kind, one) for kind, one in experiment.kept]


def _of_workload(member: Member, remark: str) -> Row:
    workload, found = member.workload, member.found
    wanted, ready = workload.wanted_and_ready(found)
    notes = [remark] if remark else []
    memory = None
    try:
        memory = remembered(found)
        words = workload.words(memory.state) if memory and workload.up(memory.state) else None
    except Unreadable as error:
        words, notes = None, [*notes, str(error)]
    down = workload.is_down(found)
    if memory and not down:
        notes.append(f"somebody had it at {workload.words(workload.state(found))} meanwhile")
    if workload.is_finished(found):
        status = "finished"
    elif down:
        status = "suspended" if memory else "down"
    else:
        status = "up" if ready >= wanted else "not ready"
    return _row(
        workload.kind, found, status, wanted, ready, memory.since if memory else None, words, notes
    )


def _of_kept(kind: Kind, found: Object) -> Row:
    status = str((found.get("status") or {}).get("phase", "")).lower() if kind is CLAIM else "kept"
    return _row(kind, found, status)


def _row(
    kind: Kind,
    found: Object,
    status: str,
    wanted: int | None = None,
    ready: int | None = None,
    since: str | None = None,
    words: str | None = None,
    notes: list[str] | None = None,
) -> Row:
    return {
        "kind": kind.name,
        "name": name_of(found),
        "component": (found["metadata"].get("labels") or {}).get(COMPONENT),
        "status": status,
        "wanted": wanted,
        "ready": ready,
        "suspended_since": since,
        "remembered": words,
        "note": "; ".join(notes or ()),
    }
