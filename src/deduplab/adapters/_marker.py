"""Our marker, without which nothing is touched: a text, or a small file in a directory."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab.adapters._layout import Layout
from deduplab.errors import NamespaceRefused

MARKER_NAME: Final = "deduplab-marker.json"
MARKER: Final = "deduplab namespace, dropped with everything in it"
"""What a namespace bears that is no directory: as its comment, in a key, as a setting."""
_MARK: Final = "deduplab namespace"

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a namespace was created as; the marker of a directory has it too."""

    namespace: str
    layout: Layout
    variant: str
    durability: str

    def described(self) -> dict[str, str]:
        """Return the settings in words: layout with its fields, variant and durability."""
        return self.layout.described() | {"variant": self.variant, "durability": self.durability}


class MarkedDirectory:
    """The directory of one namespace, ours only while it bears the marker.

    Parameters
    ----------
    path
        The directory; its name is the namespace.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marker = path / MARKER_NAME

    def create(self, settings: Settings) -> None:
        """Make the directory with the marker in it, and nothing else.

        Raises
        ------
        NamespaceRefused
            If something of that name exists without the marker.
        """
        if self.path.exists() or self.path.is_symlink():
            self.check()
            self.clear()
        else:
            self.path.mkdir(parents=True)
        named = {"mark": _MARK, "namespace": settings.namespace}
        content = json.dumps(named | settings.described(), indent=1)
        aside = self.path / f"{MARKER_NAME}.new"
        with aside.open("w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._marker)
        sync_directory(self.path)
        sync_directory(self.path.parent)

    def check(self) -> None:
        """Refuse what is not ours.

        Raises
        ------
        NamespaceRefused
            If the directory has no marker, or one that is not ours.
        """
        try:
            found = json.loads(self._marker.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise NamespaceRefused(
                f"{self.path} does not bear our marker ({MARKER_NAME}: {error}); "
                "it is neither used nor dropped: choose another namespace or look at it yourself"
            ) from error
        if not isinstance(found, dict) or found.get("mark") != _MARK:
            raise NamespaceRefused(f"{self.path}: its {MARKER_NAME} is not ours; it is left alone")
        if found.get("namespace") != self.path.name:
            raise NamespaceRefused(
                f"{self.path}: its marker names the namespace {found.get('namespace')!r}; "
                "it was moved here, so it is left alone"
            )

    def clear(self) -> None:
        """Remove everything but the marker."""
        self.check()
        for entry in list(self.path.iterdir()):
            if entry.name == MARKER_NAME:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        sync_directory(self.path)

    def remove(self) -> None:
        """Remove the directory with all it holds, the marker last."""
        self.clear()
        self._marker.unlink()
        self.path.rmdir()
        sync_directory(self.path.parent)


def sync_file_system(path: Path | str) -> None:
    """Make everything on the file system that holds ``path`` durable, by one syncfs(2).

    For many small files this is what one ``fsync`` each amounts to, at a tenth
    of the time. Linux reports write-back errors through it since 5.8.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def sync_directory(path: Path | str) -> None:
    """Make the names in a directory durable; ``fsync`` of a file alone does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
