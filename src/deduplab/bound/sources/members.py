"""Members of an archive on their way into blocks, and what is said when it is broken."""

from __future__ import annotations

from collections.abc import Iterator

from deduplab.bound.sources.base import ScanSource, words_of
from deduplab.bound.sources.buffer import BlockBuffer, Readinto
from deduplab.bound.stream import Block


class Members:
    """Collects an archive's members into blocks.

    A member that fits into one block is handed out only when it is complete,
    so nothing of it counts if it is broken.
    """

    def __init__(self, source: ScanSource) -> None:
        self._source = source
        self.buffer = BlockBuffer()
        self.count = 0
        self.name = ""

    def add(self, name: str, length_bytes: int, readinto: Readinto) -> Iterator[Block]:
        """Read one member.

        Raises
        ------
        EOFError
            If it ends before it has its length; the member stays in hand.
        """
        buffer = self.buffer
        if length_bytes > buffer.room_bytes:
            yield from buffer.hand_out()
        self.name = name
        yield from buffer.read(readinto, length_bytes)
        if buffer.open_bytes < length_bytes:
            raise EOFError("it ends in the middle of a member")

    def close(self) -> None:
        """Count the member in hand as complete."""
        self.buffer.close_object()
        self.count += 1

    def give_up(self, error: Exception) -> str:
        """Drop the member in hand as far as it was not handed out; return what is to be said."""
        buffer = self.buffer
        said = words_of(error)
        if buffer.can_drop:
            buffer.drop_object()
            return f"broken: {said}; nothing of it is counted"
        counted_bytes = buffer.open_bytes
        self.close()
        return f"broken: {said}; its first {counted_bytes} bytes are counted"

    def rest_is_lost(self, error: Exception) -> None:
        """Say that the archive can't be read any further."""
        if self.buffer.open_bytes or not self.buffer.can_drop:
            self._source.leave_out(f"{self._source.name}: {self.name}", self.give_up(error))
        self._source.leave_out(
            self._source.name,
            f"the archive is broken after {self.count} members, which are counted "
            f"({words_of(error)}); what follows is not counted",
        )
