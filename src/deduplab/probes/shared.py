"""The FILES layer by its third ruler: what lies in extents that the file system marks as shared.

Source: the kernel's <linux/fiemap.h> and Documentation/filesystems/fiemap.rst.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deduplab.errors import ProbeError
from deduplab.hard_links import HardLinks
from deduplab.model import Layer, Reading, Ruler

_FS_IOC_FIEMAP: Final = 0xC020660B
# start, length, flags, mapped extents, extent slots, reserved
_HEAD: Final = struct.Struct("=QQIIII")
# logical, physical, length, 2 reserved, flags, 3 reserved
_EXTENT: Final = struct.Struct("=QQQQQIIII")
_SLOTS: Final = 512
_ALL: Final = 0xFFFFFFFFFFFFFFFF
_FLAG_SYNC: Final = 0x1
_LAST: Final = 0x1
_SHARED: Final = 0x2000


class SharedExtentsProbe:
    """Adds up the bytes of all files below a directory that lie in shared extents.

    Each file counts its own share in full, as ``st_blocks`` does: two files that
    share 1 MiB have 2 MiB of shared extents. What the sharing saves is the
    volume's to tell (layer VOLUME). On a compressing file system an extent
    counts with its uncompressed length, again as ``st_blocks`` does.
    """

    layer = Layer.FILES

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def measure(self) -> tuple[Reading, ...]:
        """Return the one reading; files that vanish meanwhile count nothing.

        Raises
        ------
        ProbeError
            If the file system does not tell extents.
        """
        now = time.time_ns()
        total_bytes = sum(_shared_bytes(path) for path in _regular_files(self.directory))
        source = "FIEMAP: length of the extents flagged FIEMAP_EXTENT_SHARED, each file its own"
        return (Reading(Layer.FILES, Ruler.SHARED, total_bytes, source, now),)


def _regular_files(root: Path) -> Iterator[Path]:
    """Yield every regular file below a root; a hard-linked one once."""
    links = HardLinks()
    waiting = [root]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_size and not links.is_further(status, entry.path):
                    yield Path(entry.path)


def _shared_bytes(path: Path) -> int:
    """Return the bytes of one file that lie in shared extents."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise ProbeError(f"the file {path.name} can't be opened: {error}") from error
    try:
        return sum(length for length, flags in _extents(descriptor) if flags & _SHARED)
    except OSError as error:
        raise ProbeError(f"the file system does not tell extents: {error}") from error
    finally:
        os.close(descriptor)


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield length in bytes and flags of every extent of an open file."""
    start = 0
    while True:
        asked = bytearray(_HEAD.size + _SLOTS * _EXTENT.size)
        _HEAD.pack_into(asked, 0, start, _ALL - start, _FLAG_SYNC, 0, _SLOTS, 0)
        fcntl.ioctl(descriptor, _FS_IOC_FIEMAP, asked)
        mapped = _HEAD.unpack_from(asked)[3]
        for number in range(mapped):
            logical, _, length, _, _, flags, *_ = _EXTENT.unpack_from(
                asked, _HEAD.size + number * _EXTENT.size
            )
            yield length, flags
            start = logical + length
            if flags & _LAST:
                return
        if not mapped:
            return
