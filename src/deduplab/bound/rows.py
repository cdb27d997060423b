"""Unique chunks as they are counted: rows that are found by fingerprint, and grow in number.

By steps of numpy over many chunks at once; ``tally.c`` does the same where it was built.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.table import ChunkTable, Column, rows_below, sorted_order

_LEAST_WAITING: Final = 1 << 16


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

    def new_places(self, first: Column, second: Column) -> npt.NDArray[np.int64]:
        """Return which of some chunks would be new rows, ascending; of equal ones the first."""
        order = sorted_order(first, second)
        first, second = first[order], second[order]
        opens = np.ones(len(order), dtype=np.bool_)
        opens[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        none = np.zeros(np.count_nonzero(opens), dtype=np.uint64)
        known = self._table.find(ChunkTable(first[opens], second[opens], none, none))[1]
        return np.sort(order[opens][~known])

    def most_waiting(self) -> int:
        """Return how many chunks should wait to be sorted by one call."""
        return max(_LEAST_WAITING, len(self._table) // 2)

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
