"""Sharing block by block: every aligned block of 4 KiB that lies twice on a volume is shared.

What duperemove leaves alone, since it looks for whole extents: copies inside
the large files of a database. So this is the most that a volume which shares
blocks of 4 KiB could save. A program of its own (``python -m
deduplab.volumes.blocks DIRECTORY``), so that the files of an engine are not
opened and closed in the engine's process, which would drop its locks
(fcntl(2), advisory record locking).

The kernel compares under lock before it shares (ioctl_fideduperange(2)): what
changed meanwhile is left as it is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

BLOCK_BYTES: Final = 4096

_FIDEDUPERANGE: Final = 0xC0189436
# source offset and length, destinations, 2 reserved; then the one destination:
# descriptor, offset, bytes shared, status, reserved
_REQUEST: Final = struct.Struct("=QQHHIqQQiI")
_READ_BYTES: Final = 256 * BLOCK_BYTES
_MOST_AT_ONCE: Final = 16 * 1024 * 1024  # the kernel's limit for one request
# A file that can't be changed, is swapped to or runs, or bytes that are shared already so.
_PASSED_OVER: Final = {errno.EPERM, errno.EACCES, errno.ETXTBSY, errno.EINVAL, errno.ENOENT}


@dataclass(slots=True)
class _Run:
    """Neighbouring blocks of one file that equal neighbouring blocks of an earlier place."""

    source: Path
    source_offset: int
    offset: int
    length: int

    def goes_on(self, source: Path, source_offset: int, offset: int) -> bool:
        return (
            source == self.source
            and source_offset == self.source_offset + self.length
            and offset == self.offset + self.length
            and self.length < _MOST_AT_ONCE
        )


def share_directory(directory: Path) -> int:
    """Share all equal blocks of the files below a directory; return the bytes that were shared.

    Blocks that were shared before count again.

    Raises
    ------
    OSError
        If the file system can't share blocks.
    """
    seen: dict[bytes, tuple[Path, int]] = {}
    return sum(_share_file(path, seen) for path in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    """Yield regular files in a fixed order, so that equal trees are shared equally."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _share_file(path: Path, seen: dict[bytes, tuple[Path, int]]) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        shared_bytes = 0
        run: _Run | None = None
        for offset, block in _blocks(descriptor):
            source, source_offset = seen.setdefault(xxhash.xxh3_128_digest(block), (path, offset))
            if (source, source_offset) == (path, offset):
                continue  # seen for the first time
            if run is not None and run.goes_on(source, source_offset, offset):
                run.length += len(block)
                continue
            shared_bytes += _share(descriptor, run)
            run = _Run(source, source_offset, offset, len(block))
        return shared_bytes + _share(descriptor, run)
    finally:
        os.close(descriptor)


def _blocks(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of every block that is data and no hole; the last may be short."""
    end = os.fstat(descriptor).st_size
    offset = 0
    while offset < end:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        offset -= offset % BLOCK_BYTES
        data = os.pread(descriptor, _READ_BYTES, offset)
        if not data:
            return
        for start in range(0, len(data), BLOCK_BYTES):
            yield offset + start, data[start : start + BLOCK_BYTES]
        offset += len(data)


def _share(descriptor: int, run: _Run | None) -> int:
    """Ask the kernel to share one run; return how many bytes it did."""
    if run is None:
        return 0
    asked = bytearray(
        _REQUEST.pack(run.source_offset, run.length, 1, 0, 0, descriptor, run.offset, 0, 0, 0)
    )
    try:
        source = os.open(run.source, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        fcntl.ioctl(source, _FIDEDUPERANGE, asked)
    except OSError as error:
        if error.errno in _PASSED_OVER:
            return 0
        raise
    finally:
        os.close(source)
    shared_bytes, status = _REQUEST.unpack(asked)[-3:-1]
    if status < 0 and -status not in _PASSED_OVER:
        raise OSError(-status, os.strerror(-status), str(run.source))
    return int(shared_bytes) if status == 0 else 0


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{share_directory(Path(sys.argv[1]))} bytes shared\n")
    except OSError as problem:
        sys.exit(f"{problem}")
