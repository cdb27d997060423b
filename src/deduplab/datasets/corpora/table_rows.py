"""Rows of a table of text (CSV, TSV), with the type of each column found out from all of it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from deduplab.datasets.corpora.field_names import field_names
from deduplab.datasets.corpora.json_lines import bad_line
from deduplab.datasets.record_types import MOMENTS, json_record, timestamp_of
from deduplab.datasets.source_files import unreadable
from deduplab.errors import DatasetError
from deduplab.record import Field, FieldType, RecordType, Value

# Digits are those of ASCII, and nothing follows them, not even the end of a line.
_INTEGER: Final = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_FLOAT: Final = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?([eE][+-]?\d{1,2})?", re.ASCII)
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_BOOLEANS: Final = {"true": True, "false": False}


def _timestamp(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return timestamp_of(text if moment.tzinfo else f"{text}+00:00")


def _is_timestamp(text: str) -> bool:
    try:
        # A zone can move a moment out of the years that can be written.
        return _TIMESTAMP.fullmatch(text) is not None and _timestamp(text) in MOMENTS
    except ValueError:
        return False


_READ: Final[dict[FieldType, Callable[[str], Value]]] = {
    FieldType.BOOLEAN: _BOOLEANS.__getitem__,
    FieldType.INTEGER: int,
    FieldType.FLOAT: float,
    FieldType.TIMESTAMP: _timestamp,
    FieldType.TEXT: str,
}
_IS: Final[dict[FieldType, Callable[[str], object]]] = {
    FieldType.BOOLEAN: _BOOLEANS.__contains__,
    FieldType.INTEGER: _INTEGER.fullmatch,
    FieldType.FLOAT: _FLOAT.fullmatch,
    FieldType.TIMESTAMP: _is_timestamp,
    FieldType.TEXT: lambda text: True,
}
# A double keeps whole numbers of so many digits.
_EXACT_DIGITS: Final = 15


class _Column:
    """What the values of a column have been so far; ``type`` is None while all were empty."""

    def __init__(self) -> None:
        self.type: FieldType | None = None
        self.empty = False
        self._longest = 0

    def see(self, text: str) -> None:
        if not text:
            self.empty = True
            return
        self._longest = max(self._longest, len(text))
        if self.type is None:
            self.type = next(kind for kind, fits in _IS.items() if fits(text))
        elif not _IS[self.type](text):
            self.type = self._wider(text)

    def _wider(self, text: str) -> FieldType:
        """Return a type that takes all values so far, and this one."""
        exact = self._longest <= _EXACT_DIGITS
        if self.type is FieldType.INTEGER and exact and _FLOAT.fullmatch(text):
            return FieldType.FLOAT
        return FieldType.TEXT


class TableRows:
    """The rows of a ``.csv`` (commas) or ``.tsv`` (tabs), in UTF-8, below a line of names.

    The whole file is read once for the types: a column is boolean (``true``,
    ``false``), a whole number, a number, a moment (ISO 8601; UTC if it names no zone)
    or else text. An empty field is null.

    Raises
    ------
    DatasetError
        If it is no such table; the line is named.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._delimiter = "\t" if path.lower().endswith(b".tsv") else ","
        rows = self._rows()
        _, names = next(rows, (0, []))
        if not names:
            raise DatasetError(
                f"source {os.fsdecode(path)!r} is empty: a table has a line of names"
            )
        self._columns = len(names)
        columns = self._seen(rows)
        types = [column.type or FieldType.TEXT for column in columns]
        self._read = [_READ[one] for one in types]
        self.record_type: RecordType = json_record(
            "files",
            tuple(
                Field(name, type_, nullable=column.empty)
                for name, type_, column in zip(field_names(names), types, columns, strict=True)
            ),
        )

    def canonical(self) -> Iterator[bytes]:
        """Yield each row in canonical form."""
        rows = self._rows()
        next(rows)
        serialise = self.record_type.serialise
        for _, row in rows:
            record = (
                read(text) if text else None for read, text in zip(self._read, row, strict=True)
            )
            yield serialise(tuple(record))

    def _seen(self, rows: Iterator[tuple[int, list[str]]]) -> list[_Column]:
        """Look at all rows, and return what their columns hold."""
        columns = [_Column() for _ in range(self._columns)]
        for line, row in rows:
            if len(row) != self._columns:
                raise bad_line(
                    self._path, line, f"has {len(row)} fields, the first line has {self._columns}"
                )
            for column, text in zip(columns, row, strict=True):
                column.see(text)
                if "\0" in text:
                    raise bad_line(self._path, line, "holds a NUL character")
        return columns

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that are not empty, each with the number of its last line."""
        try:
            with open(  # noqa: PTH123 - names are bytes
                self._path, encoding="utf-8-sig", newline=""
            ) as file:
                reader = csv.reader(file, delimiter=self._delimiter, strict=True)
                for row in reader:
                    if row:
                        yield reader.line_num, row
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"source {os.fsdecode(self._path)!r} is not UTF-8 ({error.reason}); convert it"
            ) from error
        except csv.Error as error:
            raise bad_line(
                self._path, reader.line_num, f"is no row of a table ({error})"
            ) from error
        except OSError as error:
            raise unreadable(self._path, error) from error
