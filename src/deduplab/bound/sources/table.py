"""Tables: rows and columns as streams of objects, in a chosen order.

The stream ``""`` holds the rows, and every column is a stream of its name. What
the bytes of a value are is each source's matter (as its engine or format hands
them over); a NULL is an object without bytes. A row's bytes are the same for all
sources: each field's length as a big-endian 32-bit number (-1 for NULL) and its
value, field after field. This is PostgreSQL's binary COPY tuple without the
count of fields (PostgreSQL documentation, "COPY", "Binary Format"); equal rows,
and only they, have equal bytes.

A columnar engine does not see values but pages of them. With ``page_bytes`` a
column's objects are runs of whole values of about that many bytes, so that
chunks are sought across values, as in a page or a row group.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.sources.base import NATURAL
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError, PlanError, unknown_name
from deduplab.units import MIB

ROWS: Final = ""
"""The stream of the rows."""

SHUFFLED: Final = "shuffled"
SORTED: Final = "sorted:"
SEED: Final = 42
"""Shuffles begin from it, where an engine lets them."""

WINDOW_BYTES: Final = 64 * MIB
"""Files are sorted and shuffled within windows of about this many bytes."""

_NO_NAME: Final = '""'

Field = bytes | memoryview | None
"""A value's bytes; None for NULL."""

_LENGTH: Final = struct.Struct(">i")
_USUAL_BYTES: Final = 4096
_HEADS: Final = [_LENGTH.pack(length) for length in (*range(_USUAL_BYTES), -1)]
"""Lengths as they stand before a value; the last one, at -1, is that of NULL."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is read.

    Parameters
    ----------
    columns
        The columns to scan, in this order; None scans all. Rows hold these
        columns and no others. An empty tuple scans rows of all columns, and no column
        apart.
    order
        ``natural`` (as it comes), ``shuffled``, or ``sorted:COLUMN``.
    page_bytes
        None: an object is a value. Else a column's objects are runs of values
        of at least this many bytes.
    """

    columns: tuple[str, ...] | None = None
    order: str = NATURAL
    page_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.order not in (NATURAL, SHUFFLED) and not self.sorted_by:
            raise PlanError(
                f"unknown order {self.order!r}; write 'natural', 'shuffled' or 'sorted:COLUMN'"
            )
        for place, name in enumerate(self.columns or ()):
            if name in (self.columns or ())[:place]:
                raise PlanError(f"column {name!r} is named twice, and would count twice")
        if self.page_bytes is not None and self.page_bytes < 1:
            raise PlanError(f"a page has at least one byte, not {self.page_bytes}")

    @property
    def sorted_by(self) -> str:
        """The column that rows are sorted by, ``""`` for none."""
        return self.order.removeprefix(SORTED) if self.order.startswith(SORTED) else ""

    @property
    def apart(self) -> bool:
        """Whether columns are scanned apart from the rows."""
        return self.columns != ()

    def chosen(self, known: Sequence[str], where: str) -> list[str]:
        """Return the columns to read of those that a table has.

        Raises
        ------
        PlanError
            If a column is not there; the message names the nearest one.
        DatasetError
            If there are several of its name.
        """
        chosen = list(self.columns or known)
        for name in (*chosen, *([self.sorted_by] if self.sorted_by else ())):
            if name not in known:
                raise PlanError(f"{where}: {unknown_name('column', name, tuple(known))}")
            if known.count(name) > 1:
                raise DatasetError(
                    f"{where}: {known.count(name)} columns are named {name!r} and can't be told "
                    "apart; nothing of it is counted"
                )
        return chosen


class Paging:
    """Turns a column's values into pages: an object is a run of values."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._begun_bytes = 0
        self._open = False

    def paged(self, block: Block) -> Block:
        """Return the same bytes with the bounds of pages; the last page may go on."""
        bounds = [int(block.offsets[0])]
        end = int(block.offsets[-1])
        while True:
            full_at = bounds[-1] + self._page_bytes - self._begun_bytes
            if full_at > end:
                break
            bounds.append(int(block.offsets[np.searchsorted(block.offsets, full_at)]))
            self._begun_bytes = 0
        self._begun_bytes += end - bounds[-1]
        # Where a page ends with the block, an empty one begins: nothing stays open.
        self._open = bounds[-1] < end or (self._open and len(bounds) == 1)
        if self._open:
            bounds.append(end)
        return Block(block.data, np.array(bounds, dtype=np.int64), self._open, block.stream)

    def last(self, stream: str) -> Iterator[Block]:
        """Yield what ends the page that is still open."""
        if self._open:
            self._open, self._begun_bytes = False, 0
            yield Block(
                memoryview(b""), np.zeros(2, dtype=np.int64), continues=False, stream=stream
            )


class StreamBlocks:
    """Gives a table's blocks their last shape: values as they are, or as pages."""

    def __init__(self, options: TableOptions) -> None:
        self._page_bytes = options.page_bytes
        self._pagings: dict[str, Paging] = {}

    def shaped(self, block: Block) -> Iterator[Block]:
        """Yield the block, or its pages where it is a column's and pages are asked for."""
        if len(block.offsets) < 2:
            return
        if self._page_bytes is None or block.stream == ROWS:
            yield block
            return
        paging = self._pagings.get(block.stream)
        if paging is None:
            paging = self._pagings[block.stream] = Paging(self._page_bytes)
        paged = paging.paged(block)
        if len(paged.offsets) > 1:
            yield paged

    def last(self) -> Iterator[Block]:
        """Yield what ends the open pages."""
        for stream, paging in self._pagings.items():
            yield from paging.last(stream)


def column_stream(name: str) -> str:
    """Return a column's stream; one without a name must not be taken for the rows."""
    return name or _NO_NAME


def rows_block(fields: Sequence[Field], width: int) -> Block:
    """Return the block of rows whose fields lie one after another, ``width`` to a row."""
    if not width:
        raise PlanError("a table without columns has no rows that could be told apart")
    values: list[Any] = [b"" if field is None else field for field in fields]
    lengths = [-1 if field is None else len(field) for field in fields]
    parts: list[Any] = [b""] * (2 * len(values))
    parts[0::2] = [_HEADS[n] if n < _USUAL_BYTES else _LENGTH.pack(n) for n in lengths]
    parts[1::2] = values
    sizes = np.array(lengths, dtype=np.int64)
    np.maximum(sizes, 0, out=sizes)
    offsets = np.zeros(len(values) // width + 1, dtype=np.int64)
    np.cumsum(sizes.reshape(-1, width).sum(axis=1) + 4 * width, out=offsets[1:])
    return Block(memoryview(b"".join(parts)), offsets, False, ROWS)


def row_bytes(fields: Sequence[Field]) -> bytes:
    """Return one row's bytes: each field's length and value."""
    return bytes(rows_block(fields, len(fields)).data)


def block_of(values: Sequence[Field], stream: str) -> Block:
    """Return a block of values, one object each; None is an object without bytes."""
    present: list[Any] = [b"" if value is None else value for value in values]
    return Block(memoryview(b"".join(present)), offsets_of(present), False, stream)


def offsets_of(values: Sequence[bytes | memoryview]) -> npt.NDArray[np.int64]:
    """Return where values that lie back to back begin and end."""
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return offsets
