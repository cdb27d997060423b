"""The tallies of a sketch's file: their numbers, and the tables that belong to them.

Nothing in them is trusted: every number is held against what a scan can have found.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import numpy as np

from deduplab.bound.chunks import are_kept
from deduplab.bound.compression import MOST_THINNING, CompressionSample, Sampled
from deduplab.bound.heads import CODECS
from deduplab.bound.histogram import BINS, LogHistogram
from deduplab.bound.sketch import GrainSketch
from deduplab.bound.table import ChunkTable, Column, rows_below

_TABLE_COLUMNS: Final = 4
_SAMPLE_COLUMNS: Final = 3 + len(CODECS)
_GREATEST: Final = 2**53

Count = Annotated[int, msgspec.Meta(ge=0, le=_GREATEST)]
_Halvings = Annotated[int, msgspec.Meta(ge=0, le=63)]
_Thinning = Annotated[int, msgspec.Meta(ge=0, le=MOST_THINNING)]
_Weight = Annotated[int, msgspec.Meta(ge=1, le=2**62)]
_Bin = Annotated[int, msgspec.Meta(ge=0, lt=BINS)]


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    most_bytes: Count
    thinning: _Thinning
    rows: Count


class Tally(msgspec.Struct, forbid_unknown_fields=True):
    """The numbers of a tally, as the header has them."""

    halvings: _Halvings | None
    chunks: Count
    logical_bytes: Count
    rows: Count
    distances: list[tuple[_Bin, _Weight]]
    compression: _Sample | None


class Refused(Exception):
    """What is wrong with a file."""


def described(grain: GrainSketch, columns: list[bytes]) -> Tally:
    """Append the columns of a tally, and return its numbers."""
    table, sample = grain.table, grain.compression
    for column in (table.first, table.second, table.lengths, table.counts):
        columns.append(column.astype("<u8").tobytes())
    if sample is not None:
        rows = [
            (mark, one.length_bytes, one.count, *one.compressed_bytes)
            for mark, one in sorted(sample.chunks.items())
        ]
        columns.append(np.array(rows, dtype="<u8").reshape(-1, _SAMPLE_COLUMNS).T.tobytes())
    return Tally(
        halvings=grain.halvings,
        chunks=grain.chunks,
        logical_bytes=grain.logical_bytes,
        rows=len(table),
        distances=[(place, count) for place, count in enumerate(grain.distances.counts) if count],
        compression=(
            None
            if sample is None
            else _Sample(sample.most_bytes, sample.thinning, len(sample.chunks))
        ),
    )


def read_tallies(tallies: list[Tally], columns: Column) -> list[GrainSketch]:
    """Return the tallies with their tables.

    Raises
    ------
    Refused
        If tables and numbers do not agree, or can't be those of a scan.
    """
    found, at = [], 0
    for tally in tallies:
        sample = tally.compression
        table_cells = _TABLE_COLUMNS * tally.rows
        sample_cells = _SAMPLE_COLUMNS * sample.rows if sample else 0
        if at + table_cells + sample_cells > len(columns):
            raise Refused("the sketch is damaged: its tables are longer than it; scan again")
        table = ChunkTable(*columns[at : at + table_cells].reshape(_TABLE_COLUMNS, -1))
        at += table_cells
        cells = columns[at : at + sample_cells].reshape(_SAMPLE_COLUMNS, -1)
        at += sample_cells
        if not (_table_fits(tally, table) and (sample is None or _sample_fits(sample, cells))):
            raise Refused("the sketch is damaged: its tables contradict its counts; scan again")
        found.append(
            GrainSketch(
                rows=table,
                halvings=tally.halvings,
                chunks=tally.chunks,
                logical_bytes=tally.logical_bytes,
                distances=_histogram(tally),
                compression=None if sample is None else _sample(sample, cells),
            )
        )
    if at != len(columns):
        raise Refused("the sketch is damaged: its tables are shorter than it; scan again")
    return found


def _table_fits(tally: Tally, table: ChunkTable) -> bool:
    """Tell whether a table is sorted, within its sample, and has the numbers of its tally."""
    first, second = table.first, table.second
    after = (first[1:] > first[:-1]) | ((first[1:] == first[:-1]) & (second[1:] > second[:-1]))
    within = np.all((table.lengths >= 1) & (table.lengths <= _GREATEST)) and np.all(
        (table.counts >= 1) & (table.counts <= _GREATEST)
    )
    if not (after.all() and within and rows_below(first, tally.halvings or 0) == len(first)):
        return False
    lengths, counts = table.lengths.astype(np.float64), table.counts.astype(np.float64)
    if counts.sum() > _GREATEST or (lengths * counts).sum() > _GREATEST:
        return False
    chunks, logical = int(table.counts.sum()), int((table.lengths * table.counts).sum())
    if tally.halvings is None:
        return (chunks, logical) == (tally.chunks, tally.logical_bytes)
    return chunks <= tally.chunks and logical <= tally.logical_bytes


def _sample_fits(sample: _Sample, cells: Column) -> bool:
    marks, lengths, counts = cells[:3]
    within = np.all((cells[1:] >= 1) & (cells[1:] <= _GREATEST)) and np.all(cells[3:] <= lengths)
    ordered = np.all(marks[1:] > marks[:-1])
    fits = within and ordered and np.all(are_kept(marks, lengths, sample.thinning))
    return bool(fits and (lengths.astype(np.float64) * counts).sum() <= _GREATEST)


def _sample(sample: _Sample, cells: Column) -> CompressionSample:
    chunks = {
        mark: Sampled.of(length, count, tuple(sizes))
        for mark, length, count, *sizes in cells.T.tolist()
    }
    return CompressionSample(sample.most_bytes, sample.thinning, chunks)


def _histogram(tally: Tally) -> LogHistogram:
    histogram = LogHistogram()
    for place, count in tally.distances:
        histogram.counts[place] = count
    return histogram
