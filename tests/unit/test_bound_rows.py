"""Rows of unique chunks: those of a dictionary, in C and sorted, whatever the fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound import native_scan
from deduplab.bound.grains import WHOLE
from deduplab.bound.histogram import BINS
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.rows import SortedRows
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream_scan import FinishedTally
from deduplab.bound.table import ChunkTable
from tests.unit.bound_scans import compiled, found_native

Pair = tuple[int, int]
# Few different halves, so that equal halves, equal pairs and crowded slots are the rule.
HALF = st.sampled_from([0, 1, 2, 2**40, 2**50, 2**50 + 1, 2**60 - 1])
# Also halves that point at the last slots, from where rows go on at the first ones.
HALF_IN_C = HALF | st.sampled_from([2**64 - 1, 2**64 - 2, 2**63])
NONE = memoryview(b"")


class Reference:
    """The same, counted with a dictionary."""

    def __init__(self, most_rows: int = 0, halvings: int = 0) -> None:
        self.found: dict[Pair, list[int]] = {}
        self.gaps: list[int] = []
        self.halvings = halvings
        self.distances = [0] * BINS
        self._most_rows = most_rows

    def count(
        self, pairs: list[Pair], lengths: list[int], ends: list[int], behind: int
    ) -> list[int]:
        """Count chunks, and return which of them were new."""
        new = []
        for number, (pair, length, end) in enumerate(zip(pairs, lengths, ends, strict=True)):
            if not self._kept(pair):
                continue
            known = self.found.get(pair)
            if known is None:
                new.append(number)
                self.found[pair] = [length, 1, end]
                self._keep_limit()
            else:
                if known[2] > behind:
                    gap = end - length - known[2]
                    self.gaps.append(gap)
                    self.distances[bin_of(gap)] += 1 << self.halvings
                known[1:] = known[1] + 1, end
        return new

    def rows(self) -> dict[Pair, list[int]]:
        return {pair: found[:2] for pair, found in self.found.items()}

    def _kept(self, pair: Pair) -> bool:
        return pair[0] << self.halvings < 1 << 64

    def _keep_limit(self) -> None:
        while self._most_rows and len(self.found) > self._most_rows:
            self.halvings += 1
            self.found = {pair: row for pair, row in self.found.items() if self._kept(pair)}


def bin_of(value: int) -> int:
    """Return the bin of a histogram: 16 to each octave."""
    shift = max(value.bit_length() - 5, 0)
    return (value >> shift) + 16 * shift


def as_dictionary(table: ChunkTable) -> dict[Pair, list[int]]:
    columns = (table.first, table.second, table.lengths, table.counts)
    found = [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    assert found == sorted(found)
    dictionary = {(first, second): [length, count] for first, second, length, count in found}
    assert len(dictionary) == len(found)
    return dictionary


def length_of(pair: Pair) -> int:
    return 1 + (pair[0] + 3 * pair[1]) % 7


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.lists(st.tuples(HALF, HALF), min_size=1, max_size=40), max_size=6),
    later=st.integers(5, 25),
    parts=st.sets(st.integers(0, 5)),
)
def test_sorted_rows_are_those_of_a_dictionary(
    calls: list[list[Pair]], later: int, parts: set[int]
) -> None:
    rows, reference, end, behind = SortedRows(), Reference(), 0, 0
    gaps: list[int] = []
    for number, pairs in enumerate(calls):
        behind = end if number in parts else behind
        lengths = [length_of(pair) for pair in pairs]
        ends = (end + np.cumsum(lengths)).tolist()
        end = ends[-1]
        first, second, *_ = np.array(pairs, dtype=np.uint64).T.copy()
        new = rows.new_places(first, second).tolist()
        assert new == reference.count(pairs, lengths, ends, behind)
        sizes, stops = np.array(lengths, dtype=np.uint64), np.array(ends, dtype=np.uint64)
        gaps += rows.count(first, second, sizes, stops, behind).tolist()
        assert not len(rows.new_places(first, second))
    expected = reference.rows()
    assert as_dictionary(rows.table()) == expected
    assert len(rows) == len(expected)
    assert sorted(gaps) == sorted(reference.gaps)
    other = rows.copy()
    other.keep_below(later)
    assert as_dictionary(other.table()) == {
        pair: found for pair, found in expected.items() if pair[0] < 1 << 64 - later
    }
    assert as_dictionary(rows.table()) == expected


def test_sorted_rows_grow() -> None:
    rows, (first, second) = SortedRows(), marks_of_noise(60_000)
    ones = np.ones(60_000, dtype=np.uint64)
    for part in np.array_split(np.arange(60_000), 7):
        ends = part.astype(np.uint64) + np.uint64(1)
        assert len(rows.new_places(first[part], second[part])) == len(part)
        assert not len(rows.count(first[part], second[part], ones[part], ends, behind=0))
    assert len(rows) == 60_000
    order = np.lexsort((second, first))
    assert (rows.table().first == first[order]).all()
    assert (rows.table().second == second[order]).all()
    gaps = rows.count(first, second, ones, np.arange(60_001, 120_001, dtype=np.uint64), 0)
    assert (gaps == 59_999).all()
    assert len(gaps) == 60_000


def marks_of_noise(count: int, halvings: int = 0) -> npt.NDArray[np.uint64]:
    marks = np.random.default_rng(1).integers(0, 2**64, size=(2, count), dtype=np.uint64)
    marks[0] >>= np.uint64(halvings)
    return marks


class TallyInC:
    """The library's tally of whole objects, whose fingerprints are chosen."""

    def __init__(self, halvings: int | None) -> None:
        sample = None if halvings is None else 2.0**-halvings
        asked = ScanSettings((WHOLE,), sample=sample, compress=False)
        self.scan = NativeScan(found_native(), asked)

    def count(self, pairs: Sequence[Pair] | npt.NDArray[np.uint64], lengths: list[int]) -> None:
        sizes = np.array(lengths, dtype=np.int64)
        marks = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
        # Whole objects that are known are not looked into.
        self.scan.add_whole(NONE, np.cumsum(sizes) - sizes, sizes, marks)

    def finish(self) -> FinishedTally:
        return self.scan.finish()[WHOLE]


