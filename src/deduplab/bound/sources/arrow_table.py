"""Tables that come as Arrow batches: Parquet, CSV, DuckDB and ClickHouse share this.

Needs pyarrow; modules that import this one are themselves imported late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from deduplab.bound.sources.arrow_values import as_binary, block_of_array, row_array
from deduplab.bound.sources.base import BLOCK_BYTES, NATURAL
from deduplab.bound.sources.table import (
    ROWS,
    SEED,
    WINDOW_BYTES,
    StreamBlocks,
    TableOptions,
    column_stream,
)
from deduplab.bound.stream import Block

ARROW_BROKEN: Final = (pa.ArrowException, OSError, ValueError, EOFError, IndexError, TypeError)
"""What pyarrow raises on data that is cut short or damaged, or of a type without bytes."""


class ArrowBlocks:
    """Turns record batches into blocks of rows and columns.

    Attributes
    ----------
    rows
        How many rows were handed out.
    """

    def __init__(self, options: TableOptions, prefix: str = "") -> None:
        self._options = options
        self._prefix = prefix
        self._shape = StreamBlocks(options)
        self.rows = 0

    def of(self, batch: Any) -> Iterator[Block]:
        """Yield the blocks of a batch, in pieces of about a block's size."""
        if not batch.num_rows:
            return
        pieces = max(1, int(batch.nbytes) // (2 * BLOCK_BYTES))
        step = -(-batch.num_rows // pieces)
        for start in range(0, batch.num_rows, step):
            yield from self._piece(batch.slice(start, step))

    def last(self) -> Iterator[Block]:
        """Yield what ends the open pages."""
        yield from self._shape.last()

    def _piece(self, piece: Any) -> Iterator[Block]:
        values = [as_binary(column) for column in piece.columns]
        rows = block_of_array(row_array(values), ROWS)
        # All of a piece is turned into bytes before any of it is handed out.
        blocks = [
            block_of_array(column, column_stream(self._prefix + name))
            for column, name in zip(values, piece.schema.names, strict=True)
        ]
        self.rows += piece.num_rows
        yield rows
        if self._options.apart:
            for block in blocks:
                yield from self._shape.shaped(block)


def ordered(batches: Iterable[Any], options: TableOptions) -> Iterator[Any]:
    """Yield batches in the order asked for, within windows of about 64 MiB."""
    if options.order == NATURAL:
        yield from batches
        return
    generator = np.random.default_rng(SEED)
    window: list[Any] = []
    window_bytes = 0
    for batch in batches:
        window.append(batch)
        window_bytes += batch.nbytes
        if window_bytes >= WINDOW_BYTES:
            yield from _reordered(window, options, generator)
            window, window_bytes = [], 0
    if window:
        yield from _reordered(window, options, generator)


def _reordered(window: list[Any], options: TableOptions, generator: np.random.Generator) -> Any:
    table = pa.Table.from_batches(window)
    if options.sorted_by:
        keys = as_binary(table.column(options.sorted_by))
        if not _is_bytes(table.schema.field(options.sorted_by).type):
            keys = table.column(options.sorted_by)
        indices = pa.compute.sort_indices(keys)
    else:
        indices = pa.array(generator.permutation(table.num_rows))
    return table.take(indices).combine_chunks().to_batches()


def _is_bytes(kind: Any) -> bool:
    """Whether values of this type are compared as bytes."""
    return not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind))
