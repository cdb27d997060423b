"""DuckDB's types for fields, and its statements of each shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deduplab.adapters._layout import CONTENT_HASH, Layout
from deduplab.adapters._sql_tables import Dialect, Tables, quoted, quoted_names, tables_of
from deduplab.record import Field, FieldType

DIALECT: Final = Dialect(
    types={
        FieldType.TEXT: "VARCHAR",
        FieldType.BYTES: "BLOB",
        FieldType.INTEGER: "BIGINT",
        FieldType.FLOAT: "DOUBLE",
        FieldType.DECIMAL: "DECIMAL(18, {scale})",
        FieldType.BOOLEAN: "BOOLEAN",
        FieldType.TIMESTAMP: "TIMESTAMP",
        FieldType.UUID: "UUID",
        FieldType.JSON: "JSON",
    },
    key_type="VARCHAR",
    reads={FieldType.TIMESTAMP: "epoch_us({})", FieldType.UUID: "{}::VARCHAR"},
)
# What these are hashed by themselves for: text of any length, which may hold the separator.
_LONG: Final = (FieldType.TEXT, FieldType.JSON, FieldType.BYTES)


@dataclass(frozen=True, slots=True)
class Statements:
    """The tables of a namespace and its inserts.

    Parameters
    ----------
    tables
        The tables, and the statements that all SQL systems share.
    put
        In order, of one object; the parameters of each are the key and the values.
    put_many
        In order, of the table ``batch``; the last one but the clean-up counts the objects.
    """

    tables: Tables
    put: tuple[str, ...]
    put_many: tuple[str, ...]

    @property
    def data_blocks(self) -> str:
        """A query of the number of blocks that hold the tables' columns."""
        infos = " UNION ALL ".join(
            f"SELECT block_id, additional_block_ids FROM pragma_storage_info('{table}')"  # noqa: S608
            " WHERE persistent"
            for table in self.tables.columns
        )
        return (
            "SELECT count(DISTINCT block) FROM (SELECT unnest([block_id] || additional_block_ids)"  # noqa: S608
            f" AS block FROM ({infos})) WHERE block >= 0"
        )


def statements_of(variant: str, layout: Layout) -> Statements:
    """Return the statements of a variant and a layout."""
    fields = layout.fields
    tables = tables_of(variant, fields, DIALECT)
    one = ", ".join(map(_parameter, fields))
    if tables.sweep is None:
        return Statements(
            tables,
            (f"INSERT INTO objects VALUES (?, {one})",),  # noqa: S608
            ("INSERT INTO objects FROM batch",),
        )
    named = ", ".join(f"{_parameter(f)} AS {quoted(f.name)}" for f in fields)
    typed = ", ".join(f"{quoted(f.name)}::{DIALECT.type_of(f)} AS {quoted(f.name)}" for f in fields)
    staged = f"CREATE OR REPLACE TEMP TABLE staged AS SELECT *, {_hash_of(layout)}"
    inserts = (
        f"INSERT INTO contents SELECT {CONTENT_HASH}, {quoted_names(fields)} FROM staged "  # noqa: S608
        "ON CONFLICT DO NOTHING",
        f"INSERT INTO objects SELECT key, {CONTENT_HASH} FROM staged",  # noqa: S608
    )
    return Statements(
        tables,
        (f"{staged} FROM (SELECT ?::VARCHAR AS key, {named})", *inserts),
        (f"{staged} FROM (SELECT key, {typed} FROM batch)", *inserts),  # noqa: S608
    )


def _parameter(field: Field) -> str:
    if field.type is FieldType.TIMESTAMP:
        return "make_timestamp(?::BIGINT)"
    return f"?::{DIALECT.type_of(field)}"


def _hash_of(layout: Layout) -> str:
    """Return the column of the content's hash: SHA-256 of the payload, or over all fields."""
    if layout.takes_bytes:
        return f"unhex(sha256({quoted(layout.fields[0].name)})) AS {CONTENT_HASH}"
    return f"unhex(sha256(concat_ws('|', {', '.join(_hashed(layout.fields))}))) AS {CONTENT_HASH}"


def _hashed(fields: Iterable[Field]) -> Iterable[str]:
    for field in fields:
        name = quoted(field.name)
        text = f"sha256({name})" if field.type in _LONG else f"{name}::VARCHAR"
        yield f"coalesce({text}, 'NULL')"
