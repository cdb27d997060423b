"""Files and folders: an object is a file, its bytes as they lie there.

Small files come many to a block: each costs an open, a read, a look at its
state and a close. Hard links to one file count once, also where they lie in
several sources, symbolic links not at all.
A file whose length or time of change differs after it was read is left out.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from ctypes import byref, c_char_p, c_int64, c_void_p, cast
from functools import cached_property
from typing import Final

from deduplab.bound.native import Native, address_of, native
from deduplab.bound.sources.base import BLOCK_BYTES, ScanSource
from deduplab.bound.sources.buffer import BlockBuffer
from deduplab.bound.sources.file_list import FOLDER_FLAGS, Folder, files_below, parted
from deduplab.bound.sources.tree import FURTHER_LINK, SPECIAL_FILE, joined, shown, unreadable, walk
from deduplab.bound.stream import Block, LeftOut, Source
from deduplab.hard_links import HardLinks

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LEAST_ROOM_BYTES: Final = BLOCK_BYTES // 8
_COUNTED_FILES: Final = 10_000
_spare: Final[list[BlockBuffer]] = []
"""Empty buffers of readings that have ended: to get a large page takes as long as to fill it."""


class FileSource(ScanSource):
    """The regular files at and below a path.

    Parameters
    ----------
    path
        A folder or a file. The path itself may be a symbolic link, what lies
        below it is not followed.

    Attributes
    ----------
    links
        Which files of several names were met; see :func:`count_links_once`.
    """

    forks = True

    def __init__(self, path: str | bytes) -> None:
        self.path = os.fsencode(path)
        self.links = HardLinks()
        super().__init__(shown(self.path))

    def total_bytes(self) -> int | None:
        """Return the bytes of all files when first asked, None above 10,000: a walk takes long."""
        return self._counted_bytes

    @cached_property
    def _counted_bytes(self) -> int | None:
        if not os.path.isdir(self.path):  # noqa: PTH112 - a name in bytes
            try:
                return os.stat(self.path).st_size  # noqa: PTH116
            except OSError:
                return None
        total_bytes = files = 0
        for _, entries in walk(self.path, lambda *_: None):
            files += len(entries)
            if files > _COUNTED_FILES:
                return None
            total_bytes += sum(_size(entry) for entry in entries)
        return total_bytes

    def blocks(self) -> Iterator[Block]:
        """Read every file once, in the order of names."""
        self.left_out.clear()
        return _Reading(self).blocks(self._listing())

    def shards(self, count: int) -> Sequence[Source]:
        """Return parts with neighbouring files and about equal bytes."""
        if not os.path.isdir(self.path):  # noqa: PTH112
            with contextlib.suppress(OSError):  # which is said when it is read
                self.links.is_further(os.stat(self.path), os.path.realpath(self.path))  # noqa: PTH116
            return [self]
        left_out: list[LeftOut] = []
        listed = files_below(self.path, left_out, self.links)
        return self._parts(listed, left_out, count)

    def _parts(
        self, listed: Sequence[Folder], left_out: list[LeftOut], count: int
    ) -> Sequence[Source]:
        """Return parts of what was listed, itself if that is nothing."""
        parts = []
        for number, listing in enumerate(parted(listed, count), 1):
            parts.append(FileShard(self.path, f"{self.name} (part {number})", listing))
        if not parts:
            return [self]
        parts[0].known_left_out = left_out
        return parts

    def _listing(self) -> Iterator[tuple[bytes, list[bytes]]]:
        if os.path.isdir(self.path):  # noqa: PTH112
            for folder, entries in walk(self.path, self.leave_out):
                yield folder, [entry.name for entry in entries]
        else:
            # The path itself may be a link: what it points at is what was asked for.
            folder, name = os.path.split(os.path.realpath(self.path))
            yield folder, [name]


class FileShard(FileSource):
    """Some of a folder's files, listed beforehand; further hard links are not among them."""

    def __init__(self, path: bytes, name: str, listing: Sequence[Folder]) -> None:
        super().__init__(path)
        self.name = name
        self.known_left_out: list[LeftOut] = []
        self._listed = listing

    def total_bytes(self) -> int:
        """Return the bytes of the files as they were when they were listed."""
        return sum(sum(folder.sizes) for folder in self._listed)

    def blocks(self) -> Iterator[Block]:
        """Read the files in order."""
        self.left_out[:] = self.known_left_out
        listing = ((folder.path, folder.names) for folder in self._listed)
        return _Reading(self, linked_once=False).blocks(listing)

    def shards(self, count: int) -> Sequence[Source]:
        """Return smaller parts of the same kind."""
        return self._parts(self._listed, self.known_left_out, count)


