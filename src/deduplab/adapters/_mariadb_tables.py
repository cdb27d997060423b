"""What MariaDB's tables are made of: variants, column types, and how values travel.

Sources: MariaDB Knowledge Base, "InnoDB Page Compression", "InnoDB COMPRESSED
Row Format", "MyRocks", "Data Types".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from deduplab.adapter import Variant
from deduplab.adapters._layout import CONTENT_HASH, Conversion, Layout
from deduplab.adapters._mariadb_bulk import BulkColumn, Kind
from deduplab.batch import Batch
from deduplab.errors import OperationFailed
from deduplab.record import Field, FieldType

VARIANTS: Final = (
    Variant("default", "InnoDB, row format DYNAMIC, no compression"),
    Variant("page-compressed", "InnoDB, each page compressed (zlib), the rest punched out"),
    Variant("row-compressed", "InnoDB, row format COMPRESSED, pages of 8 KiB"),
    Variant("myrocks", "MyRocks, a log-structured merge tree, blocks compressed (Snappy)"),
    Variant(
        "unique-content", "InnoDB, contents once by a unique key on their hash, and referred to"
    ),
)
MYROCKS: Final = "myrocks"
UNIQUE_CONTENT: Final = "unique-content"
PAGE_COMPRESSED: Final = "page-compressed"

_OPTIONS: Final = {
    "default": "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    PAGE_COMPRESSED: "ENGINE=InnoDB ROW_FORMAT=DYNAMIC PAGE_COMPRESSED=1",
    "row-compressed": "ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8",
    MYROCKS: "ENGINE=ROCKSDB",
    UNIQUE_CONTENT: "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
}
FILES: Final = (
    ("ib_logfile*", "wal"),
    ("binlog.[0-9]*", "binlog"),
    ("relay-log.[0-9]*", "binlog"),
    ("#rocksdb/*.log", "wal"),
    ("#rocksdb/*.sst", "data"),
    ("#rocksdb/*", "metadata"),
    ("ibtmp*", "temporary"),
    ("#innodb_temp/*", "temporary"),
    ("ibdata*", "system"),
    ("undo*", "system"),
    ("mysql/*", "metadata"),
    ("sys/*", "metadata"),
    ("*.ibd", "data"),
    ("*", "metadata"),
)
"""What the files of an instance are, by the first pattern that a path matches."""

_KEY_TYPE: Final = "VARBINARY(767)"
_HASH_TYPE: Final = "BINARY(32)"

_TYPES: Final = {
    FieldType.TEXT: "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    FieldType.BYTES: "LONGBLOB",
    FieldType.INTEGER: "BIGINT",
    FieldType.FLOAT: "DOUBLE",
    FieldType.DECIMAL: "DECIMAL(18,{scale})",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.TIMESTAMP: "DATETIME(6)",
    FieldType.UUID: "UUID",
    FieldType.JSON: "JSON",
}
_INTEGERS: Final = (FieldType.INTEGER, FieldType.BOOLEAN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """The tables of a namespace, the statements on them, and how their values travel.

    Parameters
    ----------
    variant, layout
        What the namespace was created as.
    """

    variant: str
    layout: Layout

    @property
    def refers(self) -> bool:
        """Whether objects refer to contents in a table of their own."""
        return self.variant == UNIQUE_CONTENT

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables; what is emptied or dropped, in this order."""
        return ("objects", "contents") if self.refers else ("objects",)

    def creates(self, database: str) -> list[str]:
        """Return the statements that make the tables."""
        fields = ", ".join(map(_definition, self.layout.fields))
        options = _OPTIONS[self.variant]
        objects = f"`{database}`.objects (`key` {_KEY_TYPE} PRIMARY KEY, "
        if not self.refers:
            return [f"CREATE TABLE {objects}{fields}) {options}"]
        return [
            f"CREATE TABLE `{database}`.contents "
            f"({CONTENT_HASH} {_HASH_TYPE} PRIMARY KEY, {fields}) {options}",
            f"CREATE TABLE {objects}{CONTENT_HASH} {_HASH_TYPE} NOT NULL) {options}",
        ]

    def statements(self, database: str) -> dict[str, tuple[str, list[Kind], list[Kind]]]:
        """Return what is prepared: each verb's text, kinds of parameters and of results."""
        objects, key = f"`{database}`.objects", [Kind.BYTES]
        kinds = [_kind(field) for field in self.layout.fields]
        places = ", ?" * len(kinds)
        columns = ", ".join(map(_selected, self.layout.fields))
        found: dict[str, tuple[str, list[Kind], list[Kind]]] = {
            "put": (f"INSERT INTO {objects} VALUES (?{places})", key + kinds, []),  # noqa: S608
            "get": (
                f"SELECT {columns} FROM {self._joined(database)} WHERE `key` = ?",  # noqa: S608
                key,
                [_read_kind(field) for field in self.layout.fields],
            ),
            "delete": (f"DELETE FROM {objects} WHERE `key` = ?", key, []),  # noqa: S608
        }
        if self.refers:
            found["put"] = (f"INSERT INTO {objects} VALUES (?, ?)", key * 2, [])  # noqa: S608
            found["content"] = (
                f"INSERT INTO `{database}`.contents VALUES (?{places}) "  # noqa: S608
                f"ON DUPLICATE KEY UPDATE {CONTENT_HASH} = {CONTENT_HASH}",
                key + kinds,
                [],
            )
        return found

    def columns(self, batch: Batch) -> list[BulkColumn]:
        """Return a batch as the columns of a bulk, without the key."""
        if not self.layout.is_native:
            return [BulkColumn.of_buffer(batch.data, batch.offsets)]
        columns: list[BulkColumn] = []
        for field, column in zip(self.layout.fields, batch.columns, strict=True):
            write = _WRITERS.get(field.type)
            values: Sequence[Any] = column
            if write is not None:
                values = [None if value is None else write(value) for value in column]
            columns.append(BulkColumn.of_values(_kind(field), values))
        return columns

    def count(self, database: str) -> str:
        """Return the statement that counts the objects whose content is there."""
        return f"SELECT count(*) FROM {self._joined(database)}"  # noqa: S608

    def sweep(self, database: str) -> str:
        """Return the statement that deletes contents that no object refers to."""
        return (
            f"DELETE FROM `{database}`.contents WHERE {CONTENT_HASH} NOT IN "  # noqa: S608
            f"(SELECT {CONTENT_HASH} FROM `{database}`.objects)"
        )

    def _joined(self, database: str) -> str:
        objects = f"`{database}`.objects"
        if not self.refers:
            return objects
        return f"{objects} JOIN `{database}`.contents USING ({CONTENT_HASH})"

    @property
    def written(self) -> Conversion:
        """Makes a row to send of a row of fields' values."""
        return Conversion.of(self.layout.fields, lambda field: _WRITERS.get(field.type))

    @property
    def read(self) -> Conversion:
        """Makes a row of fields' values of a row that came."""
        return Conversion.of(self.layout.fields, lambda field: _READERS.get(field.type))


