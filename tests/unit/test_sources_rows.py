"""Rows, columns and pages keep every value, whatever their lengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.buffer import BlockBuffer
from deduplab.bound.sources.row_columns import columns_of
from deduplab.bound.sources.row_packer import RowPacker
from deduplab.bound.sources.table import (
    Paging,
    TableOptions,
    block_of,
    row_bytes,
    rows_block,
)
from deduplab.bound.stream import Block
from deduplab.errors import PlanError

_VALUE = st.none() | st.binary(max_size=9) | st.integers(0, 5000).map(bytes)


def _objects(block: Block) -> list[bytes]:
    bounds = block.offsets.tolist()
    return [bytes(block.data[a:b]) for a, b in pairwise(bounds)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(_VALUE, min_size=width, max_size=width), min_size=1, max_size=30
        )
    )
)
def test_columns_come_back_out_of_rows(rows: list[list[bytes | None]]) -> None:
    width = len(rows[0])
    block = rows_block([value for row in rows for value in row], width)
    assert _objects(block) == [row_bytes(row) for row in rows]
    names = [f"c{number}" for number in range(width)]
    for name, column in zip(names, columns_of(block, names), strict=True):
        place = names.index(name)
        assert column.stream == name
        assert _objects(column) == [row[place] or b"" for row in rows]


def test_equal_rows_have_equal_bytes_and_others_have_not() -> None:
    rows: list[list[bytes | None]] = [
        [b"ab", b"c"],
        [b"a", b"bc"],
        [None, b"abc"],
        [b"", b"abc"],
        [b"abc", None],
        [b"abc", b""],
    ]
    assert len({row_bytes(row) for row in rows}) == len(rows)
    assert row_bytes([b"x", None]) == b"\x00\x00\x00\x01x\xff\xff\xff\xff"
    with pytest.raises(PlanError, match="without columns"):
        rows_block([], 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=20), min_size=1, max_size=8),
    st.integers(1, 100),
)
def test_pages_are_whole_values_and_as_long_as_asked(
    blocks: list[list[int]], page_bytes: int
) -> None:
    paging = Paging(page_bytes)
    pages: list[int] = []
    open_page = False
    for lengths in blocks:
        paged = paging.paged(block_of([bytes(length) for length in lengths], "c"))
        if len(paged.offsets) < 2:
            continue
        pieces = np.diff(paged.offsets).tolist()
        if open_page:
            pages[-1] += pieces.pop(0)
        pages += pieces
        open_page = paged.continues
    for _ in paging.last("c"):
        open_page = False
    assert not open_page
    values = [length for lengths in blocks for length in lengths]
    expected, page = [], 0
    for value in values:
        page += value
        if page >= page_bytes:
            expected.append(page)
            page = 0
    assert pages == [*expected, *([page] if page else [])]


@pytest.mark.parametrize("length", [0, 10, 5000, BLOCK_BYTES, 3 * BLOCK_BYTES])
def test_a_packer_hands_out_blocks_of_about_a_block(length: int) -> None:
    packer = RowPacker(["a", "b"], TableOptions())
    rows, sizes = 0, []
    for _ in range(max(6, min(60_000, 4 * BLOCK_BYTES // (length + 16)))):
        packer.add([bytes(length), None])
        if packer.full:
            for block in packer.hand_out():
                if not block.stream:
                    rows += len(block.offsets) - 1
                    sizes.append(block.logical_bytes)
    rows += sum(len(block.offsets) - 1 for block in packer.last() if not block.stream)
    assert rows == packer.count
    assert all(size <= BLOCK_BYTES + 2 * (length + 8) + 65536 for size in sizes)
    assert sizes


def test_a_buffer_splits_what_is_larger_than_itself() -> None:
    buffer = BlockBuffer(capacity_bytes=10)
    blocks: list[tuple[list[bytes], bool]] = []

    def take(found: list[Block]) -> None:
        blocks.extend((_objects(block), block.continues) for block in found)

    for content in (b"abc", b"", b"0123456789" * 2 + b"x", b"end"):
        for block in buffer.write(content):
            take([block])
        buffer.close_object()
    take(list(buffer.hand_out()))
    assert blocks == [
        ([b"abc", b""], False),
        ([b"0123456789"], True),
        ([b"0123456789"], True),
        ([b"x", b"end"], False),
    ]
