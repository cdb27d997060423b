"""CSV files, also compressed: fields as the bytes between the separators, unquoted.

Row by row and column by column; the first line names the columns. Every field
is bytes: nothing is guessed, no encoding is assumed, nothing turns NULL.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import BinaryIO, Final, cast

from deduplab.bound.sources.base import ScanSource, words_of
from deduplab.bound.sources.decompress import BROKEN, EXPANSION, ExpansionLimit, opened
from deduplab.bound.sources.row_packer import RowPacker
from deduplab.bound.sources.table import TableOptions
from deduplab.bound.sources.watched import watched
from deduplab.bound.sources.windows import in_windows
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError, PlanError
from deduplab.units import KIB, MIB

_BYTES_AS_TEXT: Final = "latin-1"
"""One character a byte, so that every byte comes back as it was."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf".decode(_BYTES_AS_TEXT)
_TAB: Final = "\\t"
"""How a tab is written on a command line."""

_MOST_FIELD_BYTES: Final = 256 * MIB
_BROKEN: Final = (*BROKEN, csv.Error)


class CsvSource(ScanSource):
    r"""A file of comma-separated values, parsed as Python's ``csv`` does.

    ``sorted`` and ``shuffled`` hold within windows of about 64 MiB of rows.

    Parameters
    ----------
    delimiter
        The separator, one character of ASCII, ``\t`` for a tab; None takes a tab for names
        with ``.tsv``, else a comma.
    expansion
        Times its own length that a compressed file may become, above 1 GiB.

    Raises
    ------
    PlanError
        If the separator is none.
    """

    def __init__(
        self,
        path: str,
        options: TableOptions | None = None,
        delimiter: str | None = None,
        expansion: int = EXPANSION,
    ) -> None:
        super().__init__(path)
        self.options = options or TableOptions()
        self._delimiter = _delimiter(path, delimiter)
        self._expansion = expansion
        self._uneven_rows = 0
        self._first_uneven = ""
        self._ended = False

    def blocks(self) -> Iterator[Block]:
        """Read all rows; those with too many or too few fields are left out.

        Raises
        ------
        DatasetError
            If there is no first line with names, as in UTF-16.
        PlanError
            If a column is not there.
        """
        self.left_out.clear()
        self._uneven_rows = 0
        self._ended = False
        with watched(self, self.name) as length_bytes, opened(self.name) as stream:
            limited = _Limited(stream, ExpansionLimit(length_bytes, self._expansion))
            buffered = io.BufferedReader(limited, 256 * KIB)
            text = io.TextIOWrapper(cast("BinaryIO", buffered), _BYTES_AS_TEXT, newline="")
            csv.field_size_limit(_MOST_FIELD_BYTES)
            rows = csv.reader(self._lines(text), delimiter=self._delimiter)
            names = self._column_names(rows)
            yield from self._packed(self._even(rows, len(names)), names)
        if self._uneven_rows:
            self.leave_out(
                self.name,
                f"rows with another number of fields than the first line ({len(names)}) are not "
                f"counted: {self._uneven_rows} (the first is {self._first_uneven})",
            )

    def _packed(self, rows: Iterator[list[bytes]], names: list[str]) -> Iterator[Block]:
        options = self.options
        chosen = options.chosen(names, self.name)
        places = [names.index(name) for name in chosen]
        sorted_by = names.index(options.sorted_by) if options.sorted_by else 0
        packer = RowPacker(chosen, options)
        ordered = in_windows(
            rows, options, lambda row: sum(map(len, row)) + 64, lambda row: row[sorted_by]
        )
        try:
            for row in ordered:
                packer.add(row if chosen == names else [row[place] for place in places])
                if packer.full:
                    yield from packer.hand_out()
        except _BROKEN as error:
            self.leave_out(
                self.name,
                f"broken: {words_of(error)}; the {packer.count} rows before are counted, "
                "what follows is not",
            )
        yield from packer.last()

    def _lines(self, text: Iterable[str]) -> Iterator[str]:
        """Yield lines without the mark before the first one, and note that they have ended."""
        lines = iter(text)
        for line in lines:
            yield line.removeprefix(_BYTE_ORDER_MARK)
            break
        yield from lines
        self._ended = True

    def _even(self, rows: Iterator[list[str]], fields: int) -> Iterator[list[bytes]]:
        """Yield rows that have so many fields, and count the others."""
        for number, row in enumerate(rows, start=1):
            if self._ended:  # the parser asked for more lines to end this row
                self.leave_out(
                    self.name,
                    f"row {number} opens a quote that is never closed; its {sum(map(len, row))} "
                    "bytes, up to the end of the file, are not counted",
                )
            elif len(row) == fields:
                yield [field.encode(_BYTES_AS_TEXT) for field in row]
            elif row:
                if not self._uneven_rows:
                    self._first_uneven = f"row {number} with {len(row)}"
                self._uneven_rows += 1

    def _column_names(self, rows: Iterator[list[str]]) -> list[str]:
        try:
            found = next(rows, [])
        except _BROKEN as error:
            raise DatasetError(
                f"{self.name!r} has no readable first line: {words_of(error)}; "
                "nothing of it is counted"
            ) from error
        if not found:
            raise DatasetError(
                f"{self.name!r} begins with no line that names its columns; nothing is counted"
            )
        if self._ended or any("\0" in name for name in found):
            wrong = (
                "a quote that is never closed" if self._ended else "zero bytes (it may be UTF-16)"
            )
            raise DatasetError(
                f"{self.name!r} has {wrong} in its first line, so it can't be parsed; nothing of "
                "it is counted"
            )
        return _distinct(
            [name.encode(_BYTES_AS_TEXT).decode("utf-8", "backslashreplace") for name in found]
        )


class _Limited(io.RawIOBase):
    """A stream that refuses to grow beyond all measure."""

    def __init__(self, stream: BinaryIO, limit: ExpansionLimit) -> None:
        self._stream = stream
        self._limit = limit

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, out: memoryview) -> int:  # type: ignore[override]
        """Read what is there."""
        count: int = self._stream.readinto(out) or 0  # type: ignore[attr-defined]
        self._limit.add(count)
        return count


def _delimiter(path: str, given: str | None) -> str:
    if given is None:
        return "\t" if ".tsv" in PurePath(path).name.lower() else ","
    delimiter = "\t" if given == _TAB else given
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"':
        raise PlanError(
            f"{given!r} separates no fields; a delimiter is one character of ASCII such as ';', "
            f"or {_TAB} for a tab"
        )
    return delimiter


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind those that occurred before or are empty."""
    found: dict[str, None] = {}
    for position, name in enumerate(names, start=1):
        unused = name or f"column {position}"
        while unused in found:
            unused += f" {position}"
        found[unused] = None
    return list(found)
