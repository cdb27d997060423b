"""The directory that ``multiprocessing`` makes for a fork server's socket, marked as ours.

It goes with a process that ends in order. One that is killed leaves it, under a
name that any Python program could have given it; so a file in it is held locked
by us, and what nobody holds is swept by the next process that makes one.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from multiprocessing import util
from pathlib import Path
from typing import IO, Final

_MARK: Final = "deduplab-owner"
_held: dict[Path, IO[str]] = {}


def claim() -> Path:
    """Mark this process's directory as ours, and remove those whose owners are dead."""
    sweep(Path(tempfile.gettempdir()))
    directory = Path(util.get_temp_dir())
    if directory not in _held:
        aside = directory / f".{_MARK}"
        mark = aside.open("w")
        fcntl.flock(mark, fcntl.LOCK_EX)
        aside.rename(directory / _MARK)  # locked before anybody can see it
        _held[directory] = mark  # until this process ends
    return directory


def sweep(place: Path) -> int:
    """Remove marked directories that nobody holds; return how many."""
    removed = 0
    for mark in place.glob(f"pymp-*/{_MARK}"):
        try:
            with mark.open() as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its owner lives, has just gone, or is another user
        shutil.rmtree(mark.parent, ignore_errors=True)
        removed += 1
    return removed
