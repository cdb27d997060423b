"""Rows of unique chunks: those of a dictionary, in slots and sorted, whatever the fingerprints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.native import native
from deduplab.bound.rows import HashedRows, Rows, SortedRows, new_rows


def hashed(halvings: int) -> Rows:
    library = native()
    if library is None:
        pytest.skip("the part in C was not built, or is switched off")
    return HashedRows(library, halvings)


KINDS: list[Callable[[int], Rows]] = [hashed, lambda _: SortedRows()]
# Few different halves, so that equal halves, equal pairs and crowded slots are the rule.
HALF = st.sampled_from([0, 1, 2, 2**40, 2**50, 2**50 + 1, 2**60 - 1])
CALLS = st.lists(st.lists(st.tuples(HALF, HALF), min_size=1, max_size=40), max_size=6)


class Reference:
    """The same, counted with a dictionary."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], list[int]] = {}
        self.gaps: list[int] = []

    def count(
        self, pairs: list[tuple[int, int]], lengths: list[int], ends: list[int], behind: int
    ) -> None:
        for pair, length, end in zip(pairs, lengths, ends, strict=True):
            known = self.found.get(pair)
            if known is None:
                self.found[pair] = [length, 1, end]
            else:
                if known[2] > behind:
                    self.gaps.append(end - length - known[2])
                known[1:] = known[1] + 1, end


def as_dictionary(rows: Rows) -> dict[tuple[int, int], list[int]]:
    table = rows.table()
    columns = (table.first, table.second, table.lengths, table.counts)
    found = [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    assert found == sorted(found)
    assert len(found) == len(rows)
    return {(first, second): [length, count] for first, second, length, count in found}


def length_of(pair: tuple[int, int]) -> int:
    return 1 + (pair[0] + 3 * pair[1]) % 7


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    calls=CALLS,
    halvings=st.integers(0, 4),
    later=st.integers(5, 25),
    parts=st.sets(st.integers(0, 5)),
)
def test_rows_are_those_of_a_dictionary(
    kind: Callable[[int], Rows],
    calls: list[list[tuple[int, int]]],
    halvings: int,
    later: int,
    parts: set[int],
) -> None:
    rows, reference, end, behind = kind(halvings), Reference(), 0, 0
    gaps: list[int] = []
    for number, pairs in enumerate(calls):
        behind = end if number in parts else behind
        lengths = [length_of(pair) for pair in pairs]
        ends = (end + np.cumsum(lengths)).tolist()
        end = ends[-1]
        reference.count(pairs, lengths, ends, behind)
        first, second, *_ = np.array(pairs, dtype=np.uint64).T.copy()
        sizes, stops = np.array(lengths, dtype=np.uint64), np.array(ends, dtype=np.uint64)
        gaps += rows.count(first, second, sizes, stops, behind).tolist()
    expected = {pair: found[:2] for pair, found in reference.found.items()}
    assert as_dictionary(rows) == expected
    assert sorted(gaps) == sorted(reference.gaps)
    other = rows.copy()
    other.keep_below(later)
    assert as_dictionary(other) == {
        pair: found for pair, found in expected.items() if pair[0] < 1 << 64 - later
    }
    assert as_dictionary(rows) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("halvings", [0, 1, 20])
def test_rows_grow(kind: Callable[[int], Rows], halvings: int) -> None:
    rows = kind(halvings)
    marks = np.random.default_rng(1).integers(0, 2**64, size=(2, 60_000), dtype=np.uint64)
    marks[0] >>= np.uint64(halvings)
    ones = np.ones(60_000, dtype=np.uint64)
    for part in np.array_split(np.arange(60_000), 7):
        ends = part.astype(np.uint64) + np.uint64(1)
        assert not len(rows.count(marks[0, part], marks[1, part], ones[part], ends, behind=0))
    assert len(rows) == 60_000
    order = np.lexsort((marks[1], marks[0]))
    assert (rows.table().first == marks[0, order]).all()
    assert (rows.table().second == marks[1, order]).all()
    gaps = rows.count(marks[0], marks[1], ones, np.arange(60_001, 120_001, dtype=np.uint64), 0)
    assert (gaps == 59_999).all()
    assert len(gaps) == 60_000


def test_without_the_library_they_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEDUPLAB_NATIVE", "0")
    native.cache_clear()
    try:
        assert isinstance(new_rows(0), SortedRows)
    finally:
        monkeypatch.undo()
        native.cache_clear()
