"""What a scan found, as plain values; :func:`plain` makes JSON of them.

They, and what else the scan of files needs, are no dataclasses: to import what makes these takes
as long as to scan 50 MiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from deduplab.bound.stream import LeftOut


class Bin(NamedTuple):
    """A bin of a histogram: how many have a value between two limits, both included.

    Estimated, and then rounded, where the scan was sampled.
    """

    least: int
    greatest: int
    count: int  # type: ignore[assignment]  # not the method of tuples


class Sizes(NamedTuple):
    """Lengths of the unique chunks, each counted once.

    ``cv`` is the coefficient of variation, and the percentiles those of
    their number, not of their bytes. Estimated from the chunks in the sample
    where the scan was sampled.
    """

    mean_bytes: float
    cv: float
    percentiles_bytes: dict[str, int]
    histogram_bytes: list[Bin]


class Distances(NamedTuple):
    """How far back the previous copy was: logical bytes between its end and the copy's start.

    Adjacent copies have distance 0. Each chunk that was seen before counts
    once. Pairs whose copies lie in two shards (processes, merged sketches) are
    not among them: a shard knows only its own order. The median is that of a
    histogram with 16 bins an octave, so it is within 4 %.
    """

    copies: int
    median_bytes: int | None
    histogram_bytes: list[Bin]


class Compression(NamedTuple):
    """What a compressor makes of chunks, each compressed alone.

    ``unique_ratio`` is raw by compressed bytes of the unique chunks, and
    ``all_ratio`` that of all chunks, so without deduplication. Multiply
    ``unique_ratio`` by the ratio of the grain for both together. A chunk that does
    not get smaller counts as it is; the first 256 KiB of an object stand for it.

    It is found from a sample of the unique chunks: ``sampled_bytes`` were compressed
    (at most 4 MiB a grain), in ``sampled_chunks``, which are the likelier in it the
    longer they are. ``relative_standard_error`` is that of ``unique_ratio``, and
    ``all_relative_standard_error`` that of ``all_ratio``: 0 where all was compressed
    (``complete``), None where the sample is one chunk. ``all_ratio`` is None where the
    sample does not stand for all chunks: few that are there very often, such as blocks
    of zeros, are much of the data, and by chance not in it.
    """

    codec: str
    unique_ratio: float
    all_ratio: float | None
    relative_standard_error: float | None
    all_relative_standard_error: float | None
    sampled_bytes: int
    sampled_chunks: int
    complete: bool


class SamplingError(NamedTuple):
    """How far a sampled figure may be off.

    ``relative_standard_error`` is sqrt((1 - p) / (p U) (1 + cv^2)), p the share of
    fingerprints that are kept, U the unique chunks, cv the coefficient of variation
    of their lengths; None where no chunk is in the sample. The intervals have a
    confidence of 95 %; an upper limit of the ratio is None where there is none.
    """

    p: float
    sampled_chunks: int
    relative_standard_error: float | None
    unique_bytes_interval: tuple[int, int]
    ratio_interval: tuple[float, float | None]


class GrainResult(NamedTuple):
    """The bound at one grain.

    ``kind`` is ``whole``, ``fixed`` or ``content-defined``; ``size_bytes`` the
    block's size or the average that is aimed at, None for whole objects. ``ratio``
    is logical by unique bytes, None where nothing was scanned. ``error`` is None
    where the figures are exact, ``compression`` empty where it was not asked for.
    """

    grain: str
    kind: str
    size_bytes: int | None
    logical_bytes: int
    unique_bytes: int
    ratio: float | None
    chunks: int
    unique_chunks: int
    copies: list[Bin]
    sizes: Sizes | None
    distances: Distances
    compression: list[Compression]
    error: SamplingError | None


class StreamResult(NamedTuple):
    """One stream: all of the data (``""``), or one column."""

    objects: int
    logical_bytes: int
    grains: list[GrainResult]


class ScanResult(NamedTuple):
    """What a scan, or several merged ones, found.

    ``grains`` is the main stream (empty if there are only columns); ``streams``
    holds all, the main one under ``""``. ``shards`` is how many scans were merged.
    """

    sources: list[str]
    objects: int
    logical_bytes: int
    grains: list[GrainResult]
    streams: dict[str, StreamResult]
    left_out: Sequence[LeftOut] = ()
    shards: int = 1
    sampled: bool = False


class SharedGrain(NamedTuple):
    """Unique bytes of two data sets, and of what they have in common, at one grain.

    ``p`` is the share of fingerprints that was compared, 1 where it is exact.
    ``relative_standard_error`` is that of ``shared_bytes``; 0 where it is exact, None
    where nothing in common is in the sample.
    """

    grain: str
    first_unique_bytes: int
    second_unique_bytes: int
    shared_bytes: int
    shared_chunks: int
    p: float
    relative_standard_error: float | None


class Comparison(NamedTuple):
    """What two data sets share, by stream and grain; only what both sketches hold."""

    first: list[str]
    second: list[str]
    streams: dict[str, list[SharedGrain]]


def plain(value: Any) -> Any:
    """Return values of this module as dictionaries, lists, texts and numbers."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(one) for name, one in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value
