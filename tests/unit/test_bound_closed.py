"""What the part in C has counted, once nothing more is: sorted, and merged with that of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ctypes import addressof, c_char

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deduplab.bound.native import WHOLE_NUMBER, native
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.native_tally import CountedElsewhere, NativeRows
from deduplab.bound.settings import ScanSettings
from deduplab.bound.table import ChunkTable
from tests.unit.bound_scans import compiled

pytestmark = compiled

Chunk = tuple[int, int, int]
"""The halves of a fingerprint, and a length."""

GREATEST = 2**64 - 1
# Many that are sought at the end of the table, where there is no room for them, and at its front.
HALVES = st.sampled_from([0, 1, 2**63, GREATEST - 1, GREATEST]) | st.integers(0, GREATEST)
FINGERPRINTS = st.tuples(HALVES, HALVES)


def length_of(fingerprint: tuple[int, int]) -> int:
    """Return a length that is the same whenever a fingerprint comes."""
    return (1, 4096, 5000, 2**33)[hash(fingerprint) % 4]


CHUNKS = st.lists(FINGERPRINTS, max_size=60).map(
    lambda found: [(first, second, length_of((first, second))) for first, second in found]
)


def counted(chunks: Sequence[Chunk]) -> NativeScan:
    library = native()
    assert library is not None
    scan = NativeScan(library, ScanSettings(grains=("whole",), compress=False))
    for first, second, length in chunks:
        library.scan_count_whole(scan._scan.address, length, first, second)
    return scan


def rows_of(scan: NativeScan) -> NativeRows:
    return scan.tallies()[WHOLE_NUMBER].rows


def absorb(scan: NativeScan, other: NativeScan) -> None:
    tally = other.tallies()[WHOLE_NUMBER]
    content = bytes(tally.rows.content())
    memory = (c_char * (len(content) + 1)).from_buffer_copy(content + b"\0")
    one = CountedElsewhere(tally.numbers, addressof(memory), memory, None)
    scan.absorb(0, {WHOLE_NUMBER: one})


def table_of(chunks: Sequence[Chunk]) -> ChunkTable:
    """Return what chunks amount to, counted in another way."""
    found = sorted((*chunk, count) for chunk, count in Counter(chunks).items())
    columns = np.array(found, dtype=np.uint64).reshape(len(found), 4).T
    return ChunkTable(*columns)


def same_tables(one: ChunkTable, other: ChunkTable) -> bool:
    return all(
        np.array_equal(getattr(one, column), getattr(other, column))
        for column in ("first", "second", "lengths", "counts")
    )


@given(parts=st.lists(CHUNKS, min_size=1, max_size=4))
def test_rows_of_several_processes_are_merged(parts: list[list[Chunk]]) -> None:
    scan = counted(parts[0])
    for part in parts[1:]:
        absorb(scan, counted(part))
    expected = table_of([chunk for part in parts for chunk in part])
    rows = rows_of(scan)
    assert rows.figures() == expected.figures()  # before they are merged
    assert same_tables(rows.table(), expected)
    assert sorted(rows.occurrences()) == sorted(expected.occurrences())
    assert rows.figures() == expected.figures()


def test_a_table_whose_end_is_crowded_is_sorted() -> None:
    # More than there are slots behind the one that they are sought from: they go on at the front.
    crowd = [(GREATEST - number % 7, number, 4096) for number in range(700)]
    front = [(number, number, 100) for number in range(50)]
    for chunks in (crowd + front, front + crowd, (crowd + front) * 2):
        assert same_tables(rows_of(counted(chunks)).table(), table_of(chunks))


def test_long_tables_are_merged_in_their_order() -> None:
    random = np.random.default_rng(7)
    found = random.integers(0, 2**64, (120_000, 2), dtype=np.uint64).tolist()
    chunks = [(first, second, 1 + second % 70_000) for first, second in found]
    scan = counted(chunks[:80_000])
    absorb(scan, counted(chunks[60_000:]))
    expected = table_of(chunks + chunks[60_000:80_000])
    assert rows_of(scan).figures() == expected.figures()
    assert same_tables(rows_of(scan).table(), expected)
