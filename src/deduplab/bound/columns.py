"""A table's scan by column: each apart, all of them together, and what an order of rows changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.bound.grains import ALL_GRAINS, WHOLE, kind
from deduplab.bound.results import GrainResult, ScanResult, StreamResult

CODEC: Final = "zstd-3"


@dataclass(frozen=True, slots=True)
class ColumnBound:
    """What could be saved in one column.

    Attributes
    ----------
    name
        The column's name; with the table's before it, where there are several tables.
    objects
        Values, or pages of values where those were scanned.
    logical_bytes
        Their bytes, without what a row adds.
    unique_bytes
        Bytes of the distinct ones; None if whole objects were not scanned.
    value_ratio
        Logical bytes by those of distinct values (or pages); None where nothing was scanned.
    chunk_ratio
        The same at the finest content-defined grain that was scanned.
    packed_ratio
        Logical bytes by what zstd at level 3 makes of each value (or page) alone, without
        deduplication; None where it was not asked for.
    """

    name: str
    objects: int
    logical_bytes: int
    unique_bytes: int | None
    value_ratio: float | None
    chunk_ratio: float | None
    packed_ratio: float | None


def column_bounds(result: ScanResult) -> list[ColumnBound]:
    """Return the columns of a scan, in the order they were met; empty if it has none."""
    return [_bound(name, stream) for name, stream in result.streams.items() if name]


def all_columns(columns: Sequence[ColumnBound]) -> ColumnBound:
    """Return all columns, each deduplicated apart, as one line.

    What two columns have in common is not saved here: a columnar engine keeps them apart.
    """
    return ColumnBound(
        name="all columns",
        objects=sum(column.objects for column in columns),
        logical_bytes=sum(column.logical_bytes for column in columns),
        unique_bytes=_sum([column.unique_bytes for column in columns]),
        value_ratio=_joint(columns, [column.value_ratio for column in columns]),
        chunk_ratio=_joint(columns, [column.chunk_ratio for column in columns]),
        packed_ratio=_joint(columns, [column.packed_ratio for column in columns]),
    )


def finest(grains: Sequence[str]) -> str | None:
    """Return the finest content-defined grain of some; None if there is none."""
    found = [name for name in ALL_GRAINS if name in grains and kind(name) == "content-defined"]
    return found[0] if found else None


def _bound(name: str, stream: StreamResult) -> ColumnBound:
    grains = {grain.grain: grain for grain in stream.grains}
    whole = grains.get(WHOLE)
    chunked = grains.get(finest(tuple(grains)) or "")
    return ColumnBound(
        name=name,
        objects=stream.objects,
        logical_bytes=stream.logical_bytes,
        unique_bytes=whole.unique_bytes if whole else None,
        value_ratio=whole.ratio if whole else None,
        chunk_ratio=chunked.ratio if chunked else None,
        packed_ratio=_packed(whole),
    )


def _packed(grain: GrainResult | None) -> float | None:
    found = [one.all_ratio for one in grain.compression if one.codec == CODEC] if grain else []
    return found[0] if found else None


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _joint(columns: Sequence[ColumnBound], ratios: Sequence[float | None]) -> float | None:
    """Return the ratio of all columns together from the ratio of each; None if one is unknown.

    A column without bytes has no ratio, and adds nothing.
    """
    kept_bytes = 0.0
    logical_bytes = 0
    for column, ratio in zip(columns, ratios, strict=True):
        if not column.logical_bytes:
            continue
        if ratio is None:
            return None
        logical_bytes += column.logical_bytes
        kept_bytes += column.logical_bytes / ratio
    return logical_bytes / kept_bytes if kept_bytes else None
