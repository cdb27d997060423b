"""A directory as a target: written aside, synced, and renamed into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deduplab.errors import StoreError
from deduplab.exports.content import Content
from deduplab.exports.manifest import FILE_NAME, Manifest
from deduplab.exports.raw_files import OF_USE
from deduplab.exports.target import StoredFile, Target, pieces, require_writable
from deduplab.run_files import sync_directory, write_synced

_ASIDE: Final = ".staging-"
_REPLACED: Final = ".replaced-"


class DirectoryTarget(Target):
    """A folder with a folder for each run."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.shown = self.reopen = str(self.root)

    def lies_in(self, directory: Path) -> bool:
        """Whether the folder is in a directory, links followed."""
        return self.root.resolve().is_relative_to(directory.resolve())

    def check(self) -> None:
        """Look whether the folder can be written to, or made."""
        require_writable(self.root)

    def manifest(self, name: str) -> Manifest | None:
        """Read the manifest in a run's folder."""
        folder = self.root / name
        path = folder / FILE_NAME
        try:
            if not folder.exists():
                return None
            return Manifest.parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            raise StoreError(
                f"{folder} is there and is no export ({FILE_NAME} is missing), so it is left as it "
                "is; name another directory"
            ) from None

    def write(self, content: Content) -> None:
        """Copy everything aside, sync it, and rename it."""
        aside = self.root / f"{_ASIDE}{content.name}"
        replaced = self.root / f"{_REPLACED}{content.name}"
        place = self.root / content.name
        self.root.mkdir(parents=True, exist_ok=True)
        # Of an export of this run that was killed: whoever exports it holds the run.
        shutil.rmtree(aside, ignore_errors=True)
        _keep_one(place, replaced)
        try:
            _copy(content, aside)
            if place.exists():
                place.rename(replaced)
            aside.rename(place)
            sync_directory(self.root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            _keep_one(place, replaced)

    def read(self, name: str) -> Iterator[StoredFile]:
        """Yield the files of a run's folder."""
        folder = self.root / name
        for path in sorted(folder.rglob("*")):
            inner = str(path.relative_to(folder))
            if not path.is_dir() and inner not in OF_USE:
                yield inner, pieces(path)


def _keep_one(place: Path, replaced: Path) -> None:
    """Remove what was replaced, or put it back where nothing came into its place."""
    if place.exists():
        shutil.rmtree(replaced, ignore_errors=True)
    elif replaced.exists():
        replaced.rename(place)


def _copy(content: Content, aside: Path) -> None:
    aside.mkdir()
    for path, source in content.files.items():
        target = aside / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for piece in pieces(source):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    write_synced(aside / FILE_NAME, content.manifest.to_bytes())
    for folder in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
        sync_directory(folder)
