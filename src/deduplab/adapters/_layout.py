"""What a namespace stores under a key: one field of bytes (blob), or a record's fields (native).

So both layouts take one path through an adapter: a row of values, of which
blob has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from mimetypes import MimeTypes
from typing import Any, Final, TypeAlias

from deduplab.batch import Batch
from deduplab.errors import OperationFailed, Unsupported
from deduplab.record import Field, FieldType, Record, RecordType, Stored, Value

LAYOUTS: Final = ("blob", "native")
"""The layouts that every adapter here offers."""

PAYLOAD: Final = Field("payload", FieldType.BYTES)
"""The only field of the layout blob."""

CONTENT_HASH: Final = "content_hash"
"""The column beside the fields where content has a table of its own."""

_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED: Final = ("key", CONTENT_HASH)

Convert: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout with the fields that it stores.

    Parameters
    ----------
    name
        ``blob`` or ``native``.
    fields
        In the order of the values of a row.
    record_type
        What native records are; None for blob.
    """

    name: str = "blob"
    fields: tuple[Field, ...] = (PAYLOAD,)
    record_type: RecordType | None = None

    @classmethod
    def of(cls, system: str, name: str, record_type: RecordType | None) -> Layout:
        """Return the layout of that name; ``record_type`` is looked at for native alone.

        Raises
        ------
        Unsupported
            If native has no record type, or a field's name can't be a column's.
        """
        if name == "blob":
            return cls()
        if record_type is None:
            raise Unsupported(
                f"{system}: the layout {name!r} needs a record type, but the payload has none; "
                "choose the layout 'blob' or another payload"
            )
        for field in record_type.fields:
            if not _FIELD_NAME.fullmatch(field.name) or field.name in _RESERVED:
                raise Unsupported(
                    f"{system}: the field {field.name!r} of {record_type.name!r} can't be a "
                    f"column: a-z, 0-9 and _, a letter first, and none of {', '.join(_RESERVED)}"
                )
        return cls(name, record_type.fields, record_type)

    @property
    def is_native(self) -> bool:
        """Whether records are stored, not payloads."""
        return self.record_type is not None

    @property
    def takes_bytes(self) -> bool:
        """Whether a row is one value of bytes that is never NULL."""
        return len(self.fields) == 1 and self.fields[0] == Field(
            self.fields[0].name, FieldType.BYTES
        )

    @property
    def file_extension(self) -> str:
        """How the name of a file ends that holds one object: nothing for blob.

        By the types that Python itself knows, so that it is the same on every machine.
        """
        if self.record_type is None:
            return ""
        return MimeTypes().guess_extension(self.record_type.content_type) or ".bin"

    def described(self) -> dict[str, str]:
        """Return the layout and its fields in words, for markers and identities."""
        if self.record_type is None:
            return {"layout": self.name}
        listed = ", ".join(map(_described, self.fields))
        return {"layout": self.name, "record": f"{self.record_type.name}({listed})"}

    def row(self, stored: Stored) -> Record:
        """Return what is put as a row of values.

        Raises
        ------
        OperationFailed
            If it is a payload where the layout is native, or a record where it is blob.
        """
        if isinstance(stored, tuple):
            if self.record_type is not None and len(stored) == len(self.fields):
                return stored
        elif self.record_type is None:
            return (stored,)
        raise OperationFailed(
            f"the layout {self.name!r} stores rows of {len(self.fields)} fields and can't take "
            f"{f'{len(stored)} values' if isinstance(stored, tuple) else 'a payload'}"
        )

    def rows(self, batch: Batch) -> Iterable[Record]:
        """Return a batch as rows of values; what was prepared before the clock is used as it is."""
        return batch.records if self.is_native else ((payload,) for payload in batch.payloads)

    def columns(self, batch: Batch) -> Sequence[Sequence[Value]]:
        """Return a batch as one sequence of values a field."""
        return batch.columns if self.is_native else (batch.payloads,)

    def stored(self, row: Sequence[Any]) -> Stored:
        """Return what ``get`` returns for a row that was read."""
        if self.is_native:
            return tuple(row)
        payload: bytes = row[0]
        return payload


@dataclass(frozen=True, slots=True)
class Conversion:
    """Converts the values of rows where a driver has another type for a field; NULL stays.

    Parameters
    ----------
    places
        Pairs of a value's place in a row and what converts it.
    """

    places: tuple[tuple[int, Convert], ...]

    @classmethod
    def of(
        cls, fields: Iterable[Field], converter: Callable[[Field], Convert | None]
    ) -> Conversion:
        """Return the conversion of these fields, by a function that knows each field's."""
        converters = [(place, converter(field)) for place, field in enumerate(fields)]
        return cls(tuple((place, convert) for place, convert in converters if convert))

    def __call__(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the row, converted."""
        if not self.places:
            return row
        values = list(row)
        for place, convert in self.places:
            value = values[place]
            if value is not None:
                values[place] = convert(value)
        return values

    def columns(self, columns: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """Return rows that are given as one sequence of values a field, converted."""
        converted = list(columns)
        for place, convert in self.places:
            converted[place] = [v if v is None else convert(v) for v in converted[place]]
        return converted


def _described(field: Field) -> str:
    scale = f"({field.scale})" if field.type is FieldType.DECIMAL else ""
    return f"{field.name} {field.type}{scale}{'?' if field.nullable else ''}"
