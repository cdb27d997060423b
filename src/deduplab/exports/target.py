"""The seam of targets: where an export goes, and how it is read back."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Final

from deduplab.exports.content import Content
from deduplab.exports.manifest import Manifest

CHUNK_BYTES: Final = 1024 * 1024
"""How much is read of a file at a time."""

_NO_RUN: Final = "deduplab-check"  # no run is called so: its id ends with a time

StoredFile = tuple[str, Iterable[bytes]]
"""A file that lies at a target: its path below the export's folder, and its bytes in pieces."""


class Target(ABC):
    """A place that takes exports, each run's in a folder that bears the run's id.

    An ``OSError`` of this machine passes through; the caller words it.

    Attributes
    ----------
    takes_all
        Whether it takes files of any length; else an export may be a part of the run.
    shown
        The target for people and receipts: where it is, without user, secret and options.
    reopen
        The text by which it is opened again without a login; empty where that takes one.
    """

    takes_all: ClassVar[bool] = True
    shown: str
    reopen: str = ""

    @property
    def remark(self) -> str:
        """What has to be told of the last write; empty where it went as always."""
        return ""

    def taken(self, content: Content) -> Content:
        """Return the part of a content that this target takes: all of it, unless it says so."""
        return content

    def lies_in(self, directory: Path) -> bool:
        """Whether the target lies in a directory of this machine, and would go with it."""
        return False

    def check(self) -> None:
        """Ask whether the target can be reached, and written to as far as that can be told.

        Nothing is written.

        Raises
        ------
        StoreError, SystemUnavailable
            If it can't.
        """
        self.manifest(_NO_RUN)

    @abstractmethod
    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of a run's export that lies there; None if there is nothing of it.

        Raises
        ------
        StoreError
            If what lies there is no export, or another run's.
        SystemUnavailable
            If the target can't be reached or refuses the login.
        """

    @abstractmethod
    def write(self, content: Content) -> None:
        """Write a content in the place of an earlier one; the manifest last, or all at once.

        Raises
        ------
        StoreError
            If it can't be written; what was there before still is, or counts no longer.
        SystemUnavailable
            If the target can't be reached or refuses the login.
        """

    @abstractmethod
    def read(self, name: str) -> Iterator[StoredFile]:
        """Yield every file of a run's export as it lies there, the manifest too.

        The bytes of a file have to be read before the next one is asked for.
        """


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file of this machine in pieces."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def require_writable(folder: Path) -> None:
    """Refuse a folder that this user can't write to, or make.

    Raises
    ------
    OSError
        With what is in the way.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
