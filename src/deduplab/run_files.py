"""The files of a run: written to outlive a power failure, read with errors that name them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from deduplab.errors import StoreError

_T = TypeVar("_T")


def decoded(raw: bytes, kind: type[_T], path: Path) -> _T:
    """Return what JSON holds, as a type.

    Raises
    ------
    StoreError
        If it is no such thing; ``path`` says where it was read.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, and return when the disk has it; its directory is to be synced besides."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Return when the disk has the names that were made, renamed or removed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
