"""What a scan reads: sources that hand out objects in blocks of memory.

A source knows where its data lies; the scan knows only these types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from array import array

    import numpy as np
    import numpy.typing as npt

    Offsets: TypeAlias = npt.NDArray[np.int64] | array[int]


class Block(NamedTuple):
    """Objects (files, rows, values, messages) back to back in memory, in order.

    A large object comes as many blocks, small ones come many to a block.

    Parameters
    ----------
    data
        Bytes, one-dimensional and contiguous; valid until the next block is asked for.
    offsets
        int64, shape (objects + 1,), ascending, of numpy or an ``array("q")``: object i is
        ``data[offsets[i]:offsets[i + 1]]``. ``offsets[0]`` may be above 0.
        An object may be empty; it counts as an object without bytes.
    continues
        The last object goes on in the next block of the same stream, whose
        first object is its continuation.
    stream
        The column's name, or ``""``: streams are scanned apart.
    """

    data: memoryview
    offsets: Offsets
    continues: bool = False
    stream: str = ""

    @property
    def logical_bytes(self) -> int:
        """Sum of the objects' lengths in bytes, as far as they lie in this block."""
        return int(self.offsets[-1] - self.offsets[0])


class LeftOut(NamedTuple):
    """Something that could not be read, by name, with the reason in a sentence."""

    name: str
    reason: str


class Source(ABC):
    """One thing to scan: a folder, a table, an archive, standard input.

    It reads, and never writes to what it reads. A source that is sent to another
    process must be picklable before its first block is asked for.

    Attributes
    ----------
    name
        What a person calls it; used in messages and results.
    left_out
        What could not be read so far, with the reasons; complete when
        :meth:`blocks` has ended.
    forks
        Whether a process that was forked can read it, as one stream: no more is used for it
        than Python and the system, as libraries with threads of their own stand still after a
        fork.
    """

    name: str
    left_out: list[LeftOut]
    forks: bool = False

    def total_bytes(self) -> int | None:
        """Return the logical bytes to come, for progress only; None where it isn't known."""
        return None

    def shards(self, count: int) -> Sequence[Source]:
        """Return sources that together have the same objects, for up to so many processes.

        No object may be in two of them. A source that can't be split returns itself.
        """
        return [self]

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Read from the beginning, and hand out blocks in order."""


def split(sources: Sequence[Source], count: int) -> list[Source]:
    """Return about ``count`` parts of sources, in their order; at least one of each source."""
    each = max(1, count // len(sources))
    return [shard for source in sources for shard in source.shards(each)]
