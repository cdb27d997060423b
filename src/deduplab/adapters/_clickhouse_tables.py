"""How ClickHouse's variants keep objects: tables, settings, and what each verb asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one variant and the statements on them.

    Statements have places: ``{db}`` for the quoted database, ``{source}`` for
    something to select ``key`` and ``payload`` from, ``{key}`` and ``{keys}``
    for string literals.

    Parameters
    ----------
    tables
        Name to columns and engine.
    inserts
        In order; the last one makes the objects visible to a client.
    select, delete, count
        One payload by its key; objects by their keys; all objects.
    sweep
        What explicit maintenance does first: rows that nothing refers to.
    """

    tables: Mapping[str, str]
    inserts: tuple[str, ...]
    select: str
    delete: str = "DELETE FROM {db}.objects WHERE key IN ({keys})"
    count: str = "SELECT count() FROM {db}.objects"
    sweep: tuple[str, ...] = ()


def _one_table(engine: str, codec: str = "") -> Schema:
    return Schema(
        tables={"objects": f"(key String, payload String{codec}) ENGINE = {engine} ORDER BY key"},
        inserts=("INSERT INTO {db}.objects (key, payload) SELECT key, payload FROM {source}",),
        select="SELECT payload FROM {db}.objects WHERE key = {key} LIMIT 1",
    )


# Content-addressed: payloads by their hash, of which one row survives a merge, and the keys that
# refer to them, so that no object is lost when its payload's row is.
_BY_HASH: Final = Schema(
    tables={
        "payloads": "(payload String, hash FixedString(16) MATERIALIZED sipHash128(payload)) "
        "ENGINE = ReplacingMergeTree ORDER BY hash",
        "objects": "(key String, hash FixedString(16)) ENGINE = MergeTree ORDER BY key",
    },
    inserts=(
        "INSERT INTO {db}.payloads (payload) SELECT payload FROM {source}",
        "INSERT INTO {db}.objects (key, hash) SELECT key, sipHash128(payload) FROM {source}",
    ),
    select="SELECT payload FROM {db}.payloads WHERE hash = "
    "(SELECT hash FROM {db}.objects WHERE key = {key} LIMIT 1) LIMIT 1",
    count="SELECT count() FROM {db}.objects WHERE hash IN (SELECT hash FROM {db}.payloads)",
    sweep=("DELETE FROM {db}.payloads WHERE hash NOT IN (SELECT hash FROM {db}.objects)",),
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "mergetree": _one_table("MergeTree"),
    "mergetree-zstd": _one_table("MergeTree", " CODEC(ZSTD(1))"),
    "replacing-by-key": _one_table("ReplacingMergeTree"),
    "replacing-by-hash": _BY_HASH,
}


def table_settings(durability: str) -> dict[str, int]:
    """Return the settings of every table at a durability; all differ from the product's default."""
    return {**_CLEANUP, **_DURABILITY[durability]}
