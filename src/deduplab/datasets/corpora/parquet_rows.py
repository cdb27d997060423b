"""Rows of a Parquet file, as records of the types that its schema names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from deduplab.datasets.corpora.field_names import field_names
from deduplab.datasets.record_types import MOMENTS, canonical_json, json_record
from deduplab.datasets.source_files import unreadable
from deduplab.errors import DatasetError
from deduplab.record import Field, FieldType, RecordType, Value
from deduplab.units import MIB

if TYPE_CHECKING:
    import pyarrow

_ROWS_AT_ONCE: Final = 1024
_DECIMAL_DIGITS: Final = 18
_GREATEST_INTEGER: Final = (1 << 63) - 1
_NO_MOMENT: Final = "a moment before the year 1 or after 9999"


class ParquetRows:
    """The rows of a Parquet file.

    Booleans, whole numbers, floats, text, bytes, decimals up to 18 digits, moments
    (to the microsecond; UTC if they name no zone) and UUIDs become fields of their
    type; longer decimals, dates and times of day become text; lists, structs and maps become
    JSON. NaN becomes null, since JSON has none.

    Raises
    ------
    DatasetError
        If it is no Parquet file, or holds what no record can (a duration, an
        infinite number, a NUL in text, a whole number above 2^63 - 1, a year that is
        not one of 1 to 9999); the column is named.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        with self._opened() as file:
            schema = file.schema_arrow
        names = field_names(schema.names)
        columns = [self._column(name, schema.field(i)) for i, name in enumerate(names)]
        self._names = schema.names
        self._read = [read for _, read in columns]
        self.record_type: RecordType = json_record("files", tuple(field for field, _ in columns))

    def canonical(self) -> Iterator[bytes]:
        """Yield each row in canonical form."""
        serialise = self.record_type.serialise
        with self._opened() as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                columns = [
                    self._values(number, column) for number, column in enumerate(batch.columns)
                ]
                for row in zip(*columns, strict=True):
                    yield serialise(row)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise DatasetError(
                "Parquet files need pyarrow; install it with: pip install 'deduplab[data]'"
            ) from error
        try:
            # By an open file, since a name need not be UTF-8; without reading ahead, since a group
            # of rows may be greater than memory.
            with open(self._path, "rb") as file:  # noqa: PTH123
                yield pyarrow.parquet.ParquetFile(file, buffer_size=MIB, pre_buffer=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise unreadable(self._path, error) from error

    def _values(self, number: int, column: pyarrow.Array) -> list[Value]:
        import pyarrow

        if pyarrow.types.is_timestamp(column.type):
            # Nanoseconds are cut to microseconds.
            column = column.cast(pyarrow.timestamp("us"), safe=False).cast(pyarrow.int64())
        read = self._read[number]
        try:
            values = column.to_pylist()
            if read is None:
                return list(values)
            return [None if value is None else read(value) for value in values]
        except (ValueError, OverflowError) as error:
            # A moment that Python's calendar does not have overflows.
            what = f"holds {_NO_MOMENT}" if isinstance(error, OverflowError) else error
            raise DatasetError(
                f"source {os.fsdecode(self._path)!r}, column {self._names[number]!r} {what}; "
                "correct it or leave the column out"
            ) from error

    def _column(
        self, name: str, column: pyarrow.Field
    ) -> tuple[Field, Callable[[Any], Value] | None]:
        """Return the field of a column, and what makes its values of those of pyarrow."""
        found = _field_type(column.type)
        if found is None:
            raise DatasetError(
                f"source {os.fsdecode(self._path)!r}, column {column.name!r} is of type "
                f"{column.type}, which no record holds; leave the column out"
            )
        type_, scale, read = found
        # NaN becomes null, whatever the schema says.
        nullable = column.nullable or type_ is FieldType.FLOAT
        return Field(name, type_, nullable=nullable, scale=scale), read


def _field_type(
    kind: pyarrow.DataType,
) -> tuple[FieldType, int, Callable[[Any], Value] | None] | None:
    """Return a field's type, its scale, and how its values are read; None if there is none."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_decimal(kind):
        if kind.precision <= _DECIMAL_DIGITS and kind.scale >= 0:
            return FieldType.DECIMAL, kind.scale, None
        return FieldType.TEXT, 0, _plain_decimal
    if str(kind) == "extension<arrow.uuid>":
        return FieldType.UUID, 0, str
    if types.is_nested(kind):
        return FieldType.JSON, 0, _json
    for holds, type_, read in _SCALARS:
        if any(getattr(types, f"is_{name}")(kind) for name in holds):
            return type_, 0, read
    return None


def _plain_decimal(value: Decimal) -> str:
    return format(value, "f")


def _json(value: object) -> str:
    try:
        text = canonical_json(_without_nan(value)).decode()
    except TypeError as error:
        raise ValueError(f"holds what JSON can't ({error})") from error
    if "\\u0000" in text:
        raise ValueError("holds a NUL character")
    return text


def _without_nan(value: object) -> object:
    """Return a nested value as JSON has it; a map's pairs stay a list of pairs."""
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return {name: _without_nan(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(member) for member in value]
    return value


def _float(value: float) -> float | None:
    if math.isinf(value):
        raise ValueError("holds an infinite number")
    return None if math.isnan(value) else value


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def _integer(value: int) -> int:
    if value > _GREATEST_INTEGER:
        raise ValueError(f"holds {value}, more than 64 bits with a sign")
    return value


def _moment(microseconds: int) -> int:
    if microseconds not in MOMENTS:
        raise ValueError(f"holds {_NO_MOMENT}")
    return microseconds


_SCALARS: Final[tuple[tuple[tuple[str, ...], FieldType, Callable[[Any], Value] | None], ...]] = (
    (("boolean",), FieldType.BOOLEAN, None),
    (("uint64",), FieldType.INTEGER, _integer),
    (("integer",), FieldType.INTEGER, None),
    (("floating",), FieldType.FLOAT, _float),
    (("string", "large_string", "string_view", "null"), FieldType.TEXT, _text),
    (("binary", "large_binary", "fixed_size_binary", "binary_view"), FieldType.BYTES, None),
    (("timestamp",), FieldType.TIMESTAMP, _moment),
    (("date",), FieldType.TEXT, lambda value: str(value.isoformat())),
    (("time",), FieldType.TEXT, lambda value: str(value.isoformat())),
)