class _Reading:
    """One pass over the files of a source."""

    def __init__(self, source: FileSource, *, linked_once: bool = True) -> None:
        self._source = source
        self._linked_once = linked_once
        try:
            self._buffer = _spare.pop()
        except IndexError:  # also where another thread was faster
            self._buffer = BlockBuffer(large_page=True)

    def blocks(self, listing: Iterator[tuple[bytes, list[bytes]]]) -> Iterator[Block]:
        for folder, names in listing:
            if not names:
                continue
            # The source itself may be a link; a folder below it that is one now was none before.
            flags = FOLDER_FLAGS if folder == self._source.path else FOLDER_FLAGS | os.O_NOFOLLOW
            try:
                number = os.open(folder, flags)
            except OSError as error:
                self._source.leave_out(shown(folder), unreadable(error))
                continue
            try:
                yield from self._files(folder, number, names)
            finally:
                os.close(number)
        yield from self._buffer.hand_out()
        # Not where a reading is given up: somebody may still look at the last block.
        _spare.append(self._buffer)

    def _files(self, folder: bytes, folder_number: int, names: list[bytes]) -> Iterator[Block]:
        """Read files, many by one call where the part in C was built."""
        buffer, library = self._buffer, native()
        many = None if library is None else _Many(library, folder_number, names, self._linked_once)
        at = 0
        while at < len(names):
            if buffer.room_bytes < _LEAST_ROOM_BYTES:
                yield from buffer.hand_out()
            if many is not None:
                at += many.read(buffer)
                if at == len(names) or buffer.room_bytes < _LEAST_ROOM_BYTES:
                    continue
                many.skip(names[at])
            yield from self._file(folder, folder_number, names[at])
            at += 1

    def _file(self, folder: bytes, folder_number: int, name: bytes) -> Iterator[Block]:
        """Read a file, and compare its state before the first byte with that after the last."""
        path = joined(folder, name)
        try:
            number = os.open(name, _FLAGS, dir_fd=folder_number)
        except OSError as error:
            self._source.leave_out(shown(path), unreadable(error))
            return
        try:
            before = os.fstat(number)
            refusal = self._refusal(before, path)
            if refusal:
                self._source.leave_out(shown(path), refusal)
            else:
                yield from self._content(number, before, path)
        except OSError as error:
            self._broken(path, unreadable(error))
        finally:
            os.close(number)

    def _content(self, number: int, before: os.stat_result, path: bytes) -> Iterator[Block]:
        buffer = self._buffer
        if before.st_size < buffer.room_bytes:
            # There is room for a byte more: a read that does not bring it met the end.
            buffer.filled += os.readv(number, [buffer.view[buffer.filled :]])
            if buffer.open_bytes == before.st_size:
                buffer.close_object()
                return
        else:
            # It begins the next block. Begun in this one, it would have to be moved there.
            yield from buffer.hand_out()
        left_bytes = max(0, before.st_size - buffer.open_bytes)
        yield from buffer.read(lambda room: os.readv(number, [room]), left_bytes)
        more = os.pread(number, 1, before.st_size)
        after = os.fstat(number)
        same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        if same and not more and buffer.open_bytes == before.st_size:
            buffer.close_object()
        else:
            self._broken(path, "changed while it was read")

    def _refusal(self, state: os.stat_result, path: bytes) -> str:
        if not stat.S_ISREG(state.st_mode):
            return SPECIAL_FILE
        if self._linked_once and self._source.links.is_further(state, path):
            return FURTHER_LINK
        return ""

    def _broken(self, path: bytes, reason: str) -> None:
        """Leave a file out: all of it where nothing was handed out, else what is missing."""
        buffer = self._buffer
        if buffer.can_drop:
            buffer.drop_object()
            self._source.leave_out(shown(path), f"{reason}; nothing of it is counted")
            return
        told = f"{reason}; the {buffer.open_bytes} bytes read until then are counted"
        buffer.close_object()
        self._source.leave_out(shown(path), told)


class _Many:
    """Files of a folder that the part in C reads, as long as none needs more care."""

    def __init__(
        self, library: Native, folder_number: int, names: list[bytes], linked_once: bool
    ) -> None:
        self._library = library
        self._folder_number = folder_number
        self._names = b"\0".join(names) + b"\0"
        # A place, as what is left of them would be copied for each file that is not read here.
        self._place = cast(c_char_p(self._names), c_void_p).value or 0
        self._left = len(names)
        self._linked_once = linked_once
        self._at = 0
        self._ends = (c_int64 * len(names))()

    def read(self, buffer: BlockBuffer) -> int:
        """Read files into a buffer, each an object, and return how many; the next one is left.

        It needs more care than a file of a known length that fits, or more room than there is.
        """
        names_bytes = c_int64()
        count: int = self._library.files_read(
            self._folder_number, self._place + self._at, self._left, address_of(buffer.view),
            len(buffer.view), buffer.filled, _LEAST_ROOM_BYTES, _FLAGS, self._linked_once,
            self._ends, byref(names_bytes),
        )  # fmt: skip
        self._at += names_bytes.value
        self._left -= count
        buffer.close_objects(self._ends[:count])
        return count

    def skip(self, name: bytes) -> None:
        """Pass over the next file, which somebody else reads."""
        self._at += len(name) + 1
        self._left -= 1


def count_links_once(sources: Sequence[Source]) -> None:
    """Let hard links to one file count once over all of these sources, not once in each."""
    links = HardLinks()
    for source in sources:
        if isinstance(source, FileSource):
            source.links = links


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
