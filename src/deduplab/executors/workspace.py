"""The workspace: where private instances live, and how those of a dead owner are swept.

Every instance is a directory of ours with a file ``owner`` that the process
which made it holds locked as long as it lives: the kernel gives the lock back
however that process ends. The directory goes when its cell ends; if the owner
was killed, the next run finds the lock free, ends what still runs inside, and
removes the directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from deduplab.bench.estimate import instance_bytes
from deduplab.cell import Cell
from deduplab.errors import DiskSpaceError, PlanError
from deduplab.servers import _shared_memory
from deduplab.servers._account import make_passable
from deduplab.units import format_bytes
from deduplab.volumes import unmount_below

WORKSPACE_VARIABLE: Final = "DEDUPLAB_WORKSPACE"
# <linux/fs.h>, on 64-bit machines
_FS_IOC_GETFLAGS: Final = 0x80086601
_FS_IOC_SETFLAGS: Final = 0x40086602
_FS_TOPDIR_FL: Final = 0x00020000
_OWNER_FILE: Final = "owner"
_PREFIX: Final = "instance-"
_MAKING_S: Final = 60.0  # a directory without an owner file is in the making, or was left so
_END_DEADLINE_S: Final = 10.0


def default_workspace() -> Path:
    """Return ``$DEDUPLAB_WORKSPACE``, or a directory of this user's on local disk.

    It lies below ``/var/tmp`` because server products that refuse to run as
    root are started as another account, which must be able to reach it.
    """
    named = os.environ.get(WORKSPACE_VARIABLE)
    return Path(named) if named else Path("/var/tmp") / f"deduplab-{os.getuid()}"  # noqa: S108


def prepared(workspace: Path) -> Path:
    """Make the workspace if need be, passable but not listable for others.

    Raises
    ------
    PlanError
        If it can't be made or belongs to somebody else.
    """
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        if workspace.stat().st_uid != os.getuid():
            raise PlanError(f"the workspace {workspace} belongs to another user; name another one")
        workspace.chmod(0o711)
        _spread_over_block_groups(workspace)
    except OSError as error:
        raise PlanError(
            f"the workspace {workspace} can't be used: {error}; "
            f"name another one with --workspace or ${WORKSPACE_VARIABLE}"
        ) from error
    return workspace.resolve()


def _spread_over_block_groups(directory: Path) -> None:
    """Have ext4 place each instance in another block group; nothing happens elsewhere.

    ext4 without a journal does not reuse an inode for a minute after it was
    freed, and looks at every such inode again for each new file. So instances
    that follow each other in one group slow each other down (seen: creating a
    file took 0.6 ms instead of 0.02 ms). The attribute ``T`` of chattr(1),
    top of a directory hierarchy, spreads them.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = bytearray(8)
        fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, flags)
        value = int.from_bytes(flags, sys.byteorder) | _FS_TOPDIR_FL
        fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, value.to_bytes(8, sys.byteorder))
    except OSError:
        return  # another file system, or not allowed: only speed is at stake
    finally:
        os.close(descriptor)


def check_space(workspace: Path, needed_bytes: int) -> None:
    """Refuse a plan that the workspace has no room for.

    Raises
    ------
    DiskSpaceError
        With what is needed, what is free, and what to do.
    """
    free_bytes = shutil.disk_usage(workspace).free
    if free_bytes < needed_bytes:
        raise DiskSpaceError(
            f"the plan needs about {format_bytes(needed_bytes)} in {workspace}, "
            f"{format_bytes(free_bytes)} are free; free some, lower --scale, "
            f"or name another disk with --workspace"
        )


def require_room(workspace: Path, cell: Cell) -> None:
    """Refuse a cell whose instance may not find the room that the plan was told it needs.

    A disk that was filled up meanwhile, by whomever, would fail every cell from here on.

    Raises
    ------
    DiskSpaceError
        With what is needed, what is free, and what to do.
    """
    if cell.remote is not None:
        return  # its files are not here
    free_bytes, needed_bytes = shutil.disk_usage(workspace).free, instance_bytes(cell)
    if free_bytes < needed_bytes:
        raise DiskSpaceError(
            f"the disk has become too small: a cell may need {format_bytes(needed_bytes)} in "
            f"{workspace}, {format_bytes(free_bytes)} are free; free some, and the same command "
            f"goes on with {cell.label} and the others that are left"
        )


@contextmanager
def instance_directory(workspace: Path) -> Iterator[Path]:
    """Give an empty directory for one instance, and remove it at the end."""
    directory = workspace / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
    inner = directory / "instance"
    for made in (directory, inner):
        make_passable(made)
    # Locked under another name first, so that nobody ever sees an owner file that is not locked.
    aside = directory / f".{_OWNER_FILE}"
    with aside.open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        aside.rename(directory / _OWNER_FILE)
        try:
            yield inner
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def sweep(workspace: Path) -> tuple[int, int]:
    """End and remove what dead owners left; return (processes ended, directories removed).

    Only instance directories of ours are touched, only those that nobody
    holds, and only processes that work inside such a directory. A volume that is
    still mounted there is unmounted.
    """
    orphaned = [path for path in workspace.glob(f"{_PREFIX}*") if not _is_held(path)]
    ended = end_processes(_processes_inside(orphaned)) if orphaned else 0
    for directory in orphaned:
        _shared_memory.release(directory)
        unmount_below(directory.resolve())
        shutil.rmtree(directory, ignore_errors=True)
    _shared_memory.sweep()
    return ended, len(orphaned)


def _is_held(directory: Path) -> bool:
    """Return whether the process that made an instance directory lives, or is about to lock it."""
    try:
        with (directory / _OWNER_FILE).open() as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        try:
            return time.time() - directory.stat().st_mtime < _MAKING_S
        except FileNotFoundError:
            return True  # its owner has just removed it
    except OSError:
        return True  # locked, or not ours to look at
    return False


def _processes_inside(directories: list[Path]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            inside = Path(process.cwd())
        except (psutil.Error, OSError):
            continue
        if any(inside.is_relative_to(directory) for directory in directories):
            found.append(process)
    return found


def end_processes(processes: list[psutil.Process]) -> int:
    """End processes in order, those that are still there after a deadline by force.

    Returns
    -------
    int
        How many there were.
    """
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_END_DEADLINE_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_END_DEADLINE_S)
    return len(processes)
