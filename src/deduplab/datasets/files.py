"""The family ``files``: pieces of the user's own files, each content once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from deduplab.bound.fingerprints import Fingerprints, FingerprintSet, fingerprints
from deduplab.datasets.payloads import Payloads, split_runs
from deduplab.errors import DatasetError
from deduplab.model import DatasetSpec
from deduplab.units import MIB, format_bytes

_READ_BYTES: Final = 4 * MIB


class FilePieces(Payloads):
    """Payload ``id`` is the id-th distinct piece of the source's files.

    Regular files in the order of their names (as bytes; in each folder first
    its files, then its folders; symbolic links in it are left out) are cut into
    pieces of ``object_bytes``. A file's last piece is left out if it is
    shorter, and a piece that occurred before is left out too, so that grade 0
    really has no copies. Only as much is read as the dataset needs. The index
    takes about 12 bytes a piece.

    Raises
    ------
    DatasetError
        If the source can't be read, has too few distinct pieces, or changes
        while it is in use.
    """

    def __init__(self, spec: DatasetSpec, unique: int) -> None:
        super().__init__(spec, unique)
        assert spec.source is not None
        self._files: list[_File] = []
        self._file_numbers = np.empty(unique, dtype=np.uint32)
        self._offsets = np.empty(unique, dtype=np.int64)
        self._index(os.fsencode(spec.source))

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        size_bytes = self.object_bytes
        numbers, offsets = self._file_numbers[ids], self._offsets[ids]
        follows = (numbers[1:] == numbers[:-1]) & (np.diff(offsets) == size_bytes)
        for start, stop in split_runs(follows):
            file = self._files[int(numbers[start])]
            with _opened(file.path) as descriptor:
                part = out[start * size_bytes : stop * size_bytes]
                _fill(descriptor, file, int(offsets[start]), part)
                file.check(descriptor)

    def _index(self, source: bytes) -> None:
        """Find the first ``unique`` distinct pieces."""
        found, seen = 0, FingerprintSet()
        for path in _regular_files(source):
            with _opened(path) as descriptor:
                file = _File.of(path, descriptor)
                if file.length_bytes < self.object_bytes:
                    continue
                self._files.append(file)
                for offset, marks in self._marks(descriptor, file):
                    new = np.flatnonzero(seen.add(marks))[: self.unique - found]
                    end = found + len(new)
                    self._file_numbers[found:end] = len(self._files) - 1
                    self._offsets[found:end] = offset + new * self.object_bytes
                    found = end
                    if found == self.unique:
                        break
                file.check(descriptor)
            if found == self.unique:
                return
        self._refuse(os.fsdecode(source), found)

    def _marks(self, descriptor: int, file: _File) -> Iterator[tuple[int, Fingerprints]]:
        """Yield the fingerprints of some pieces at a time, with the offset of the first."""
        size_bytes = self.object_bytes
        at_once_bytes = max(1, _READ_BYTES // size_bytes) * size_bytes
        whole_bytes = file.length_bytes // size_bytes * size_bytes
        buffer = memoryview(bytearray(min(at_once_bytes, whole_bytes)))
        for offset in range(0, whole_bytes, at_once_bytes):
            part = buffer[: min(at_once_bytes, whole_bytes - offset)]
            _fill(descriptor, file, offset, part)
            starts = range(0, len(part), size_bytes)
            ends = range(size_bytes, len(part) + 1, size_bytes)
            yield offset, fingerprints(part, starts, ends)

    def _refuse(self, source: str, found: int) -> NoReturn:
        size_bytes, grade = self.object_bytes, self.spec.grade_percent
        if not found:
            raise DatasetError(
                f"source {source!r} has no regular file of at least {size_bytes} bytes "
                "(object_bytes); take smaller objects or another source"
            )
        possible_bytes = found * 100 // (100 - grade) * size_bytes
        raise DatasetError(
            f"source {source!r} has {found * size_bytes} unique bytes "
            f"({format_bytes(found * size_bytes)}) in pieces of {size_bytes}, the dataset needs "
            f"{self.unique * size_bytes}; ask for at most {possible_bytes} logical_bytes "
            f"at grade {grade}"
        )


class _File(NamedTuple):
    """A file as it was when it was indexed."""

    path: bytes
    inode: int
    length_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: bytes, descriptor: int) -> _File:
        status = os.fstat(descriptor)
        return cls(path, status.st_ino, status.st_size, status.st_mtime_ns)

    def check(self, descriptor: int) -> None:
        """Refuse what was read if the file is not the one that was indexed."""
        if _File.of(self.path, descriptor) != self:
            raise DatasetError(_changed(self.path))


@contextmanager
def _opened(path: bytes) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DatasetError(_unreadable(path, error)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(descriptor: int, file: _File, offset: int, out: memoryview) -> None:
    """Read from an offset until ``out`` is full."""
    filled = 0
    while filled < len(out):
        try:
            count = os.preadv(descriptor, [out[filled:]], offset + filled)
        except OSError as error:
            raise DatasetError(_unreadable(file.path, error)) from error
        if count == 0:
            raise DatasetError(_changed(file.path))
        filled += count


def _regular_files(source: bytes) -> Iterator[bytes]:
    """Yield the source itself if it is a file, else the regular files below it, in order."""
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116 - names are bytes, which Path does not take
    except OSError as error:
        raise DatasetError(_unreadable(source, error)) from error
    if stat.S_ISREG(mode):
        yield source
        return
    if not stat.S_ISDIR(mode):
        raise DatasetError(f"source {os.fsdecode(source)!r} is neither a regular file nor a folder")
    for folder, folders, names in os.walk(source, onerror=_refuse_folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - names are bytes
            if _is_regular(path):
                yield path


def _is_regular(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError as error:
        raise DatasetError(_unreadable(path, error)) from error


def _refuse_folder(error: OSError) -> NoReturn:
    raise DatasetError(_unreadable(error.filename, error)) from error


def _unreadable(path: bytes, error: OSError) -> str:
    return f"source {os.fsdecode(path)!r} can't be read: {error.strerror}"


def _changed(path: bytes) -> str:
    return (
        f"source {os.fsdecode(path)!r} changed while it was in use; "
        "copy the data to a place where nothing writes, and start again"
    )