@compiled
@settings(max_examples=150, deadline=None)
@given(
    calls=st.lists(st.lists(st.tuples(HALF_IN_C, HALF), min_size=1, max_size=60), max_size=8),
    parts=st.sets(st.integers(0, 7)),
    # As many as there are pairs whose halves no halving would tell from 0.
    most_rows=st.integers(21, 60),
    halvings=st.none() | st.integers(0, 3),
)
def test_a_tally_in_c_is_that_of_a_dictionary(
    calls: list[list[Pair]], parts: set[int], most_rows: int, halvings: int | None
) -> None:
    limit = 0 if halvings is None else most_rows
    reference, end, behind, chunks = Reference(limit, halvings or 0), 0, 0, 0
    with patch.object(native_scan, "MOST_ROWS", most_rows):
        tally = TallyInC(halvings)
    for number, pairs in enumerate(calls):
        if number in parts:
            behind = end
            tally.scan.begin_part()
        lengths = [length_of(pair) for pair in pairs]
        ends = (end + np.cumsum(lengths)).tolist()
        chunks, end = chunks + len(pairs), ends[-1]
        reference.count(pairs, lengths, ends, behind)
        tally.count(pairs, lengths)
    found = tally.finish()
    assert (found.chunks, found.logical_bytes) == (chunks, end)
    assert found.halvings == (None if halvings is None else reference.halvings)
    assert as_dictionary(found.rows.table()) == reference.rows()
    assert found.distances.counts.tolist() == reference.distances
    assert found.rows.figures() == found.rows.table().figures()


