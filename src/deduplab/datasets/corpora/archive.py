"""Archives: the regular members of a tar file, compressed or not."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from deduplab.datasets.source_files import unreadable
from deduplab.units import MIB

_SUFFIXES: Final = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_PART_BYTES: Final = MIB


class Member(NamedTuple):
    """A regular file in an archive; its parts must be read before the next member is asked for.

    ``offset`` is where its content begins in the archive, None if it is compressed or sparse.
    """

    name: str
    length_bytes: int
    offset: int | None
    path: bytes
    content: IO[bytes]

    def parts(self) -> Iterator[bytes]:
        """Yield its content."""
        try:
            while part := self.content.read(_PART_BYTES):
                yield part
        except _DAMAGED as error:
            raise unreadable(self.path, error) from error


class ArchiveMembers:
    """All regular members, in order; links, folders and devices are left out."""

    def __init__(self, path: bytes, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def __iter__(self) -> Iterator[Member]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            try:
                yield from self._members(file)
            except _DAMAGED as error:
                raise unreadable(self._path, error) from error

    def _members(self, file: IO[bytes]) -> Iterator[Member]:
        plain = os.fsdecode(self._path).lower().endswith(".tar")
        with self._archive(file, plain) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    direct = plain and not member.issparse()
                    offset = member.offset_data if direct else None
                    yield Member(member.name, member.size, offset, self._path, content)
                # The list of all members is kept otherwise, and grows with the archive.
                archive.members = []  # type: ignore[attr-defined]

    def _archive(self, file: IO[bytes], plain: bool) -> tarfile.TarFile:
        if plain:
            return tarfile.open(fileobj=file, mode="r:")
        if os.fsdecode(self._path).lower().endswith(".zst"):
            from zstandard import ZstdDecompressor

            return tarfile.open(fileobj=ZstdDecompressor().stream_reader(file), mode="r|")
        return tarfile.open(fileobj=file, mode="r|*")


def is_archive(source: bytes) -> bool:
    """Tell by its name whether a file is an archive."""
    return os.fsdecode(source).lower().endswith(_SUFFIXES)


def _damaged() -> tuple[type[Exception], ...]:
    from zstandard import ZstdError

    return (tarfile.TarError, OSError, EOFError, zlib.error, ZstdError)


_DAMAGED: Final = _damaged()
