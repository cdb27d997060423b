"""What the part in C has counted at one grain, as it lies in its memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from ctypes import byref, c_char
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from deduplab.bound.figures import Figures
from deduplab.bound.histogram import LogHistogram
from deduplab.bound.limits import ROW_BYTES
from deduplab.bound.native import FiguresNumbers, Native, TallyNumbers, checked

if TYPE_CHECKING:
    from deduplab.bound.compression import CompressionSample
    from deduplab.bound.table import ChunkTable


class NativeTally:
    """What was counted at one grain, which ends here: nothing more can be counted.

    Attributes
    ----------
    numbers
        Its numbers as they lie in that memory; see :class:`TallyNumbers`.
    """

    def __init__(
        self,
        library: Native,
        scan: object,
        address: int,
        compression: CompressionSample | None,
        *,
        sampled: bool,
    ) -> None:
        checked(library.tally_close(address))
        numbers = TallyNumbers.from_address(address)
        self.numbers = bytes(numbers)
        self.chunks: int = numbers.chunks
        self.logical_bytes: int = numbers.logical_bytes
        self.halvings: int | None = numbers.halvings if sampled else None
        self.distances = LogHistogram(array("Q", bytes(numbers.distances)))
        self.compression = compression
        self.rows = NativeRows(library, scan, address)


class CountedElsewhere(NamedTuple):
    """A tally of another process.

    Attributes
    ----------
    numbers
        Those of :class:`NativeTally`.
    rows_address
        Where its rows lie, as they were written.
    memory
        What they lie in; it is kept until they were merged.
    sample
        Its chunks that were compressed, where that was asked for.
    """

    numbers: bytes
    rows_address: int
    memory: object
    sample: CompressionSample | None

    @property
    def logical_bytes(self) -> int:
        """The sum of the lengths of all chunks."""
        found: int = TallyNumbers.from_buffer_copy(self.numbers).logical_bytes
        return found


class NativeRows:
    """Unique chunks in the library's memory, which is kept as long as this is."""

    def __init__(self, library: Native, scan: object, address: int) -> None:
        self._library = library
        self._scan = scan
        self._address = address

    def content(self) -> memoryview:
        """Return all of them as they lie in memory, :data:`ROW_BYTES` each, while this is held."""
        found = c_char * (self._settled() * ROW_BYTES)
        return memoryview(found.from_address(self._library.tally_rows(self._address))).cast("B")

    def table(self) -> ChunkTable:
        """Return them sorted, in columns."""
        return self._table

    @cached_property
    def _table(self) -> ChunkTable:
        import numpy as np  # late: not every scan needs it

        from deduplab.bound.table import ChunkTable

        columns = np.empty((4, self._settled()), dtype=np.uint64)
        places = [column.__array_interface__["data"][0] for column in columns]
        self._library.tally_columns(self._address, *places)
        return ChunkTable(*columns)

    def occurrences(self) -> Iterable[int]:
        """Return how often each was seen."""
        counts = array("Q", bytes(8 * self._settled()))
        self._library.tally_occurrences(self._address, counts.buffer_info()[0])
        return counts

    def figures(self) -> Figures:
        """Return what is published of them."""
        numbers = FiguresNumbers()
        checked(self._library.tally_figures(self._address, byref(numbers)))
        return Figures(
            unique_chunks=numbers.unique_chunks,
            unique_bytes=numbers.unique_bytes,
            squares=numbers.squares_low + (numbers.squares_high << 64),
            copies=list(numbers.copies),
            lengths=list(numbers.lengths),
            percentiles_bytes=list(numbers.percentiles),
        )

    def _settled(self) -> int:
        """Merge what another process has counted, which figures do not need; return how many."""
        checked(self._library.tally_settle(self._address))
        found: int = TallyNumbers.from_address(self._address).used
        return found
