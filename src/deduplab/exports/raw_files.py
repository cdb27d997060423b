"""The raw files of a run: what its directory holds that was measured or asked for, as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deduplab.errors import StoreError
from deduplab.exports.manifest import HEADER, Manifest

CELLS: Final = ("cells", "set_aside")
"""The folders of cells: a file in them is never changed once it is there."""

_FILES: Final = (HEADER, "plan.toml", "not_run.json")
OF_USE: Final = ("lock", "receipts.json")
"""What comes into an export's folder when it is used as a run, and is no part of it."""

# Cells have the manifests that they were measured with; the folder only spares counting again.
_MADE_ANEW: Final = (*OF_USE, "report.html", "manifests")


def is_raw(path: str) -> bool:
    """Whether a file of an export, by its path there, is one of the run's own."""
    return path in _FILES or is_of_cell(path)


def is_of_cell(path: str) -> bool:
    """Whether a file of an export, by its path there, is one of a cell."""
    return path.partition("/")[0] in CELLS


def raw_files(root: Path) -> dict[str, Path]:
    """Return the raw files of a run by their path below its directory.

    What is half-written (its name begins with a dot) is none.

    Raises
    ------
    StoreError
        If the directory can't be read, or holds a link: what it leads to is not of the run.
    """
    try:
        found = {name: root / name for name in _FILES if (root / name).exists()}
        for folder in CELLS:
            found |= {str(path.relative_to(root)): path for path in _below(root / folder)}
    except OSError as error:
        raise StoreError(f"the run in {root} can't be read: {error}") from error
    for path in found.values():
        if path.is_symlink() or not path.is_file():
            raise StoreError(f"{path} is no regular file, so it is none of a run: move it away")
    return found


def strangers(root: Path) -> list[str]:
    """Return the names in a run's directory that are not of a run, and so in no export."""
    known = {*_FILES, *_MADE_ANEW, *CELLS}
    try:
        names = sorted(entry.name for entry in root.iterdir())
    except OSError as error:
        raise StoreError(f"the run in {root} can't be read: {error}") from error
    return [name for name in names if name not in known and not name.startswith(".")]


def summed(files: dict[str, Path]) -> Manifest:
    """Return the checksums of files by path.

    Raises
    ------
    StoreError
        If one can't be read.
    """
    checksums = {}
    for name, path in files.items():
        try:
            with path.open("rb") as file:
                checksums[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error}") from error
    return Manifest(checksums)


def _below(folder: Path) -> Iterator[Path]:
    """Yield what lies below a folder and is no folder; half-written folders are left out."""
    if not folder.exists():
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(entry)
        else:
            yield entry
