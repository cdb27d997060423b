"""What processes caused to be written to storage, as the kernel counts it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class StorageIo(NamedTuple):
    """What one process has caused since it began."""

    read_bytes: int
    written_bytes: int


def storage_io(process_id: int) -> StorageIo:
    """Return what a process caused to be read from and written to storage.

    What was written to a file that was deleted before it reached storage is no traffic.

    Raises
    ------
    OSError
        If the kernel does not tell, or the process has ended.
    """
    text = Path(f"/proc/{process_id}/io").read_text()
    fields = dict(line.split(": ") for line in text.splitlines())
    written_bytes = int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])
    return StorageIo(int(fields["read_bytes"]), written_bytes)


def storage_write_bytes(process_ids: Iterable[int]) -> int | None:
    """Return the bytes that these processes caused to be written to the storage layer.

    This is ``write_bytes`` less ``cancelled_write_bytes`` of ``/proc/PID/io``
    (proc(5)): counted when a page becomes dirty, so a page rewritten in the
    cache before it reaches the device counts once. A child that ended and was
    waited for is contained in its parent's number. None where the kernel does
    not tell, a process ended meanwhile, or there is no process to look at.
    """
    process_ids = tuple(process_ids)
    if not process_ids:
        return None
    try:
        return sum(storage_io(process_id).written_bytes for process_id in process_ids)
    except OSError:
        return None
