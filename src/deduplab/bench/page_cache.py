"""The kernel's page cache: how much of files is in it, and how it is made to let them go.

Both work file by file and need no rights beyond those on the files, so nobody else's files are
touched. What the kernel holds of a file system itself (directories, inodes, its tables) is no page
of a file: it stays, and is not counted.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from deduplab.hard_links import HardLinks

_AT_ONCE_BYTES: Final = 1 << 30
_IN_MEMORY: Final = ("tmpfs", "ramfs")
_FAILED: Final = ctypes.c_void_p(-1).value


def file_system_in_memory(directory: Path) -> str:
    """Return the kind of file system if its files are nothing but pages in memory, else ``""``."""
    status = directory.stat()
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, described = line.partition(" - ")
        kind = described.split(" ")[0]
        if fields.split(" ")[2] == device and kind in _IN_MEMORY:
            return kind
    return ""


def file_bytes(directory: Path) -> int:
    """Return the apparent length of all files below a directory."""
    return sum(os.fstat(descriptor).st_size for descriptor in _files(directory))


def resident_bytes(directory: Path) -> int:
    """Return how much of the files below a directory is in the page cache, by whole pages.

    By mincore(2), which tells the owner of a file, and whoever may write to it.
    """
    return sum(map(_resident_bytes, _files(directory)))


def drop(directory: Path) -> None:
    """Write out what is not written of the files below a directory, and drop their pages.

    By posix_fadvise(2), which leaves pages that a process has mapped or locked.
    """
    for descriptor in _files(directory):
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _files(directory: Path) -> Iterator[int]:
    """Yield each regular file, opened for reading; what vanishes meanwhile is not there."""
    links = HardLinks()
    for folder, _, names in os.walk(directory):
        for path in (os.path.join(folder, name) for name in names):  # noqa: PTH118
            with suppress(FileNotFoundError), ExitStack() as stack:
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode) or links.is_further(status, path):
                    continue
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                yield descriptor


def _resident_bytes(descriptor: int) -> int:
    length_bytes = os.fstat(descriptor).st_size
    pages = 0
    for offset in range(0, length_bytes, _AT_ONCE_BYTES):
        pages += _resident_pages(descriptor, offset, min(_AT_ONCE_BYTES, length_bytes - offset))
    return pages * mmap.PAGESIZE


def _resident_pages(descriptor: int, offset: int, length_bytes: int) -> int:
    libc = _libc()
    address = libc.mmap(None, length_bytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)
    if address == _FAILED:
        raise _last_error("mmap")
    try:
        told = (ctypes.c_ubyte * -(-length_bytes // mmap.PAGESIZE))()
        if libc.mincore(address, length_bytes, told):
            raise _last_error("mincore")
    finally:
        libc.munmap(address, length_bytes)
    return sum(page & 1 for page in bytes(told))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    libc.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    libc.mmap.restype = pointer
    libc.munmap.argtypes = [pointer, size]
    libc.mincore.argtypes = [pointer, size, pointer]
    return libc


def _last_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
