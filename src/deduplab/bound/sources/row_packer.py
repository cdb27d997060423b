"""Rows that come one by one, collected to blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.row_columns import columns_of
from deduplab.bound.sources.table import (
    ROWS,
    Field,
    StreamBlocks,
    TableOptions,
    block_of,
    column_stream,
    rows_block,
)
from deduplab.bound.stream import Block

_ROW_COST_BYTES: Final = 64
"""What a row takes in memory beside its bytes, at least."""

_MOST_UNSEEN_ROWS: Final = 1024


class RowPacker:
    """Collects rows whose fields come one by one, and hands out blocks of rows and columns.

    The work for a row is to extend a list; bytes are joined a block at a time.

    Parameters
    ----------
    columns
        Names of the fields' streams.
    options
        Whether columns are scanned apart, and in pages.
    """

    def __init__(self, columns: Sequence[str], options: TableOptions) -> None:
        self._columns = [column_stream(name) for name in columns]
        self._apart = options.apart
        self._shape = StreamBlocks(options)
        self._rows: list[bytes] = []
        self._fields: list[Field] = []
        self._weighed = 0
        self._next_look = 1
        self._block_rows = 0
        self._block_bytes = 0
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether a block's worth of rows is there."""
        return self._block_bytes >= BLOCK_BYTES

    def add(self, fields: Sequence[Field]) -> None:
        """Take a row by its fields, None for NULL; all rows of a packer come in this way."""
        self._fields.extend(fields)
        self._block_rows += 1
        self.count += 1
        if self._block_rows >= self._next_look:
            self._weigh()

    def add_row(self, row: bytes) -> None:
        """Take a row in its final form; all rows of a packer come in this way, or none."""
        self._rows.append(row)
        self._block_rows += 1
        self._block_bytes += len(row) + _ROW_COST_BYTES
        self.count += 1

    def hand_out(self) -> Iterator[Block]:
        """Yield one block for the rows, and one for each column."""
        if not self._block_rows:
            return
        rows, fields, count = self._rows, self._fields, self._block_rows
        self._rows, self._fields = [], []
        self._weighed = self._block_rows = self._block_bytes = 0
        self._next_look = max(1, count // 2)
        width = len(self._columns)
        block = block_of(rows, ROWS) if rows else rows_block(fields, width)
        yield block
        if not self._apart:
            return
        if rows:
            columns = columns_of(block, self._columns)
        else:
            columns = (
                block_of(fields[place::width], name) for place, name in enumerate(self._columns)
            )
        for column in columns:
            yield from self._shape.shaped(column)

    def last(self) -> Iterator[Block]:
        """Yield what is left, and the ends of open pages."""
        yield from self.hand_out()
        yield from self._shape.last()

    def _weigh(self) -> None:
        """Weigh the fields since the last look, and guess when the block will be full."""
        new_bytes = sum(len(field) for field in self._fields[self._weighed :] if field is not None)
        self._weighed = len(self._fields)
        self._block_bytes += new_bytes
        self._block_bytes = max(self._block_bytes, self._block_rows * _ROW_COST_BYTES)
        row_bytes = max(1, self._block_bytes // self._block_rows)
        left_rows = (BLOCK_BYTES - self._block_bytes) // (2 * row_bytes)
        self._next_look = self._block_rows + max(1, min(_MOST_UNSEEN_ROWS, left_rows))
