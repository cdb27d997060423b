"""A sketch: all that a scan keeps, by stream and grain; saved, merged and compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, Protocol

from deduplab.bound.figures import Figures
from deduplab.bound.histogram import LogHistogram
from deduplab.bound.results import Comparison, GrainResult, ScanResult, SharedGrain, StreamResult
from deduplab.bound.stream import LeftOut
from deduplab.bound.summary import of_grain, relative_standard_error, summarize
from deduplab.errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

    from deduplab.bound.compression import CompressionSample
    from deduplab.bound.stream_scan import FinishedTally
    from deduplab.bound.table import ChunkTable


class Rows(Protocol):
    """Unique chunks: a table, or what one can be made of."""

    def table(self) -> ChunkTable:
        """Return them sorted, in columns."""
        ...

    def figures(self) -> Figures:
        """Return what is published of them."""
        ...

    def occurrences(self) -> Iterable[int]:
        """Return how often each was seen, in any order."""
        ...


class GrainSketch(NamedTuple):
    """One grain of one stream; ``halvings`` is None where it is exact, else k of p = 2^-k."""

    rows: Rows
    halvings: int | None
    chunks: int
    logical_bytes: int
    distances: LogHistogram
    compression: CompressionSample | None

    @classmethod
    def of(cls, tally: FinishedTally) -> GrainSketch:
        """Return what a tally found; it must not be added to any more."""
        return cls(
            rows=tally.rows,
            halvings=tally.halvings,
            chunks=tally.chunks,
            logical_bytes=tally.logical_bytes,
            distances=tally.distances,
            compression=tally.compression,
        )

    @property
    def table(self) -> ChunkTable:
        """The unique chunks, sorted, in columns."""
        return self.rows.table()

    @classmethod
    def merge(cls, parts: Sequence[GrainSketch]) -> GrainSketch:
        """Return the sketch of all, at the smallest p if one is sampled."""
        from deduplab.bound.table import ChunkTable, halvings_within

        halvings = _coarsest(parts)
        table = ChunkTable.union([part.table.below(halvings or 0) for part in parts])
        if halvings is not None:
            halvings = halvings_within(table.first, halvings)
            table = table.below(halvings)
        samples = [part.compression for part in parts if part.compression is not None]
        return cls(
            rows=table,
            halvings=halvings,
            chunks=sum(part.chunks for part in parts),
            logical_bytes=sum(part.logical_bytes for part in parts),
            distances=reduce(LogHistogram.merged, [part.distances for part in parts]),
            compression=(
                reduce(lambda one, other: one.merged(other), samples)
                if len(samples) == len(parts)
                else None
            ),
        )


class StreamSketch(NamedTuple):
    """One stream at all its grains."""

    objects: int
    logical_bytes: int
    grains: dict[str, GrainSketch]

    def compress(self) -> None:
        """Compress what samples have not compressed yet."""
        for grain in self.grains.values():
            if grain.compression is not None:
                grain.compression.compress()

    @classmethod
    def merge(cls, parts: Sequence[StreamSketch]) -> StreamSketch:
        """Return the sketch of all."""
        names = parts[0].grains.keys()
        for part in parts:
            if part.grains.keys() != names:
                raise PlanError(
                    "sketches of different grains can't be merged: one has "
                    f"{', '.join(names)}, another {', '.join(part.grains)}; "
                    "scan again with the same grains"
                )
        # Grains that no object was cut at share one sketch, and go on sharing it.
        made: dict[tuple[int, ...], GrainSketch] = {}
        grains = {}
        for name in names:
            each = [part.grains[name] for part in parts]
            key = tuple(map(id, each))
            if key not in made:
                made[key] = GrainSketch.merge(each)
            grains[name] = made[key]
        return cls(
            objects=sum(part.objects for part in parts),
            logical_bytes=sum(part.logical_bytes for part in parts),
            grains=grains,
        )


class Sketch:
    """All that a scan keeps.

    ``streams`` are by name, the main one is ``""``. ``shards`` is how many scans were
    merged into it; distances are known only within each.
    """

    __slots__ = ("left_out", "shards", "sources", "streams")

    def __init__(
        self,
        sources: list[str],
        streams: dict[str, StreamSketch],
        left_out: Sequence[LeftOut] = (),
        shards: int = 1,
    ) -> None:
        self.sources = sources
        self.streams = streams
        self.left_out = list(left_out)
        self.shards = shards

    def result(self) -> ScanResult:
        """Return what was found, ready to be shown or written as JSON."""
        streams = {
            name: StreamResult(
                objects=stream.objects,
                logical_bytes=stream.logical_bytes,
                grains=_summaries(stream),
            )
            for name, stream in self.streams.items()
        }
        # Columns are other views of the rows of the main stream, if there is one.
        counted = [streams[""]] if "" in streams else list(streams.values())
        return ScanResult(
            sources=list(self.sources),
            objects=sum(stream.objects for stream in counted),
            logical_bytes=sum(stream.logical_bytes for stream in counted),
            grains=streams[""].grains if "" in streams else [],
            streams=streams,
            left_out=list(self.left_out),
            shards=self.shards,
            sampled=any(
                grain.halvings is not None
                for stream in self.streams.values()
                for grain in stream.grains.values()
            ),
        )

    def save(self, path: Path) -> None:
        """Write to a file: aside, synced, then renamed.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        from deduplab.bound.sketch_file import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> Sketch:
        """Read from a file, which may come from anywhere: nothing in it is trusted.

        Raises
        ------
        StoreError
            If it can't be read, is no sketch, of another version, truncated or damaged.
        """
        from deduplab.bound.sketch_file import load

        return load(path)


