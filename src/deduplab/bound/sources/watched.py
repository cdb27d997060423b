"""One file that is read for a while: opened for reading only, and watched for changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from deduplab.bound.sources.base import ScanSource
from deduplab.bound.sources.tree import unreadable
from deduplab.errors import DatasetError

CHANGED = "changed while it was read; what is counted may be of several moments"

_State = tuple[int, int, int]


def state_of(path: str) -> _State:
    """Return what tells that a file is another or has changed: inode, length, time of change.

    Raises
    ------
    DatasetError
        If the file can't be looked at.
    """
    try:
        state = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise DatasetError(f"{path!r} {unreadable(error)}") from error
    return state.st_ino, state.st_size, state.st_mtime_ns


@contextmanager
def watched(source: ScanSource, path: str) -> Iterator[int]:
    """Give the length in bytes of a file that must stay as it is while it is in use.

    If it is another one afterwards, or gone, the source says so among what it
    left out.
    """
    before = state_of(path)
    yield before[1]
    try:
        same = state_of(path) == before
    except DatasetError:
        same = False
    if not same:
        source.leave_out(source.name, CHANGED)
