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
        If the keeper does not end, even when it is killed.
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
            f"the keeper of {instance.system} does not end though it was killed; "
            f"see which process holds {instance.owner_file}, as by fuser"
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
    """Send the keeper a signal and wait for its end; tell whether it came."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        # In its first moment it has not written down yet who it is.
        record = record or instance.record()
        if record is None:
            if not instance.is_held():
                return True
        elif not record.keeper.lives():
            return True
        else:
            record.keeper.send(signal_number)
        time.sleep(_POLL_S)
    return False
