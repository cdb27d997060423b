"""How ClickHouse's variants keep objects: tables, settings, and what each verb asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deduplab.adapters._layout import CONTENT_HASH, Layout
from deduplab.record import Field, FieldType

# Merged-away parts leave the disk within a second instead of eight minutes.
# A period of 0 for both delays would keep a core busy (measured: 0.8 of one).
_CLEANUP: Final = {
    "old_parts_lifetime": 0,
    "merge_tree_clear_old_parts_interval_seconds": 0,
    "cleanup_delay_period": 0,
    "cleanup_delay_period_random_add": 0,
    "max_cleanup_delay_period": 1,
}
# Old parts go at once, so what a merge wrote must be on stable storage as well.
_DURABILITY: Final[Mapping[str, Mapping[str, int]]] = {
    "fsync": {
        "fsync_after_insert": 1,
        "fsync_part_directory": 1,
        "min_rows_to_fsync_after_merge": 1,
        "min_compressed_bytes_to_fsync_after_merge": 1,
    },
    "none": {
        "fsync_after_insert": 0,
        "fsync_part_directory": 0,
        "min_rows_to_fsync_after_merge": 0,
        "min_compressed_bytes_to_fsync_after_merge": 0,
    },
}
DURABILITIES: Final = tuple(_DURABILITY)


_TYPES: Final[Mapping[FieldType, str]] = {
    FieldType.TEXT: "String",
    FieldType.BYTES: "String",
    FieldType.INTEGER: "Int64",
    FieldType.FLOAT: "Float64",
    FieldType.DECIMAL: "Decimal64({scale})",
    FieldType.BOOLEAN: "Bool",
    FieldType.TIMESTAMP: "DateTime64(6, 'UTC')",
    FieldType.UUID: "UUID",
    # Not the type JSON: it drops members that are null, and takes a dot in a name for nesting.
    FieldType.JSON: "String",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one variant and the statements on them.

    Statements have places: ``{db}`` for the quoted database, ``{source}`` for
    something to select ``key`` and the fields from, ``{key}`` and ``{keys}``
    for string literals.

    Parameters
    ----------
    tables
        Name to columns and engine.
    inserts
        In order; the last one makes the objects visible to a client.
    select, delete, count
        One row of values by its key; objects by their keys; all objects.
    sweep
        What explicit maintenance does first: rows that nothing refers to.
    """

    tables: Mapping[str, str]
    inserts: tuple[str, ...]
    select: str
    delete: str = "DELETE FROM {db}.objects WHERE key IN ({keys})"
    count: str = "SELECT count() FROM {db}.objects"
    sweep: tuple[str, ...] = ()


def schema_of(variant: str, layout: Layout) -> Schema:
    """Return the schema of a variant that stores these fields."""
    if variant == "replacing-by-hash":
        return _by_hash(layout)
    engine = "ReplacingMergeTree" if variant == "replacing-by-key" else "MergeTree"
    columns = _columns(layout, "ZSTD(1)" if variant == "mergetree-zstd" else "")
    names = _names(layout)
    return Schema(
        tables={"objects": f"(key String, {columns}) ENGINE = {engine} ORDER BY key"},
        inserts=(f"INSERT INTO {{db}}.objects (key, {names}) SELECT key, {names} FROM {{source}}",),  # noqa: S608
        select=f"SELECT {names} FROM {{db}}.objects WHERE key = {{key}} LIMIT 1",  # noqa: S608
    )


def _by_hash(layout: Layout) -> Schema:
    """Return the content-addressed tables.

    Contents lie by their hash, of which one row survives a merge, and keys refer
    to them, so that no object is lost when its content's row is.
    """
    names = _names(layout)
    stored, given = f"sipHash128(tuple({names}))", f"sipHash128(tuple({_casts(layout)}))"
    if layout.takes_bytes:  # a payload's own hash
        stored = given = f"sipHash128({names})"
    return Schema(
        tables={
            "payloads": f"({_columns(layout)}, "
            f"{CONTENT_HASH} FixedString(16) MATERIALIZED {stored}) "
            f"ENGINE = ReplacingMergeTree ORDER BY {CONTENT_HASH}",
            "objects": f"(key String, {CONTENT_HASH} FixedString(16)) "
            "ENGINE = MergeTree ORDER BY key",
        },
        inserts=(
            f"INSERT INTO {{db}}.payloads ({names}) SELECT {names} FROM {{source}}",  # noqa: S608
            f"INSERT INTO {{db}}.objects (key, {CONTENT_HASH}) "  # noqa: S608
            f"SELECT key, {given} FROM {{source}}",
        ),
        select=f"SELECT {names} FROM {{db}}.payloads WHERE {CONTENT_HASH} = "  # noqa: S608
        f"(SELECT {CONTENT_HASH} FROM {{db}}.objects WHERE key = {{key}} LIMIT 1) LIMIT 1",
        count=f"SELECT count() FROM {{db}}.objects WHERE {CONTENT_HASH} IN "  # noqa: S608
        f"(SELECT {CONTENT_HASH} FROM {{db}}.payloads)",
        sweep=(
            f"DELETE FROM {{db}}.payloads WHERE {CONTENT_HASH} NOT IN "  # noqa: S608
            f"(SELECT {CONTENT_HASH} FROM {{db}}.objects)",
        ),
    )


def type_of(field: Field) -> str:
    """Return the column type of a field."""
    name = _TYPES[field.type].format(scale=field.scale)
    return f"Nullable({name})" if field.nullable else name


def _columns(layout: Layout, codec: str = "") -> str:
    """Return column definitions; timestamps, which mostly grow, are kept as differences."""
    defined = []
    for field in layout.fields:
        codecs = [codec] if codec else []
        if field.type is FieldType.TIMESTAMP:
            codecs = ["Delta", codec or "LZ4"]
        listed = f" CODEC({', '.join(codecs)})" if codecs else ""
        defined.append(f"`{field.name}` {type_of(field)}{listed}")
    return ", ".join(defined)


def _names(layout: Layout) -> str:
    return ", ".join(f"`{field.name}`" for field in layout.fields)


def _casts(layout: Layout) -> str:
    """Return the fields as their columns will have them, so that both hashes agree."""
    return ", ".join(f"CAST(`{field.name}` AS {type_of(field)})" for field in layout.fields)


def table_settings(durability: str) -> dict[str, int]:
    """Return the settings of every table at a durability; all differ from the product's default."""
    return {**_CLEANUP, **_DURABILITY[durability]}
