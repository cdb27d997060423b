"""A reused buffer that collects objects and hands them out as blocks."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.stream import Block
from deduplab.units import MIB

_LARGE_PAGE_BYTES: Final = 2 * MIB

Readinto = Callable[[memoryview], int | None]
"""Reads into a buffer and returns how many bytes it read; 0 or None at the end."""


class BlockBuffer:
    """Objects that are read into one buffer, many to a block, large ones over several.

    The object in hand begins at the last entry of ``bounds`` (or in an earlier
    block) and ends where :meth:`close_object` is called. A block is valid until
    the buffer is filled again.

    Parameters
    ----------
    stream
        The blocks' stream.
    capacity_bytes
        The length of the buffer.
    large_page
        Lay it into a large page of memory, where there are any: filling it is a sixth
        quicker, but takes 2 MiB however little of it is used.

    Attributes
    ----------
    view
        The whole buffer.
    bounds
        Where the objects of this block end, beginning with 0.
    filled
        How many bytes of the buffer are in use.
    """

    def __init__(
        self, stream: str = "", capacity_bytes: int = BLOCK_BYTES, *, large_page: bool = False
    ) -> None:
        self.view = (
            _in_large_page(capacity_bytes) if large_page else memoryview(bytearray(capacity_bytes))
        )
        self.bounds = [0]
        self.filled = 0
        self._stream = stream
        self._handed_out_bytes = 0

    @property
    def room_bytes(self) -> int:
        """How many bytes still fit."""
        return len(self.view) - self.filled

    @property
    def open_bytes(self) -> int:
        """Bytes of the object in hand, those in earlier blocks included."""
        return self._handed_out_bytes + self.filled - self.bounds[-1]

    @property
    def can_drop(self) -> bool:
        """Whether nothing of the object in hand was handed out yet."""
        return not self._handed_out_bytes

    def drop_object(self) -> None:
        """Forget the object in hand; only where :attr:`can_drop`."""
        self.filled = self.bounds[-1]

    def close_object(self) -> None:
        """End the object in hand; what follows belongs to the next one."""
        self.bounds.append(self.filled)
        self._handed_out_bytes = 0

    def close_objects(self, ends: Sequence[int]) -> None:
        """Take whole objects that were read into the room, by where each ends; none is in hand."""
        if ends:
            self.bounds += ends
            self.filled = ends[-1]

    def read(self, readinto: Readinto, most_bytes: int | None = None) -> Iterator[Block]:
        """Read on into the object in hand until the end, or until it has ``most_bytes`` more.

        Yields a block whenever the buffer is full. The object stays in hand.
        """
        left_bytes = most_bytes
        while left_bytes is None or left_bytes > 0:
            if not self.room_bytes:
                yield self._handed_out_full()
                self._go_on()
            room = self.view[self.filled :]
            if left_bytes is not None and left_bytes < len(room):
                room = room[:left_bytes]
            count = readinto(room)
            if not count:
                return
            self.filled += count
            if left_bytes is not None:
                left_bytes -= count

    def write(self, data: bytes | memoryview) -> Iterator[Block]:
        """Add bytes to the object in hand; yields a block whenever the buffer is full."""
        position = 0
        while position < len(data):
            if not self.room_bytes:
                yield self._handed_out_full()
                self._go_on()
            count = min(self.room_bytes, len(data) - position)
            self.view[self.filled : self.filled + count] = data[position : position + count]
            self.filled += count
            position += count

    def _handed_out_full(self) -> Block:
        """Return the block of a full buffer; :meth:`_go_on` follows when it has been used.

        An object that does not fit begins a block of its own: so its parts end at the same
        places wherever it lies, and a copy of it has equal parts.
        """
        if self.open_bytes and len(self.bounds) == 1:
            self._handed_out_bytes += self.filled
            self.bounds.append(self.filled)
            return self._block(self.bounds, continues=True)
        return self._block(self.bounds, continues=False)

    def _go_on(self) -> None:
        """Begin the next block with what the last one did not have of the object in hand."""
        begin = self.bounds[-1]
        open_bytes = self.filled - begin
        self.view[:open_bytes] = self.view[begin : self.filled]
        self.bounds = [0]
        self.filled = open_bytes

    def hand_out(self) -> Iterator[Block]:
        """Yield what is there, if anything; no object may be in hand."""
        if len(self.bounds) > 1:
            yield self._block(self.bounds, continues=False)
            self._go_on()

    def _block(self, bounds: list[int], *, continues: bool) -> Block:
        return Block(self.view[: bounds[-1]], array("q", bounds), continues, self._stream)


def _in_large_page(capacity_bytes: int) -> memoryview:
    """Return memory that lies in one page of 2 MiB, or in usual ones if that can't be had."""
    if not hasattr(mmap, "MADV_HUGEPAGE") or capacity_bytes > _LARGE_PAGE_BYTES:
        return memoryview(bytearray(capacity_bytes))
    # Twice as long, so that a whole page lies in it; what isn't touched takes no memory.
    space = mmap.mmap(-1, 2 * _LARGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel may be built without them
        space.madvise(mmap.MADV_HUGEPAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(space))
    begin = -address % _LARGE_PAGE_BYTES
    return memoryview(space)[begin : begin + capacity_bytes]
