"""How PostgreSQL's variants keep objects: tables, TOAST, and the statements of each verb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deduplab.adapter import Variant
from deduplab.adapters._layout import CONTENT_HASH, Layout
from deduplab.adapters._pg_family import Verbs
from deduplab.adapters._sql_tables import (
    UNIQUE_CONTENT,
    Dialect,
    quoted,
    quoted_names,
    tables_of,
)
from deduplab.record import Field, FieldType

VARIANTS: Final = (
    Variant("default", "TOAST compresses each value alone (EXTENDED, pglz)"),
    Variant("toast-lz4", "TOAST compresses each value alone (EXTENDED, lz4)"),
    Variant("toast-external", "TOAST stores values out of line, uncompressed (EXTERNAL)"),
    Variant("content-index", "as default, with a B-tree on the content's hash: equal keys merged"),
    Variant("content-index-plain", "the same, equal keys not merged (deduplicate_items = off)"),
    UNIQUE_CONTENT,
)
_DEFAULT_TOAST: Final = ("pglz", "EXTENDED")
_TOAST: Final = {"toast-lz4": ("lz4", "EXTENDED"), "toast-external": ("pglz", "EXTERNAL")}
_DEDUPLICATE_ITEMS: Final = {"content-index": "on", "content-index-plain": "off"}
_TOASTED: Final = (FieldType.TEXT, FieldType.BYTES, FieldType.JSON)
_TYPES: Final[Mapping[FieldType, str]] = {
    FieldType.TEXT: "text",
    FieldType.BYTES: "bytea",
    FieldType.INTEGER: "bigint",
    FieldType.FLOAT: "double precision",
    FieldType.DECIMAL: "numeric(18, {scale})",
    FieldType.BOOLEAN: "boolean",
    FieldType.TIMESTAMP: "timestamptz",
    FieldType.UUID: "uuid",
    FieldType.JSON: "jsonb",
}
_STAGED: Final = "pg_temp.staged"


@dataclass(frozen=True, slots=True)
class Statements(Verbs):
    """The tables of a namespace and what is issued on them.

    Parameters
    ----------
    compression
        The TOAST compression that the server must have.
    creates
        In order, make the tables.
    stages
        In order, make this connection's staging table; empty where loads need none.
    insert_staged
        Inserts what was copied into the staging table, and counts the objects; None where
        loads need none.
    """

    compression: str
    creates: tuple[str, ...]
    stages: tuple[str, ...]
    insert_staged: str | None


def statements_of(variant: str, layout: Layout, namespace: str) -> Statements:
    """Return the statements of a variant and a layout in a namespace's schema."""
    compression, storage = _TOAST.get(variant, _DEFAULT_TOAST)
    fields = layout.fields
    toasted = [field for field in fields if field.type in _TOASTED]
    compressed = {t: f"{_TYPES[t]} COMPRESSION {compression}" for t in _TOASTED}
    schema = f'"{namespace}".'
    dialect = Dialect(
        {**_TYPES, **compressed},
        key_type="text",
        hash_type="bytea",
        placeholder="$1",
        schema=schema,
    )
    tables = tables_of(variant, fields, dialect)
    container = next(iter(tables.columns))
    objects, names = f"{schema}objects", quoted_names(fields)
    creates = [f"CREATE TABLE {table} ({columns})" for table, columns in tables.columns.items()]
    creates += [_stored(container, field, storage) for field in toasted]
    if variant in _DEDUPLICATE_ITEMS:
        creates.append(_content_index(layout, objects, _DEDUPLICATE_ITEMS[variant]))
    delete = f"DELETE FROM {objects} WHERE key = ANY ($1)"  # noqa: S608
    if tables.sweep is None:
        places = ", ".join(f"${number}" for number in range(1, len(fields) + 2))
        return Statements(
            tables=tables,
            put=f"INSERT INTO {objects} (key, {names}) VALUES ({places})",  # noqa: S608
            delete=delete,
            copy=f"COPY {objects} (key, {names}) FROM STDIN (FORMAT binary)",
            compression=compression,
            creates=tuple(creates),
            stages=(),
            insert_staged=None,
        )
    given = ", ".join(
        f"${place}::{_type_of(field)} AS {quoted(field.name)}"
        for place, field in enumerate(fields, start=2)
    )
    return Statements(
        tables=tables,
        put=_insert_by_hash(layout, schema, f"(SELECT $1::text AS key, {given}) AS given"),
        delete=delete,
        copy=f"COPY {_STAGED} (key, {names}) FROM STDIN (FORMAT binary)",
        compression=compression,
        creates=tuple(creates),
        stages=_staging(fields, toasted),
        insert_staged=_insert_by_hash(layout, schema, _STAGED),
    )


def _staging(fields: tuple[Field, ...], toasted: list[Field]) -> tuple[str, ...]:
    """Return what makes the staging table, emptied by every commit; it compresses nothing."""
    columns = ", ".join(f"{quoted(field.name)} {_type_of(field)}" for field in fields)
    return (
        f"DROP TABLE IF EXISTS {_STAGED}",
        f"CREATE TEMPORARY TABLE staged (key text, {columns}) ON COMMIT DELETE ROWS",
        *(_stored(_STAGED, field, "EXTERNAL") for field in toasted),
    )


def _insert_by_hash(layout: Layout, schema: str, source: str) -> str:
    """Return one statement that inserts new contents, then all objects.

    Contents go in by their hash, so that two clients lock them in one order.
    """
    names = quoted_names(layout.fields)
    if layout.takes_bytes:
        content_hash = f"sha256({names})"
    else:
        content_hash = f"sha256(convert_to(ROW({names})::text, 'UTF8'))"
    return (
        f"WITH hashed AS MATERIALIZED (SELECT key, {content_hash} AS {CONTENT_HASH}, {names} "  # noqa: S608
        f"FROM {source}), "
        f"kept AS (INSERT INTO {schema}contents ({CONTENT_HASH}, {names}) "
        f"SELECT {CONTENT_HASH}, {names} FROM hashed ORDER BY {CONTENT_HASH} "
        "ON CONFLICT DO NOTHING) "
        f"INSERT INTO {schema}objects (key, {CONTENT_HASH}) SELECT key, {CONTENT_HASH} FROM hashed"
    )


def _content_index(layout: Layout, objects: str, deduplicate_items: str) -> str:
    """Return what makes an index on the hash of the content, which copies have in common.

    Of a record it is 128 bits of the hash that PostgreSQL has for rows (the cast to text that
    unique-content hashes depends on settings, which an index does not allow).
    """
    names = quoted_names(layout.fields)
    if layout.takes_bytes:
        content_hash = f"sha256({names})"
    else:
        content_hash = ", ".join(f"hash_record_extended(ROW({names}), {seed})" for seed in (0, 1))
    return (
        f"CREATE INDEX objects_{CONTENT_HASH} ON {objects} ({content_hash}) "
        f"WITH (deduplicate_items = {deduplicate_items})"
    )


def _type_of(field: Field) -> str:
    return _TYPES[field.type].format(scale=field.scale)


def _stored(table: str, field: Field, storage: str) -> str:
    return f"ALTER TABLE {table} ALTER COLUMN {quoted(field.name)} SET STORAGE {storage}"