def _kind(field: Field) -> Kind:
    if field.type in _INTEGERS:
        return Kind.INTEGER
    if field.type is FieldType.FLOAT:
        return Kind.FLOAT
    return Kind.BYTES if field.type is FieldType.BYTES else Kind.TEXT


def _read_kind(field: Field) -> Kind:
    return Kind.INTEGER if field.type is FieldType.TIMESTAMP else _kind(field)


def _definition(field: Field) -> str:
    column_type = _TYPES[field.type].format(scale=field.scale)
    return f"`{field.name}` {column_type} {'NULL' if field.nullable else 'NOT NULL'}"


def _selected(field: Field) -> str:
    if field.type is FieldType.TIMESTAMP:
        return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', `{field.name}`)"
    return f"`{field.name}`"


def _moment(microseconds: int) -> bytes:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds").encode()


def _double(value: float) -> float:
    if value == 0 and math.copysign(1, value) < 0:
        raise OperationFailed(
            "mariadb: a DOUBLE has no negative zero (the server would store 0); "
            "choose the layout 'blob' for such data"
        )
    return value


_WRITERS: Final[dict[FieldType, Callable[[Any], Any]]] = {
    FieldType.TEXT: str.encode,
    FieldType.JSON: str.encode,
    FieldType.UUID: str.encode,
    FieldType.FLOAT: _double,
    FieldType.DECIMAL: lambda value: f"{value:f}".encode(),
    FieldType.TIMESTAMP: _moment,
}
_READERS: Final[dict[FieldType, Callable[[Any], Any]]] = {
    FieldType.TEXT: bytes.decode,
    FieldType.JSON: bytes.decode,
    FieldType.UUID: bytes.decode,
    FieldType.DECIMAL: lambda value: Decimal(value.decode()),
    FieldType.BOOLEAN: bool,
}
