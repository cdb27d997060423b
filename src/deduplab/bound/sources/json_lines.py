"""JSON lines, also compressed: a row is a line as it stands, a column's value its JSON text.

Columns are the keys of the outermost object. A value keeps the spelling of its
line (``1.0`` and ``1`` differ); a key that a line has not gives no object.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from deduplab.bound.sources.base import BLOCK_BYTES, ScanSource, words_of
from deduplab.bound.sources.decompress import BROKEN, EXPANSION, ExpansionLimit, opened
from deduplab.bound.sources.table import (
    ROWS,
    StreamBlocks,
    TableOptions,
    block_of,
    column_stream,
)
from deduplab.bound.sources.watched import watched
from deduplab.bound.sources.windows import in_windows
from deduplab.bound.stream import Block
from deduplab.errors import PlanError
from deduplab.units import MIB

_MOST_COLUMNS: Final = 1_000
_MOST_LINE_BYTES: Final = 256 * MIB

Fields = dict[str, memoryview]
Line = tuple[bytes, Fields]

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonLinesSource(ScanSource):
    """A file with one JSON value a line.

    ``sorted`` and ``shuffled`` hold within windows of about 64 MiB of lines.
    With ``columns`` chosen the rows are still whole lines. Lines that are not
    JSON are left out, and counted.
    """

    def __init__(
        self, path: str, options: TableOptions | None = None, expansion: int = EXPANSION
    ) -> None:
        super().__init__(path)
        self.options = options or TableOptions()
        self._expansion = expansion
        self._bad_lines = 0
        self._first_bad = ""
        self._refused_columns: set[str] = set()

    def blocks(self) -> Iterator[Block]:
        """Read all lines.

        Raises
        ------
        PlanError
            If a column that was asked for is in no line; that is known at the end.
        """
        self.left_out.clear()
        self._bad_lines, self._refused_columns = 0, set()
        packer = _LinePacker(self.options)
        unseen = {*(self.options.columns or ()), self.options.sorted_by} - {""}
        with watched(self, self.name) as length_bytes, opened(self.name) as stream:
            limit = ExpansionLimit(length_bytes, self._expansion)
            try:
                for row, fields in self._ordered(self._lines(stream, limit)):
                    if unseen:
                        unseen.difference_update(fields)
                    self._refused_columns.update(packer.add(row, fields))
                    if packer.full:
                        yield from packer.hand_out()
            except BROKEN as error:
                self.leave_out(
                    self.name,
                    f"broken: {words_of(error)}; the {packer.count} lines before are counted, "
                    "what follows is not",
                )
            yield from packer.last()
        if unseen and packer.count:
            raise PlanError(f"{self.name}: no line has the key {sorted(unseen)[0]!r}")
        self._tell()

    def _lines(self, stream: BinaryIO, limit: ExpansionLimit) -> Iterator[Line]:
        number = 0
        while line := stream.readline(_MOST_LINE_BYTES):
            number += 1
            limit.add(len(line))
            if len(line) == _MOST_LINE_BYTES:
                raise ValueError(f"line {number} is longer than {_MOST_LINE_BYTES} bytes")
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            row = line.rstrip(b"\r\n")
            if not row.strip():
                continue
            try:
                fields = _fields(row)
            except (ValueError, RecursionError) as error:
                self._first_bad = (
                    self._first_bad if self._bad_lines else (f"line {number}: {words_of(error)}")
                )
                self._bad_lines += 1
                continue
            yield row, fields

    def _ordered(self, lines: Iterator[Line]) -> Iterator[Line]:
        column = self.options.sorted_by
        return in_windows(
            lines,
            self.options,
            lambda line: len(line[0]),
            lambda line: bytes(line[1].get(column, b"")),
        )

    def _tell(self) -> None:
        if self._bad_lines:
            self.leave_out(
                self.name,
                f"{self._bad_lines} lines are not JSON and are not counted "
                f"(the first is {self._first_bad})",
            )
        if self._refused_columns:
            self.leave_out(
                self.name,
                f"more than {_MOST_COLUMNS} different keys: {len(self._refused_columns)} keys "
                "are counted in the rows, but not as columns (choose some with columns=...)",
            )


class _LinePacker:
    """Collects lines and the values of their keys."""

    def __init__(self, options: TableOptions) -> None:
        self._options = options
        self._shape = StreamBlocks(options)
        self._rows: list[bytes] = []
        self._columns: dict[str, list[memoryview]] = {name: [] for name in options.columns or ()}
        self._bytes = 0
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether a block's worth of lines is there."""
        return self._bytes >= BLOCK_BYTES

    def add(self, row: bytes, fields: Fields) -> list[str]:
        """Take a line; return the keys for which there is no more room."""
        self._rows.append(row)
        self._bytes += len(row) + 64
        self.count += 1
        refused: list[str] = []
        if not self._options.apart:
            return refused
        for name, value in fields.items():
            column = self._columns.get(name)
            if column is None:
                if self._options.columns is not None:
                    continue
                if len(self._columns) >= _MOST_COLUMNS:
                    refused.append(name)
                    continue
                column = self._columns[name] = []
            column.append(value)
        return refused

    def hand_out(self) -> Iterator[Block]:
        """Yield one block for the lines, and one for each key."""
        if self._rows:
            yield block_of(self._rows, ROWS)
        for name, values in self._columns.items():
            if values:
                yield from self._shape.shaped(block_of(values, name))
        self._rows = []
        self._columns = {name: [] for name in self._columns}
        self._bytes = 0

    def last(self) -> Iterator[Block]:
        """Yield what is left, and the ends of open pages."""
        yield from self.hand_out()
        yield from self._shape.last()


def _fields(row: bytes) -> Fields:
    """Return the values of a line's outermost object as JSON text; none for other JSON.

    Raises
    ------
    ValueError
        If the line is not JSON.
    """
    try:
        found: dict[str, msgspec.Raw] = _OBJECT.decode(row)
    except msgspec.ValidationError:
        msgspec.json.decode(row)
        return {}
    return {column_stream(key): memoryview(value) for key, value in found.items()}
