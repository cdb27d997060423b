"""Shared memory that a killed PostgreSQL leaves: found and removed as the product would itself.

Every postmaster, and every backend that ``initdb`` runs, keeps a System V segment of 56
bytes, by which a second one on the same data directory is refused. The lock file of the data
directory names it, and in it stand that directory's device and inode: so it can be told whose
it is. It also names the control segment in ``/dev/shm`` which lists all dynamic ones. The
product looks there when it starts again in that directory, which ours never do. (Layouts:
``PGShmemHeader`` in <storage/pg_shmem.h>, ``dsm_control_header`` in dsm.c, versions 14 to 18.)
"""

from __future__ import annotations

import ctypes
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

LOCK_FILE: Final = "postmaster.pid"
_PLACE: Final = Path("/dev/shm")  # noqa: S108 - the system's file system in memory
_TABLE: Final = Path("/proc/sysvipc/shm")
_SEGMENT_LINE: Final = 6  # "key id", counted from 0
# magic, creator, total size, free offset, handle of the control segment, index, device, inode
_HEADER: Final = struct.Struct("=iiQQI4xQQQ")
_HEADER_MAGIC: Final = 679834894
_CONTROL: Final = struct.Struct("=III4x")  # magic, items used, items at most
_CONTROL_MAGIC: Final = 0x9A503D32
_ITEM: Final = struct.Struct("=II32x")  # handle, references and one; 0 is a free item
_NOTICED_S: Final = 1.0
_POLL_S: Final = 0.01
_SHM_RDONLY: Final = 0o10000  # <sys/shm.h>
_IPC_RMID: Final = 0
_FAILED: Final = ctypes.c_void_p(-1).value


class _Entry(NamedTuple):
    """What the kernel says of a System V segment."""

    size_bytes: int
    attached: int
    uid: int


def remove_below(instance: Path) -> int:
    """Remove what killed servers left whose data directories lie in an instance's; return how many.

    Nothing may run in the instance any more, and its files must be there still.
    """
    return sum(
        remove(lock.parent)
        for pattern in ("data", "*/data", "*/*/data")
        for lock in instance.glob(f"{pattern}/{LOCK_FILE}")
    )


def remove(data: Path) -> int:
    """Remove the segments of a server that was killed in this data directory; return how many.

    Nothing is removed that a process is attached to, or that names another directory.
    """
    identifier = _named_by(data)
    if identifier is None:
        return 0
    entry = _left_by_all(identifier)
    if entry is None or entry.attached or entry.size_bytes != _HEADER.size:
        return 0
    header = _header(identifier)
    if header is None:
        return 0
    magic, _, _, _, control, _, device, inode = header
    status = data.stat()
    if magic != _HEADER_MAGIC or (device, inode) != (status.st_dev, status.st_ino):
        return 0
    # The product's order: with the System V segment goes the only way to the others.
    removed = _remove_listed(control, entry.uid) if control else 0
    return removed + int(_libc().shmctl(identifier, _IPC_RMID, None) == 0)


def _named_by(data: Path) -> int | None:
    """Return the id of the System V segment that a lock file names; None if there is none."""
    try:
        lines = (data / LOCK_FILE).read_text("utf-8", "replace").splitlines()
        return int(lines[_SEGMENT_LINE].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _left_by_all(identifier: int) -> _Entry | None:
    """Return what the kernel says, once the last process of a killed server has noticed that."""
    end = time.monotonic() + _NOTICED_S
    while True:
        entry = _entry(identifier)
        if entry is None or not entry.attached or time.monotonic() > end:
            return entry
        time.sleep(_POLL_S)


def _entry(identifier: int) -> _Entry | None:
    with suppress(OSError):
        for line in _TABLE.read_text().splitlines()[1:]:
            _, found, _, size_bytes, _, _, attached, uid, *_ = map(int, line.split())
            if found == identifier:
                return _Entry(size_bytes, attached, uid)
    return None


def _header(identifier: int) -> tuple[int, ...] | None:
    """Return the fields of the header that a System V segment holds; None if it can't be read."""
    libc = _libc()
    address = libc.shmat(identifier, None, _SHM_RDONLY)
    if address == _FAILED:
        return None
    try:
        return _HEADER.unpack(ctypes.string_at(address, _HEADER.size))
    finally:
        libc.shmdt(address)


def _remove_listed(handle: int, uid: int) -> int:
    """Remove the dynamic segments that a control segment lists, and itself; return how many."""
    control = _dynamic(handle)
    try:
        content = control.read_bytes()
        magic, used, at_most = _CONTROL.unpack_from(content)
    except (OSError, struct.error):
        return 0  # they lie elsewhere, as ours do in a directory of their own
    whole = used <= at_most and len(content) == _CONTROL.size + at_most * _ITEM.size
    if magic != _CONTROL_MAGIC or not whole:
        return 0
    items = (_ITEM.unpack_from(content, _CONTROL.size + n * _ITEM.size) for n in range(used))
    # Odd handles are pieces of the main segment, and no files.
    listed = [_dynamic(found) for found, references in items if references and not found % 2]
    return sum(_unlinked(path, uid) for path in (*listed, control))


def _dynamic(handle: int) -> Path:
    return _PLACE / f"PostgreSQL.{handle}"


def _unlinked(path: Path, uid: int) -> bool:
    """Remove a segment of the server's account; tell whether it was there."""
    try:
        if path.stat().st_uid != uid:
            return False
        path.unlink()
    except OSError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmdt.argtypes = (ctypes.c_void_p,)
    libc.shmctl.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    return libc
