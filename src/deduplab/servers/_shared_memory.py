"""Directories of ours in ``/dev/shm``, for products that name their segments there by themselves.

A server that is killed leaves its segments behind, by names that tell nobody
whose they were. Inside a directory that notes its instance they can be removed:
by the server's ``stop``, or once the instance is gone, by the next run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from deduplab.servers import _postgresql_segments
from deduplab.servers._account import Account, make_passable

PLACE: Final = Path("/dev/shm")  # noqa: S108 - the system's file system in memory
_PREFIX: Final = "deduplab-"
_NOTE: Final = "instance"


def make(workspace: Path, account: Account | None, place: Path = PLACE) -> Path | None:
    """Make an empty directory for the segments of an instance, owned by the account.

    Returns
    -------
    Path or None
        The directory; None where the machine has no such file system.
    """
    outer = _outer(workspace, place)
    if not place.is_dir():
        return None
    shutil.rmtree(outer, ignore_errors=True)
    inner = outer / "segments"
    try:
        make_passable(outer)
        (outer / _NOTE).write_text(str(_lasting(workspace)))
        inner.mkdir(mode=0o700)
    except OSError:
        return None  # not writable for us: the product does as it likes
    if account is not None:
        account.own(inner)
    return inner


def remove(workspace: Path, place: Path = PLACE) -> None:
    """Remove the directory of an instance, if there is one."""
    shutil.rmtree(_outer(workspace, place), ignore_errors=True)


def release(instance: Path) -> None:
    """Remove what servers that were killed in an instance left outside, before its files go.

    Nothing runs in it any more. What :func:`sweep` finds later is not meant, but what only the
    instance's own files can tell.
    """
    _postgresql_segments.remove_below(instance)


def sweep(place: Path = PLACE) -> int:
    """Remove our user's directories whose instances are gone; return how many."""
    removed = 0
    for outer in place.glob(f"{_PREFIX}*"):
        try:
            gone = not Path((outer / _NOTE).read_text()).exists()
            ours = outer.stat().st_uid == os.geteuid()
        except OSError:
            continue  # in the making, or just removed
        if gone and ours:
            shutil.rmtree(outer, ignore_errors=True)
            removed += 1
    return removed


def _outer(workspace: Path, place: Path) -> Path:
    name = hashlib.sha256(str(workspace.resolve()).encode()).hexdigest()[:16]
    return place / f"{_PREFIX}{name}"


def _lasting(workspace: Path) -> Path:
    """Return the directory that is there as long as the instance, seen by every process.

    What lies on a volume is seen by the cell's own processes alone, so it is the
    run's directory for the instance, above it.
    """
    resolved = workspace.resolve()
    for directory in (resolved, *resolved.parents):
        if directory.name.startswith("instance-"):
            return directory
    return resolved
