"""The cause of a failure, as the bench itself sees it: the server ended, or its disk is full.

A driver tells a lost connection or a refused write; why that happened is seen
beside it. Each of the two decides what becomes of the cell: a server that ended
may live on a fresh instance, a disk that is full stays full.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    PlanError,
    SystemUnavailable,
    Unsupported,
)
from deduplab.remote import RemoteServer
from deduplab.server import Server
from deduplab.units import MIB, format_bytes

FULL_BELOW_BYTES: Final = 4 * MIB
"""With less than this a disk is full: products take space by pieces, and fail before the end."""


@contextmanager
def causes_told(server: Server, doing: str) -> Iterator[None]:
    """Have whatever fails inside raised with its cause, where the bench can see one.

    Parameters
    ----------
    doing
        What is done inside, as ``the stage bulk``.

    Raises
    ------
    SystemUnavailable
        If the server ended meanwhile: the cell may be tried again.
    DiskSpaceError
        If the disk of the instance is full: it must not.
    """
    try:
        yield
    except (Unsupported, PlanError):
        raise
    except Exception as error:
        cause = _cause(server, doing, error)
        if cause is None:
            raise
        raise cause from error


def _cause(server: Server, doing: str, error: Exception) -> DeduplabError | None:
    said = f"{type(error).__name__}: {error}"
    ending = server.ended()
    # The disk of a server that is not ours can't be seen from here.
    full = None if isinstance(server, RemoteServer) else _full_disk(server.workspace)
    if full is not None and (ending is not None or isinstance(error, DeduplabError | OSError)):
        return DiskSpaceError(f"{full}. During {doing}: {ending or said}")
    if isinstance(error, DiskSpaceError):
        return None
    if ending is not None:
        return SystemUnavailable(f"the server ended during {doing}: {ending}. It showed as: {said}")
    return None


def _full_disk(workspace: Path) -> str | None:
    """Say that the disk of an instance is full, and what to do; None if it is not."""
    try:
        found = os.statvfs(workspace)
    except OSError:
        return None
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes >= FULL_BELOW_BYTES:
        return None
    return (
        f"the disk is full: {format_bytes(free_bytes)} of "
        f"{format_bytes(found.f_blocks * found.f_frsize)} are left for {workspace}; free some, "
        "lower --scale, or name another disk with --workspace"
    )
