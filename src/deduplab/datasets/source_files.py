"""Source files: the user's own files as they were when they were indexed, and read with care."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.origins import cached, families
from deduplab.errors import DatasetError


class SourceFile(NamedTuple):
    """A file as it was when it was indexed; names are bytes, since not all are UTF-8."""

    path: bytes
    inode: int
    length_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: bytes, descriptor: int) -> SourceFile:
        """Return the file that is open under a descriptor."""
        status = os.fstat(descriptor)
        return cls(path, status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def name(self) -> str:
        """Its path for people."""
        return os.fsdecode(self.path)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open it for reading; at the end it must still be the file that was indexed."""
        with opened(self.path) as descriptor:
            yield descriptor
            self.check(descriptor)

    def check(self, descriptor: int) -> None:
        """Refuse what was read if the file is not the one that was indexed."""
        if SourceFile.of(self.path, descriptor) != self:
            raise changed(self.path)

    def check_again(self) -> None:
        """Refuse what was read under this name if another file took its place meanwhile."""
        with self.opened():
            pass

    def fill(self, descriptor: int, offset: int, out: memoryview) -> None:
        """Read from an offset until ``out`` is full."""
        length_bytes = len(out)
        try:
            filled = os.preadv(descriptor, (out,), offset)
            while filled < length_bytes:
                count = os.preadv(descriptor, (out[filled:],), offset + filled)
                if count == 0:
                    raise changed(self.path)
                filled += count
        except OSError as error:
            raise unreadable(self.path, error) from error


@contextmanager
def opened(path: bytes) -> Iterator[int]:
    """Open a file for reading; without waiting, should it turn out to be a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sources_of(spec: DatasetSpec) -> list[bytes]:
    """Return the files and folders of a dataset: its source, else what was fetched.

    Raises
    ------
    DatasetError
        If it has no source, and nothing was fetched.
    """
    if spec.source is not None:
        return [os.fsencode(spec.source)]
    found = cached(spec.payload)
    if not found:
        raise DatasetError(_not_fetched(spec.payload))
    return [os.fsencode(path) for path in found]


def missing_source(spec: DatasetSpec) -> str:
    """Say why there is no data for a specification, and how to get it; empty if there is some.

    Data of one's own is there if its file or folder is; synthetic data always is.
    """
    if spec.source is not None:
        there = os.path.exists(spec.source)  # noqa: PTH110 - a name as the plan has it
        return "" if there else f"the source {spec.source!r} of {spec.payload} is not there"
    if spec.payload not in families() or cached(spec.payload):
        return ""
    return _not_fetched(spec.payload)


def _not_fetched(payload: str) -> str:
    return (
        f"there is no data for {payload} yet; get it with: deduplab data fetch "
        f"{payload}, or name a file or folder of your own as its source in the plan"
    )


def is_folder(source: bytes) -> bool:
    """Tell whether a source is a folder; False for what can't be read."""
    return os.path.isdir(source)  # noqa: PTH112 - names are bytes, which Path does not take


def refuse_special(source: bytes) -> bool:
    """Refuse what is neither a regular file nor a folder; tell whether it is a folder.

    Raises
    ------
    DatasetError
        If it is neither, or can't be looked at.
    """
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116 - names are bytes, which Path does not take
    except OSError as error:
        raise unreadable(source, error) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DatasetError(f"source {os.fsdecode(source)!r} is neither a regular file nor a folder")
    return stat.S_ISDIR(mode)


def regular_files(source: bytes) -> Iterator[bytes]:
    """Yield the source itself if it is a file, else the regular files below it, in order.

    In each folder first its files, then its folders, by name as bytes; symbolic
    links in it are left out.

    Raises
    ------
    DatasetError
        If the source, or a folder in it, can't be read.
    """
    if not refuse_special(source):
        yield source
        return
    for folder, folders, names in os.walk(source, onerror=_refuse_folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - names are bytes
            if _is_regular(path):
                yield path


def unreadable(path: bytes, error: Exception) -> DatasetError:
    """Word the error of a source that can't be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DatasetError(f"source {os.fsdecode(path)!r} can't be read: {reason}")


def changed(path: bytes) -> DatasetError:
    """Word the error of a source that is no longer what it was."""
    return DatasetError(
        f"source {os.fsdecode(path)!r} changed while it was in use; "
        "copy the data to a place where nothing writes, and start again"
    )


def _is_regular(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError as error:
        raise unreadable(path, error) from error


def _refuse_folder(error: OSError) -> NoReturn:
    raise unreadable(os.fsencode(error.filename), error) from error
