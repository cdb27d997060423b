"""Direct reads: a volume's blocks come from the disk, past the page cache of the file system below.

A volume's image is a file, too, and what a loop device reads of it stays in the page cache below
even when the volume's own was dropped. A loop device can be told to go past it (loop(4),
``LOOP_SET_DIRECT_IO``).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deduplab.errors import Unsupported
from deduplab.volumes.mounting import mounted_device

_LOOP_SET_DIRECT_IO: Final = 0x4C08


@contextmanager
def direct_reads(directory: Path) -> Iterator[None]:
    """Have the volume that is mounted at a directory read from the disk, until the end.

    Raises
    ------
    Unsupported
        If the file system below does not take direct I/O.
    """
    device = mounted_device(directory)
    descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        _set(descriptor, device, on=True)
        try:
            yield
        finally:
            _set(descriptor, device, on=False)
    finally:
        os.close(descriptor)


def _set(descriptor: int, device: Path, *, on: bool) -> None:
    try:
        fcntl.ioctl(descriptor, _LOOP_SET_DIRECT_IO, int(on))
    except OSError as error:
        reason = str(error)
    else:
        reason = "the kernel left it as it was"
    if Path("/sys/block", device.name, "loop/dio").read_text().strip() != str(int(on)):
        raise Unsupported(
            "the volume can't be read past the page cache of the file system below, which holds "
            f"its image: direct I/O was refused ({reason}); name another disk with --workspace"
        )