def merge(sketches: Sequence[Sketch]) -> Sketch:
    """Return one sketch of all data, as if it had been scanned at once.

    All counts are the same as in one scan. Distances are those within the shards:
    pairs of copies that lie in two of them are not among them. Exact sketches give an
    exact one; if one is sampled, all are taken at the smallest p.

    Raises
    ------
    PlanError
        If there is no sketch, or if their grains differ.
    """
    if not sketches:
        raise PlanError("nothing to merge: name at least one sketch")
    if len(sketches) == 1:
        return sketches[0]
    parts: dict[str, list[StreamSketch]] = {}
    for sketch in sketches:
        for name, stream in sketch.streams.items():
            parts.setdefault(name, []).append(stream)
    return Sketch(
        sources=list(dict.fromkeys(name for sketch in sketches for name in sketch.sources)),
        streams={
            name: each[0] if len(each) == 1 else StreamSketch.merge(each)
            for name, each in parts.items()
        },
        left_out=[one for sketch in sketches for one in sketch.left_out],
        shards=sum(sketch.shards for sketch in sketches),
    )


def compare(first: Sketch, second: Sketch) -> Comparison:
    """Return the unique bytes that two data sets share, at each grain that both were scanned at.

    Raises
    ------
    PlanError
        If they have no stream and grain in common.
    """
    streams: dict[str, list[SharedGrain]] = {}
    for name in first.streams.keys() & second.streams.keys():
        one, two = first.streams[name].grains, second.streams[name].grains
        shared = [_shared(grain, one[grain], two[grain]) for grain in one if grain in two]
        if shared:
            streams[name] = shared
    if not streams:
        raise PlanError("the two sketches have no stream and grain in common; nothing to compare")
    return Comparison(
        first=list(first.sources),
        second=list(second.sources),
        streams=dict(sorted(streams.items())),
    )


def _summaries(stream: StreamSketch) -> list[GrainResult]:
    # Grains that share a sketch share what it says.
    made: dict[int, GrainResult] = {}
    for name, grain in stream.grains.items():
        if id(grain) not in made:
            made[id(grain)] = summarize(name, grain)
    return [of_grain(name, made[id(grain)]) for name, grain in stream.grains.items()]


def _coarsest(sketches: Sequence[GrainSketch]) -> int | None:
    return max((each.halvings for each in sketches if each.halvings is not None), default=None)


def _shared(name: str, one: GrainSketch, two: GrainSketch) -> SharedGrain:
    halvings = _coarsest([one, two]) or 0
    scale = 1 << halvings
    first, second = one.table.below(halvings), two.table.below(halvings)
    common = second.take(first.find(second)[1])
    return SharedGrain(
        grain=name,
        first_unique_bytes=scale * first.unique_bytes,
        second_unique_bytes=scale * second.unique_bytes,
        shared_bytes=scale * common.unique_bytes,
        shared_chunks=scale * len(common),
        p=1 / scale,
        relative_standard_error=relative_standard_error(common.figures(), halvings),
    )
