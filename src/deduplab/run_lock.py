"""The lock of a run: one process runs it at a time, and the kernel gives the lock back."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deduplab.errors import StoreError, unwritten


@contextmanager
def held(root: Path, run_id: str) -> Iterator[None]:
    """Hold the run of a directory.

    Raises
    ------
    StoreError
        If another process holds it, or the lock can't be made.
    """
    try:
        lock = (root / "lock").open("a")
    except OSError as error:
        raise unwritten(f"run {run_id} can't be written", error) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"run {run_id} is being run by another process; wait for it, or start another run "
                "with --fresh (both would disturb each other's times)"
            ) from error
        yield
