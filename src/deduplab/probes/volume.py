"""The VOLUME layer: what a file system says is used, where it holds nothing but one instance.

Sources: statvfs(3), syncfs(2); the kernel's <linux/btrfs.h> (BTRFS_IOC_SPACE_INFO)
and <xfs/xfs_fs.h> (XFS_IOC_FREE_EOFBLOCKS).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import time
from pathlib import Path
from typing import Final

from deduplab.errors import ProbeError
from deduplab.model import Layer, Reading, Ruler
from deduplab.volumes import FileSystem

_BTRFS_IOC_SPACE_INFO: Final = 0xC0109414
_SPACE_HEAD: Final = struct.Struct("=QQ")  # slots, spaces
_SPACE: Final = struct.Struct("=QQQ")  # flags, total_bytes, used_bytes
_SPACE_SLOTS: Final = 32
_SPACE_NAMES: Final = ((1, "data"), (4, "metadata"), (2, "system"))
_SPACE_RESERVE: Final = 1 << 49  # taken aside in memory only; a part of metadata
_SPACE_TWICE: Final = 1 << 4 | 1 << 5 | 1 << 6  # RAID1, DUP, RAID10: each byte lies there twice

_XFS_IOC_FREE_EOFBLOCKS: Final = 0x8080583A
# version 1, synchronous, no filter: eof_version, eof_flags, then zeros
_XFS_EOFBLOCKS: Final = struct.pack("=II", 1, 1).ljust(128, b"\0")


class VolumeProbe:
    """Reads the used bytes of one file system, after it wrote out what it still held back.

    Used is what the file system's own accounting tells, its metadata included
    and what mkfs laid down for ever (inode tables, XFS's log) as far as it
    counts it: the difference to the empty baseline is the instance's.

    - btrfs: ``BTRFS_IOC_SPACE_INFO``, the used bytes of data, metadata and system;
      statvfs would count a reserve that grows with the file system.
    - xfs, ext4: ``(f_blocks - f_bfree) * f_frsize`` of statvfs; XFS first gives
      back what it preallocated behind the ends of files and ends removals under way.

    Parameters
    ----------
    directory
        Where the file system is mounted.
    made_of
        Its kind; how it was made and mounted stands in the source of each reading.
    """

    layer = Layer.VOLUME

    def __init__(self, directory: Path, made_of: FileSystem) -> None:
        self.directory = directory
        self.made_of = made_of

    def sync(self) -> None:
        """Have the file system write everything out and free what was deleted (syncfs(2)).

        Raises
        ------
        ProbeError
            If it is not there, or not a file system of its own.
        """
        if not os.path.ismount(self.directory):
            raise ProbeError(f"no file system of its own is mounted at {self.directory}")
        with _Opened(self.directory) as descriptor:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.syncfs(descriptor) != 0:
                raise ProbeError(f"syncfs failed: {os.strerror(ctypes.get_errno())}")
            if self.made_of.type == "xfs":
                fcntl.ioctl(descriptor, _XFS_IOC_FREE_EOFBLOCKS, _XFS_EOFBLOCKS)
                # Trimming files is a change again, that only the log holds.
                if libc.syncfs(descriptor) != 0:
                    raise ProbeError(f"syncfs failed: {os.strerror(ctypes.get_errno())}")

    def measure(self) -> tuple[Reading, ...]:
        """Return the one reading: used bytes, for btrfs split by data, metadata and system."""
        self.sync()
        components: dict[str, int] = {}
        if self.made_of.type == "btrfs":
            with _Opened(self.directory) as descriptor:
                components = _btrfs_used(descriptor)
            used_bytes = sum(components.values())
            ruler_words = "BTRFS_IOC_SPACE_INFO: used bytes"
        else:
            status = os.statvfs(self.directory)
            used_bytes = (status.f_blocks - status.f_bfree) * status.f_frsize
            ruler_words = "statvfs: (f_blocks - f_bfree) * f_frsize"
        return (
            Reading(
                layer=Layer.VOLUME,
                ruler=Ruler.REPORTED,
                total_bytes=used_bytes,
                source=f"{ruler_words}, after syncfs; {self.made_of.words}",
                at_unix_ns=time.time_ns(),
                components=components,
            ),
        )


class _Opened:
    """A directory's descriptor, for ioctl and syncfs; an error of either becomes a ProbeError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ProbeError(f"the volume can't be opened: {error}") from error
        return self._descriptor

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        os.close(self._descriptor)
        if isinstance(error, OSError):
            raise ProbeError(f"the volume does not tell: {error}") from error


def _btrfs_used(descriptor: int) -> dict[str, int]:
    """Ask btrfs how many bytes of each kind it uses, copies included."""
    asked = bytearray(
        _SPACE_HEAD.pack(_SPACE_SLOTS, 0).ljust(
            _SPACE_HEAD.size + _SPACE_SLOTS * _SPACE.size, b"\0"
        )
    )
    fcntl.ioctl(descriptor, _BTRFS_IOC_SPACE_INFO, asked)
    _, spaces = _SPACE_HEAD.unpack_from(asked)
    return space_components(bytes(asked[_SPACE_HEAD.size :]), spaces)


def space_components(table: bytes, spaces: int) -> dict[str, int]:
    """Return used bytes by kind from a table of ``btrfs_ioctl_space_info``.

    Parameters
    ----------
    table
        Entries of three 64-bit numbers: flags, total bytes, used bytes.
    spaces
        How many entries count.
    """
    found: dict[str, int] = {}
    for number in range(spaces):
        flags, _, used_bytes = _SPACE.unpack_from(table, number * _SPACE.size)
        if flags & _SPACE_RESERVE:
            continue
        name = "+".join(name for bit, name in _SPACE_NAMES if flags & bit) or "unknown"
        copies = 2 if flags & _SPACE_TWICE else 1
        found[name] = found.get(name, 0) + copies * used_bytes
    return found
