"""What processes caused to be written to storage, as the kernel counts it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def storage_write_bytes(process_ids: Iterable[int]) -> int | None:
    """Return the bytes that these processes caused to be written to the storage layer.

    This is ``write_bytes`` less ``cancelled_write_bytes`` of ``/proc/PID/io``
    (proc(5)): counted when a page becomes dirty, so a page rewritten in the
    cache before it reaches the device counts once. A child that ended and was
    waited for is contained in its parent's number. None where the kernel does
    not tell, a process ended meanwhile, or there is no process to look at.
    """
    total_bytes = 0
    process_ids = tuple(process_ids)
    if not process_ids:
        return None
    for process_id in process_ids:
        try:
            text = Path(f"/proc/{process_id}/io").read_text()
        except OSError:
            return None
        fields = dict(line.split(": ") for line in text.splitlines())
        total_bytes += int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])
    return total_bytes
