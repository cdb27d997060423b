"""Block devices and standard input: one object each, read from its beginning to its end."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from deduplab.bound.sources.base import ScanSource
from deduplab.bound.sources.buffer import BlockBuffer, Readinto
from deduplab.bound.sources.tree import unreadable
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError, PlanError


class DeviceSource(ScanSource):
    """A block device, as one object as long as the device.

    Its length is where a seek to its end arrives, as for an image file. It is
    opened for reading only, also while it is mounted; then what is read may be
    of several moments.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)

    def total_bytes(self) -> int | None:
        """Return the length of the device."""
        number = self._open()
        try:
            return os.lseek(number, 0, os.SEEK_END)
        finally:
            os.close(number)

    def blocks(self) -> Iterator[Block]:
        """Read the whole device."""
        self.left_out.clear()
        number = self._open()
        try:
            length_bytes = os.lseek(number, 0, os.SEEK_END)
            os.lseek(number, 0, os.SEEK_SET)
            yield from whole(self, lambda room: os.readv(number, [room]), length_bytes)
        finally:
            os.close(number)

    def _open(self) -> int:
        try:
            return os.open(self.name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DatasetError(f"{self.name!r} {unreadable(error)}") from error


class StandardInput(ScanSource):
    """What is written to us, as one object, until it ends. It can be read once.

    Parameters
    ----------
    stream
        A binary stream to read instead.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        super().__init__("standard input")
        self._stream = stream
        self._read = False

    def total_bytes(self) -> int | None:
        """Return the length where a file is the input, None for a pipe."""
        try:
            state = os.fstat((self._stream or sys.stdin.buffer).fileno())
        except (OSError, ValueError):
            return None
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    def blocks(self) -> Iterator[Block]:
        """Read until the end.

        Raises
        ------
        PlanError
            If it was read before.
        """
        if self._read:
            raise PlanError("standard input can be read only once")
        self._read = True
        stream: Any = self._stream or sys.stdin.buffer
        yield from whole(self, stream.readinto)

    def __reduce__(self) -> tuple[Any, ...]:
        raise PlanError(
            "standard input belongs to this process and can't be given to another; "
            "scan it without workers"
        )


class PipeSource(ScanSource):
    """A named pipe, as one object, until its writers close it. It can be read once."""

    def __init__(self, path: str) -> None:
        super().__init__(path)

    def blocks(self) -> Iterator[Block]:
        """Read until the end.

        Raises
        ------
        DatasetError
            If it can't be opened.
        """
        self.left_out.clear()
        try:
            stream = open(self.name, "rb", buffering=0)  # noqa: PTH123, SIM115 - closed below
        except OSError as error:
            raise DatasetError(f"{self.name!r} {unreadable(error)}") from error
        with stream:
            yield from whole(self, stream.readinto)


def whole(
    source: ScanSource, readinto: Readinto, length_bytes: int | None = None
) -> Iterator[Block]:
    """Read one object until its end; it must have ``length_bytes`` where that is known."""
    buffer = BlockBuffer(large_page=True)
    reason = ""
    try:
        yield from buffer.read(readinto, length_bytes)
    except OSError as error:
        reason = unreadable(error)
    read_bytes = buffer.open_bytes
    if not reason and length_bytes is not None and read_bytes != length_bytes:
        reason = f"ended {length_bytes - read_bytes} bytes early"
    if reason:
        source.leave_out(source.name, f"{reason}; the {read_bytes} bytes before are counted")
    if read_bytes or not reason:
        buffer.close_object()
    yield from buffer.hand_out()
