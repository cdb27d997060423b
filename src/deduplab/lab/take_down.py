"""An instance is taken down: keeper and server end in order, and its data is removed."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.lab.instance import Instance, Record, Status
from deduplab.lab.place import Lab

ORDER_DEADLINE_S: Final = 90.0
"""How long a server may take to end in order."""

_FORCE_DEADLINE_S: Final = 30.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class TakenDown:
    """What was taken down.

    Attributes
    ----------
    status
        How it was doing before.
    by_force
        Whether it did not end in order by the deadline.
    processes_ended
        Processes that had outlived their keeper.
    removed_bytes
        What its data took on the disk; None if that was not known.
    """

    status: Status
    by_force: bool
    processes_ended: int
    removed_bytes: int | None


def take_down(lab: Lab, instance: Instance) -> TakenDown | None:
    """End the keeper and its server, and remove the instance; None if there is none.

    Raises
    ------
    SystemUnavailable
        If even a killed keeper does not let go of it.
    StoreError
        If something can't be read or removed.
    """
    status = instance.status()
    if status is None:
        return None
    record = instance.record()
    removed_bytes = instance.allocated_bytes(record) if record else None
    by_force = not _ended(instance, record, signal.SIGTERM, ORDER_DEADLINE_S)
    if by_force and not _ended(instance, record, signal.SIGKILL, _FORCE_DEADLINE_S):
        raise SystemUnavailable(
            f"{instance.system} is still held by a process, though its keeper "
            f"{record.keeper.pid if record else ''} was killed; see: fuser {instance.owner_file}"
        )
    ended = 0
    with lab.changing():
        left = instance.is_ours() and not instance.is_held()
        # Another command may have brought up a new one in the meantime.
        if left and _keeper_of(instance.record()) == _keeper_of(record):
            ended = lab.clean(instance)
        lab.tidy()
    return TakenDown(status, by_force, ended, removed_bytes)


def _keeper_of(record: Record | None) -> object:
    return record.keeper if record else None


def _ended(
    instance: Instance, record: Record | None, signal_number: signal.Signals, deadline_s: float
) -> bool:
    """Send the keeper a signal and wait until it has let go; tell whether it did."""
    end = time.monotonic() + deadline_s
    while instance.is_held():
        # In its first moment it has not written down yet who it is.
        record = record or instance.record()
        if record is not None:
            if not record.keeper.lives() and _keeper_of(instance.record()) != record.keeper:
                return True  # that one is gone, and another has taken its place
            record.keeper.send(signal_number)
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_S)
    return True