@compiled
@pytest.mark.parametrize("first", [0, 1])
def test_a_sample_that_no_halving_makes_smaller_is_refused(first: int) -> None:
    """Nobody meets it but who makes data for it; the scan must end all the same."""
    with patch.object(native_scan, "MOST_ROWS", 5):
        tally = TallyInC(0)
    tally.count([(first, second) for second in range(5)] * 2, [1] * 10)
    with pytest.raises(MemoryError):
        tally.count([(first, 5)], [1])


@compiled
@pytest.mark.parametrize("halvings", [None, 0, 1, 20])
def test_a_tally_in_c_grows(halvings: int | None) -> None:
    with patch.object(native_scan, "MOST_ROWS", 100_000):
        tally = TallyInC(halvings)
    marks = marks_of_noise(60_000, halvings or 0)
    for part in np.array_split(marks.T, 7):
        tally.count(part, [1] * len(part))
    tally.count(marks.T, [1] * 60_000)
    found = tally.finish()
    order = np.lexsort((marks[1], marks[0]))
    table = found.rows.table()
    assert (table.first == marks[0, order]).all()
    assert (table.second == marks[1, order]).all()
    assert (table.counts == 2).all()
    assert found.halvings == halvings
    expected = [0] * BINS
    expected[bin_of(59_999)] = 60_000 << (halvings or 0)
    assert found.distances.counts.tolist() == expected


@compiled
@pytest.mark.parametrize("first", [0, 2**63, 2**64 - 1])
def test_rows_that_want_one_slot_all_find_a_place(first: int) -> None:
    """The last slot's go on at the first one, also while the table grows."""
    tally, reference = TallyInC(None), Reference()
    pairs = [(first, second) for second in range(3000)] + [(5, 5), (2**64 - 2, 1)]
    for _ in range(2):
        tally.count(pairs, [3] * len(pairs))
        reference.count(pairs, [3] * len(pairs), [0] * len(pairs), 0)
    assert as_dictionary(tally.finish().rows.table()) == reference.rows()


@compiled
@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(
        st.integers(1, 300) | st.integers(0, 45).flatmap(lambda bits: st.integers(1, 2**bits)),
        max_size=300,
    ),
    seed=st.integers(0, 2**32),
    often=st.lists(st.integers(1, 5000), max_size=3),
)
def test_figures_of_rows_in_c_are_those_of_their_table(
    lengths: list[int], seed: int, often: list[int]
) -> None:
    marks = np.random.default_rng(seed).integers(0, 2**64, (len(lengths), 2), dtype=np.uint64)
    tally = TallyInC(None)
    tally.count(marks, lengths)
    for row, count in zip(range(len(lengths)), often, strict=False):
        tally.count(marks[[row] * count], lengths[row : row + 1] * count)
    rows = tally.finish().rows
    figures = rows.figures()
    assert figures == rows.table().figures()
    assert figures.unique_chunks == len(lengths)
    assert figures.squares == sum(length * length for length in lengths)
    ordered = sorted(lengths)
    # At least so many percent are not above, and of less that is not so.
    for percent, length in zip((1, 10, 25, 50, 75, 90, 99), figures.percentiles_bytes, strict=True):
        if ordered:
            assert sum(one <= length for one in ordered) * 100 >= percent * len(ordered)
            assert sum(one < length for one in ordered) * 100 < percent * len(ordered)
    assert sum(figures.copies) == sum(figures.lengths) == len(lengths)


@compiled
def test_rows_outlive_their_scan() -> None:
    tally = TallyInC(None)
    tally.count([(1, 2), (3, 4), (1, 2)], [7, 8, 7])
    rows = tally.finish().rows
    del tally
    assert as_dictionary(rows.table()) == {(1, 2): [7, 2], (3, 4): [8, 1]}
    assert rows.figures().unique_bytes == 15
