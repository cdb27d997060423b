"""What proves the content of a committed cell: the BLAKE3 of each file, kept beside them.

Cells that were written before there were checksums have none, and are read as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from deduplab.errors import StoreError
from deduplab.run_files import decoded, write_synced

FILE_NAME: Final = "checksums.json"


def write_checksums(directory: Path) -> None:
    """Write the checksums of all files that lie in a directory, whatever they are."""
    found = {path.name: _checksum(path.read_bytes()) for path in sorted(directory.iterdir())}
    write_synced(directory / FILE_NAME, msgspec.json.encode(found))


def read_proven(path: Path) -> bytes | None:
    """Return what a file of a cell holds; None if there is none, and none was committed.

    Raises
    ------
    StoreError
        If it can't be read, is missing, or is not what was committed.
    """
    return _read(path, _known(path.parent))


def require_proven(directory: Path) -> None:
    """Look at every file of a cell that has checksums.

    Raises
    ------
    StoreError
        With the first one that is not what was committed.
    """
    known = _known(directory)
    for name in known or ():
        _read(directory / name, known)


class ProvenFiles:
    """Files of cells, each looked at whenever it is asked for."""

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds; None if there is none, and none was committed.

        Raises
        ------
        StoreError
            As :func:`read_proven`.
        """
        return read_proven(path)

    def require(self, directory: Path) -> None:
        """Look at every file of a cell.

        Raises
        ------
        StoreError
            As :func:`require_proven`.
        """
        require_proven(directory)


class OnceProvenFiles(ProvenFiles):
    """The same for one command that needs them all: what was read is not looked at again.

    What it remembers are names and checksums, about a KB a cell.
    """

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, str] | None] = {}
        self._seen: dict[Path, set[str]] = {}

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds, and remember that it was looked at."""
        content = _read(path, self._checksums(path.parent))
        self._seen.setdefault(path.parent, set()).add(path.name)
        return content

    def require(self, directory: Path) -> None:
        """Look at every file of a cell that was not read."""
        for name in self._checksums(directory) or ():
            if name not in self._seen.get(directory, ()):
                self.read(directory / name)

    def _checksums(self, directory: Path) -> dict[str, str] | None:
        if directory not in self._known:
            self._known[directory] = _known(directory)
        return self._known[directory]


def _read(path: Path, known: dict[str, str] | None) -> bytes | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if known and path.name in known:
            raise StoreError(f"{path} is missing, and {FILE_NAME} beside it has it") from None
        return None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error}") from error
    if known is not None and known.get(path.name) != _checksum(raw):
        raise StoreError(
            f"{path} is damaged: it, or {FILE_NAME} beside it, is not what was committed"
        )
    return raw


def _known(directory: Path) -> dict[str, str] | None:
    path = directory / FILE_NAME
    try:
        return decoded(path.read_bytes(), dict[str, str], path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def _checksum(raw: bytes) -> str:
    return blake3(raw).hexdigest()
