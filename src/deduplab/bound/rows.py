"""Unique chunks as they are counted: rows that are found by fingerprint, and grow in number.

Two ways to the same rows: in a table of slots, by code compiled from C (``rows.c``) where it was
built, else sorted, by steps of numpy over many chunks at once.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from deduplab.bound.native import Native, native
from deduplab.bound.table import ChunkTable, Column, rows_below, sorted_order

_LEAST_SLOTS: Final = 1024
_LEAST_SORTED: Final = 1 << 16


class Rows(Protocol):
    """What chunks are counted into."""

    def __len__(self) -> int:
        """Return how many unique chunks there are."""
        ...

    def count(
        self, first: Column, second: Column, lengths: Column, ends: Column, behind: int
    ) -> Column:
        """Count chunks in their order.

        Parameters
        ----------
        first, second
            The halves of their fingerprints.
        lengths, ends
            Their lengths, and where they end in the stream.
        behind
            Copies that end in front of this place count as chunks, but have no distance.

        Returns
        -------
        Column
            Of each that was there before, the bytes between that copy's end and its begin.
        """
        ...

    def most_waiting(self) -> int:
        """Return how many chunks should wait to be counted by one call."""
        ...

    def table(self) -> ChunkTable:
        """Return them sorted."""
        ...

    def copy(self) -> Rows:
        """Return rows that go on apart from here."""
        ...

    def keep_below(self, halvings: int) -> None:
        """Keep only those that a sample of p = 2^-halvings keeps."""
        ...


def new_rows(halvings: int) -> Rows:
    """Return rows for chunks that a sample of p = 2^-halvings keeps; 0 for all chunks."""
    library = native()
    return SortedRows() if library is None else HashedRows(library, halvings)


class HashedRows:
    """Rows in slots, half to four fifths of which are in use when there are many."""

    def __init__(self, library: Native, halvings: int) -> None:
        self._library = library
        self._halvings = halvings
        self._slots = np.zeros((_LEAST_SLOTS, 5), dtype=np.uint64)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def count(
        self, first: Column, second: Column, lengths: Column, ends: Column, behind: int
    ) -> Column:
        """Count chunks; see :meth:`Rows.count`."""
        needed = 5 * (self._used + len(first)) // 4
        if needed > len(self._slots):
            self._grow(max(needed, 3 * len(self._slots) // 2))
        news, gaps = self._library.count_rows(
            self._slots, self._halvings, behind, first, second, lengths, ends
        )
        self._used += news
        return gaps

    def most_waiting(self) -> int:
        """Return how many chunks should wait to be counted by one call: as few as you like."""
        return 1

    def table(self) -> ChunkTable:
        """Return them sorted."""
        used = np.flatnonzero(self._slots[:, 3])
        order = used[sorted_order(self._slots[used, 0], self._slots[used, 1])]
        return ChunkTable(*(self._slots[order, column] for column in range(4)))

    def copy(self) -> HashedRows:
        """Return rows that go on apart from here."""
        other = HashedRows(self._library, self._halvings)
        other._slots, other._used = self._slots.copy(), self._used
        return other

    def keep_below(self, halvings: int) -> None:
        """Keep only those that a sample of p = 2^-halvings keeps."""
        slots = self._slots
        # What is not kept becomes free before the others are moved.
        slots[slots[:, 0] >= np.uint64(1 << (64 - halvings)), 3] = 0
        self._halvings = halvings
        self._used = int(np.count_nonzero(slots[:, 3]))
        self._grow(max(_LEAST_SLOTS, 5 * self._used // 3))

    def _grow(self, slots: int) -> None:
        wider = np.zeros((slots, 5), dtype=np.uint64)
        self._library.move_rows(self._slots, wider, self._halvings)
        self._slots = wider


class SortedRows:
    """Rows in columns, sorted by fingerprint, beside them where each chunk last ended."""

    def __init__(self) -> None:
        self._table = ChunkTable.empty()
        self._lasts: Column = np.zeros(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._table)

    def count(
        self, first: Column, second: Column, lengths: Column, ends: Column, behind: int
    ) -> Column:
        """Count chunks; see :meth:`Rows.count`."""
        order = sorted_order(first, second)
        first, second, lengths, ends = first[order], second[order], lengths[order], ends[order]
        opens = np.ones(len(first), dtype=np.bool_)
        opens[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        gaps = (ends[1:] - lengths[1:] - ends[:-1])[~opens[1:] & (ends[:-1] > behind)]
        rows = np.flatnonzero(opens)
        found = ChunkTable(
            first[rows],
            second[rows],
            lengths[rows],
            np.diff(rows, append=len(first)).astype(np.uint64),
        )
        closes = np.append(rows[1:], len(first)) - 1
        known_gaps = self._insert(found, (ends - lengths)[rows], ends[closes], behind)
        return np.concatenate([gaps, known_gaps])

    def _insert(self, found: ChunkTable, begins: Column, ends: Column, behind: int) -> Column:
        """Put unique chunks into the table: where each first began, and last ended."""
        table = self._table
        places, known = table.find(found)
        at = places[known]
        lasts = self._lasts[at]
        gaps: Column = (begins[known] - lasts)[lasts > behind]
        table.counts[at] += found.counts[known]
        self._lasts[at] = ends[known]
        if known.all():
            return gaps
        new, where = ~known, places[~known]
        # One column after another, so that only one is there twice.
        table.first = np.insert(table.first, where, found.first[new])
        table.second = np.insert(table.second, where, found.second[new])
        table.lengths = np.insert(table.lengths, where, found.lengths[new])
        table.counts = np.insert(table.counts, where, found.counts[new])
        self._lasts = np.insert(self._lasts, where, ends[new])
        return gaps

    def most_waiting(self) -> int:
        """Return how many chunks should wait to be sorted by one call."""
        return max(_LEAST_SORTED, len(self._table) // 2)

    def table(self) -> ChunkTable:
        """Return them sorted."""
        return self._table

    def copy(self) -> SortedRows:
        """Return rows that go on apart from here."""
        other, table = SortedRows(), self._table
        other._table = ChunkTable(table.first, table.second, table.lengths, table.counts.copy())
        other._lasts = self._lasts.copy()
        return other

    def keep_below(self, halvings: int) -> None:
        """Keep only those that a sample of p = 2^-halvings keeps."""
        table = self._table
        kept = rows_below(table.first, halvings)
        # Copies, so that the rest is let go.
        self._table = ChunkTable(
            table.first[:kept].copy(),
            table.second[:kept].copy(),
            table.lengths[:kept].copy(),
            table.counts[:kept].copy(),
        )
        self._lasts = self._lasts[:kept].copy()
