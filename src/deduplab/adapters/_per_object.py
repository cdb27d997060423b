"""What the reference stores with one file an object share; a sub-class says how it is encoded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from deduplab.adapters._marker import Settings
from deduplab.adapters._reference import Buffer, FanOut, ReferenceAdapter


class PerObjectAdapter(ReferenceAdapter):
    """Stores each object in a file of its own, named by its key; there is no index.

    Attributes
    ----------
    suffixes
        The endings a file's name may have, after that of the content type (layout
        native); the ending tells the encoding.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        self._files: FanOut | None = None
        self._endings = self.suffixes

    @abstractmethod
    def _encode(self, payload: Buffer) -> tuple[str, Buffer]:
        """Return the ending of the file's name, and its content."""

    @abstractmethod
    def _decode(self, suffix: str, content: bytes) -> bytes:
        """Return the payload."""

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, or None if there is no such object."""
        files = self._opened()
        try:
            for suffix, ending in zip(self.suffixes, self._endings, strict=True):
                content = files.read(file_name(key) + ending)
                if content is not None:
                    return self._decode(suffix, content)
        except OSError as error:
            raise self._failed(f"get of {key!r}", error) from error
        return None

    def delete(self, keys: Sequence[str]) -> int:
        """Remove the files of these objects; durable when this returns."""
        files = self._opened()
        try:
            return files.remove(file_name(key) + ending for key in keys for ending in self._endings)
        except OSError as error:
            raise self._failed(f"delete of {len(keys)} objects", error) from error

    def count(self) -> int:
        """Return the number of files."""
        return sum(1 for _ in self._opened().entries())

    def reclaim(self, mode: str) -> None:
        """Refuse: a removed file has freed its blocks, and nothing else is to be done."""
        self._check_reclaim(mode)

    def _insert(self, keys: Sequence[str], payloads: Sequence[Buffer]) -> None:
        files = self._opened()
        names = [file_name(key) for key in keys]
        self._check_new(keys, self._is_stored)
        encoded = map(self._encode, payloads)
        ends = dict(zip(self.suffixes, self._endings, strict=True))
        files.write(
            (name + ends[suffix], content)
            for name, (suffix, content) in zip(names, encoded, strict=True)
        )

    def _is_stored(self, key: str) -> bool:
        files = self._opened()
        return any(files.exists(file_name(key) + ending) for ending in self._endings)

    def _components(self) -> dict[str, int]:
        return {"data": self._opened().total_bytes()}

    def _truncate(self) -> None:
        files = self._opened()
        files.remove([entry.name for entry in files.entries()])

    def _attach(self, directory: Path, settings: Settings) -> None:
        self._files = FanOut(directory / "objects")
        extension = settings.layout.file_extension
        self._endings = tuple(extension + suffix for suffix in self.suffixes)

    def _detach(self) -> None:
        self._files = None

    def _opened(self) -> FanOut:
        if self._files is None:
            raise self._not_entered()
        return self._files


def file_name(key: str) -> str:
    """Return a file name for a key: unsafe letters and a leading dot are percent-encoded.

    No two keys share a name; the empty key becomes a bare percent sign.
    """
    name = quote(key, safe="") or "%"
    return f"%2E{name[1:]}" if name.startswith(".") else name
