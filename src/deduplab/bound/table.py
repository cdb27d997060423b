"""Unique chunks in columns, sorted by fingerprint, and what can be asked of two such tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from deduplab.bound.figures import COUNTED_APART, OCTAVES, PERCENTS, Figures
from deduplab.bound.limits import MOST_ROWS

Column = npt.NDArray[np.uint64]


@dataclass(slots=True)
class ChunkTable:
    """Unique chunks; all columns uint64, shape (chunks,).

    ``first`` and ``second`` are the halves of the fingerprints, by which the rows
    are sorted and distinct, ``lengths`` the chunks' lengths in bytes, ``counts``
    how often each was seen.
    """

    first: Column
    second: Column
    lengths: Column
    counts: Column

    @classmethod
    def empty(cls) -> ChunkTable:
        """Return a table without rows."""
        return cls(*(np.zeros(0, dtype=np.uint64) for _ in fields(cls)))

    def __len__(self) -> int:
        return len(self.first)

    @property
    def unique_bytes(self) -> int:
        """Sum of the lengths, each chunk counted once."""
        return int(self.lengths.sum())

    def table(self) -> ChunkTable:
        """Return itself: the rows of a sketch are a table, or can be made one."""
        return self

    def occurrences(self) -> list[int]:
        """Return how often each was seen."""
        counts: list[int] = self.counts.tolist()
        return counts

    def figures(self) -> Figures:
        """Return what is published of the rows."""
        few = self.counts < COUNTED_APART
        apart = np.bincount(self.counts[few].astype(np.int64), minlength=COUNTED_APART)
        ordered = np.sort(self.lengths).tolist()
        places = [(len(ordered) * percent + 99) // 100 - 1 for percent in PERCENTS]
        return Figures(
            unique_chunks=len(ordered),
            unique_bytes=self.unique_bytes,
            squares=sum(length * length for length in ordered),
            copies=[*apart.tolist(), *_by_bits(self.counts[~few])],
            lengths=_by_bits(self.lengths),
            percentiles_bytes=[ordered[place] if ordered else 0 for place in places],
        )

    def below(self, halvings: int) -> ChunkTable:
        """Return the rows whose fingerprints a sample of p = 2^-halvings keeps."""
        kept = rows_below(self.first, halvings)
        return ChunkTable(*(getattr(self, field.name)[:kept] for field in fields(self)))

    def take(self, rows: npt.NDArray[np.bool_]) -> ChunkTable:
        """Return some of the rows, in order."""
        return ChunkTable(*(getattr(self, field.name)[rows] for field in fields(self)))

    def find(self, other: ChunkTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return, for each row of another table, its place here, and whether it is here."""
        places = np.searchsorted(self.first, other.first).astype(np.int64)
        if not len(self):
            return places, np.zeros(len(other), dtype=np.bool_)
        while True:
            within = np.minimum(places, len(self) - 1)
            same = (places < len(self)) & (self.first[within] == other.first)
            # Equal first halves of different chunks are rare, and sorted by the second half.
            behind = same & (self.second[within] < other.second)
            if not behind.any():
                return places, same & (self.second[within] == other.second)
            places[behind] += 1

    @classmethod
    def union(cls, tables: Sequence[ChunkTable]) -> ChunkTable:
        """Return the chunks of all tables, with the sums of their counts; at least one table."""
        first = np.concatenate([table.first for table in tables])
        second = np.concatenate([table.second for table in tables])
        order = sorted_order(first, second)
        first, second = first[order], second[order]
        opens = np.ones(len(first), dtype=np.bool_)
        opens[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        rows = np.flatnonzero(opens)
        if not len(rows):
            return cls.empty()
        lengths = np.concatenate([table.lengths for table in tables])[order[rows]]
        counts = np.concatenate([table.counts for table in tables])[order]
        return cls(first[rows], second[rows], lengths, np.add.reduceat(counts, rows))


def _by_bits(values: Column) -> list[int]:
    """Return how many values have a length of so many bits; they are below 2^53."""
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    counts: list[int] = np.bincount(bits, minlength=OCTAVES).tolist()
    return counts


def threshold(halvings: int) -> int:
    """Return the number below which a sample of p = 2^-halvings keeps the first half."""
    return 1 << (64 - halvings)


def rows_below(first: Column, halvings: int) -> int:
    """Return how many of the sorted first halves a sample of p = 2^-halvings keeps."""
    if halvings == 0:
        return len(first)
    return int(np.searchsorted(first, np.uint64(threshold(halvings))))


def halvings_within(first: Column, halvings: int) -> int:
    """Return the least k, from ``halvings`` on, whose sample keeps no more than a tally may.

    ``first`` are the sorted first halves of fingerprints.
    """
    while rows_below(first, halvings) > MOST_ROWS:
        halvings += 1
    return halvings


def sorted_order(first: Column, second: Column) -> npt.NDArray[np.int64]:
    """Return the order by both halves that leaves equal fingerprints as they come."""
    order = np.argsort(first, kind="stable")
    ordered = first[order]
    equal = ordered[1:] == ordered[:-1]
    ordered = second[order]
    if np.any(equal & (ordered[1:] != ordered[:-1])):
        return np.lexsort((second, first))
    return order
