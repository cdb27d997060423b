"""Zip archives: an object is a member, decompressed."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from deduplab.bound.sources.base import ScanSource, words_of
from deduplab.bound.sources.decompress import (
    BROKEN,
    EXPANSION,
    Expanded,
    ExpansionLimit,
)
from deduplab.bound.sources.members import Members
from deduplab.bound.sources.tree import unreadable
from deduplab.bound.sources.watched import watched
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError

_BROKEN: Final = (
    *BROKEN,
    zipfile.BadZipFile,
    NotImplementedError,  # a compression method that Python does not have
    RuntimeError,  # an encrypted member
    struct.error,  # fields that are too short
    OverflowError,  # offsets beyond what a file can have
)
"""What ``zipfile`` raises on damaged archives."""


class ZipSource(ScanSource):
    """A zip archive, read by its central directory.

    Members that are encrypted, damaged or compressed by an unknown method are
    left out one by one. An archive whose members overlap is refused: only
    decompression bombs are built so.

    Parameters
    ----------
    path
        The archive.
    expansion
        Times its own length that it may become, above 1 GiB.
    """

    def __init__(self, path: str, expansion: int = EXPANSION) -> None:
        super().__init__(path)
        self._expansion = expansion

    def total_bytes(self) -> int | None:
        """Return the members' lengths as the directory states them."""
        try:
            with zipfile.ZipFile(self.name) as archive:
                return sum(member.file_size for member in archive.infolist())
        except _BROKEN:
            return None

    def blocks(self) -> Iterator[Block]:
        """Read all members in the order of the directory.

        Raises
        ------
        DatasetError
            If it can't be opened or is no zip archive at all.
        """
        self.left_out.clear()
        members = Members(self)
        with watched(self, self.name) as length_bytes, self._opened() as archive:
            limit = ExpansionLimit(length_bytes, self._expansion)
            try:
                for member in archive.infolist():
                    # Not is_dir(), which fails at a name without a letter.
                    if not member.filename.endswith("/"):
                        yield from self._member(archive, member, members, limit)
            except Expanded as error:
                members.rest_is_lost(error)
            yield from members.buffer.hand_out()

    def _opened(self) -> zipfile.ZipFile:
        try:
            archive = zipfile.ZipFile(self.name)
        except OSError as error:
            raise DatasetError(f"{self.name!r} {unreadable(error)}") from error
        except _BROKEN as error:
            raise DatasetError(
                f"{self.name!r} is broken or no zip archive: {words_of(error)}; "
                "nothing of it is counted"
            ) from error
        if _overlap(archive.infolist()):
            archive.close()
            raise DatasetError(
                f"{self.name!r} has members that overlap, as decompression bombs have; "
                "nothing of it is counted"
            )
        return archive

    def _member(
        self,
        archive: zipfile.ZipFile,
        member: zipfile.ZipInfo,
        members: Members,
        limit: ExpansionLimit,
    ) -> Iterator[Block]:
        name = member.filename.encode("utf-8", "backslashreplace").decode()
        try:
            with archive.open(member) as stream:
                reading: Any = stream

                def readinto(room: memoryview) -> int:
                    count: int = reading.readinto(room)
                    limit.add(count)
                    return count

                yield from members.add(name, member.file_size, readinto)
                if stream.read(1):  # at its end the checksum is compared
                    raise ValueError("it is longer than the directory states")
            members.close()
        except Expanded:
            raise
        except _BROKEN as error:
            self.leave_out(f"{self.name}: {name}", members.give_up(error))


def _overlap(members: list[zipfile.ZipInfo]) -> bool:
    """Whether a member begins before the one before it has ended."""
    spans = sorted((member.header_offset, member.compress_size) for member in members)
    return any(offset + size > following for (offset, size), (following, _) in pairwise(spans))
