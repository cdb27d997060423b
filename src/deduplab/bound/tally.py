"""The tally of one grain: which chunks were seen, how often, and how far apart.

Exact: every chunk is kept. Sampled: a chunk is kept if the first half of its
fingerprint lies below p x 2^64, p = 2^-k. Because the choice depends on the
content alone, every copy of a kept chunk is seen, and tallies of shards can be
merged. k grows as soon as more than :data:`MOST_ROWS` chunks would be kept, so
the state is bounded (adaptive sampling: M. Wegman 1984; P. Flajolet, "On
adaptive sampling", Computing 43, 1990).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.chunks import Chunks
from deduplab.bound.compression import CompressionSample
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.histogram import LogHistogram
from deduplab.bound.limits import MOST_ROWS
from deduplab.bound.rows import SortedRows
from deduplab.bound.table import ChunkTable, Column, halvings_within, threshold

_LEAST_WAITING: Final = 1024
_SAMPLED_WAITING: Final = 8192
_MOST_TOLD: Final = 4096
_MOST_TELLINGS: Final = 256


class Tally:
    """Chunks of one grain in one stream, told in their order, which tile the stream.

    Parameters
    ----------
    halvings
        None for an exact tally, k of p = 2^-k for one that begins with that sample.
    compression
        Where chunks are compressed, or None.
    """

    def __init__(self, halvings: int | None, compression: CompressionSample | None) -> None:
        self.halvings = halvings
        self.compression = compression
        self.chunks = 0
        self.logical_bytes = 0
        self.distances = LogHistogram()
        self._rows = SortedRows()
        self._part_begin = 0
        self._table: ChunkTable | None = None
        # As they were told, until they are enough for steps over all of them.
        self._told: list[tuple[npt.NDArray[np.int64], Fingerprints]] = []
        self._told_rows = 0
        # Rows: the halves of the fingerprint, length, end; what waits, in order.
        self._waiting = np.empty((4, 0), dtype=np.uint64)
        self._waiting_rows = 0

    def copy(self, compressed_bytes: int) -> Tally:
        """Return a tally that goes on apart from here, and compresses so much at most."""
        self.settle()
        sample = self.compression
        other = Tally(self.halvings, None if sample is None else sample.copy(compressed_bytes))
        other.chunks, other.logical_bytes = self.chunks, self.logical_bytes
        other.distances = self.distances.copy()
        other._rows = self._rows.copy()
        other._part_begin = self._part_begin
        return other

    @property
    def rows(self) -> ChunkTable:
        """The unique chunks that were counted, without those that wait."""
        return self._rows.table() if self._table is None else self._table

    def add(self, chunks: Chunks) -> None:
        """Count the next chunks."""
        rows = len(chunks.marks)
        if not rows:
            return
        if self.compression is not None:
            self.compression.add(chunks.read, chunks.picked(self.compression.thinning))
        self._told.append((chunks.lengths, chunks.marks))
        self._told_rows += rows
        if self._told_rows >= _MOST_TOLD or len(self._told) >= _MOST_TELLINGS:
            self._take_told()

    def _take_told(self) -> None:
        if not self._told:
            return
        lengths = np.concatenate([told for told, _ in self._told])
        marks = np.concatenate([told for _, told in self._told])
        self._told.clear()
        self._told_rows = 0
        ends = self.logical_bytes + np.cumsum(lengths)
        self.chunks += len(marks)
        self.logical_bytes = int(ends[-1])
        if self.halvings is None:
            self._wait(marks, lengths, ends)
            if self._waiting_rows >= self._most_waiting():
                self._count_waiting()
            return
        for at in range(0, len(marks), _SAMPLED_WAITING):
            part = slice(at, at + _SAMPLED_WAITING)
            self._wait_sampled(marks[part], lengths[part], ends[part], self.halvings)

    def settle(self) -> None:
        """Count what waits."""
        self._take_told()
        self._count_waiting()

    def begin_part(self) -> None:
        """Go on with a part that has no distances to what was before it."""
        self.settle()
        self._part_begin = self.logical_bytes

    def close(self) -> None:
        """Settle, and let go of all but the table: nothing is to be added any more."""
        self.settle()
        if self._table is None:
            self._table = self._rows.table()
            self._rows = SortedRows()

    def _count_waiting(self) -> None:
        waiting = self._waiting[:, : self._waiting_rows]
        self._waiting_rows = 0
        while waiting.shape[1]:
            # The sample is halved behind the very chunk with which it passes its limit.
            stop = self._within_limit(waiting[0], waiting[1])
            first, second, lengths, ends = waiting[:, :stop]
            gaps = self._rows.count(first, second, lengths, ends, self._part_begin)
            self.distances.add(gaps, weight=1 << (self.halvings or 0))
            waiting = waiting[:, stop:]
            if self.halvings is not None and len(self._rows) > MOST_ROWS:
                self.halvings = halvings_within(self._rows.table().first, self.halvings)
                self._rows.keep_below(self.halvings)
                waiting = waiting[:, waiting[0] < np.uint64(threshold(self.halvings))]

    def _within_limit(self, first: Column, second: Column) -> int:
        """Return how many chunks can be counted until the sample has passed its limit, or all."""
        left = MOST_ROWS - len(self._rows)
        if self.halvings is None or len(first) <= left:
            return len(first)
        new = self._rows.new_places(first, second)
        return int(new[left]) + 1 if len(new) > left else len(first)

    def _wait(
        self,
        marks: Fingerprints,
        lengths: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> None:
        stop = self._waiting_rows + len(marks)
        if stop > self._waiting.shape[1]:
            twice = max(2 * self._waiting.shape[1], _LEAST_WAITING)
            rows = max(stop, min(twice, self._most_waiting()))
            wider = np.empty((4, rows), dtype=np.uint64)
            wider[:, : self._waiting_rows] = self._waiting[:, : self._waiting_rows]
            self._waiting = wider
        first, second, kept_lengths, kept_ends = self._waiting[:, self._waiting_rows : stop]
        first[:] = marks[:, 0]
        second[:] = marks[:, 1]
        kept_lengths[:] = lengths
        kept_ends[:] = ends
        self._waiting_rows = stop

    def _wait_sampled(
        self,
        marks: Fingerprints,
        lengths: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        halvings: int,
    ) -> None:
        if halvings:
            kept = np.flatnonzero(marks[:, 0] < np.uint64(threshold(halvings)))
            marks, lengths, ends = marks[kept], lengths[kept], ends[kept]
        if len(marks):
            self._wait(marks, lengths, ends)
        # A chunk that waits is kept by today's threshold, so settle before it changes.
        if self._waiting_rows >= self._most_waiting():
            self._count_waiting()

    def _most_waiting(self) -> int:
        """Return how many chunks wait before they are counted at once."""
        return self._rows.most_waiting() if self.halvings is None else _SAMPLED_WAITING
