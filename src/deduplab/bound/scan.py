"""The scan of sources: one pass over their bytes, at all grains that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deduplab.bound.heads import WaitingHeads
from deduplab.bound.known import KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sketch import GrainSketch, Sketch, StreamSketch, merge
from deduplab.bound.stream import LeftOut, Source
from deduplab.bound.stream_scan import FinishedTally, StreamScan, stream_scan
from deduplab.errors import PlanError

__all__ = [
    "Progress",
    "ScanSettings",
    "Scanner",
    "scan",
    "scan_shard",
    "scan_sources",
]

Progress = Callable[[int], None]
"""Called with the logical bytes that were scanned since the last call."""


class Scanner:
    """Scans source after source into one sketch.

    Parameters
    ----------
    settings
        What was asked for.
    known
        Where cuts are remembered, shared with other scanners; None for memory of its own.
    """

    def __init__(
        self,
        settings: ScanSettings,
        known: KnownCuts[Any] | None = None,
    ) -> None:
        self._settings = settings
        self._known: KnownCuts[Any] = KnownCuts.of_scan(settings) if known is None else known
        self._heads = WaitingHeads()
        self._streams: dict[str, StreamScan] = {}
        self._sources: list[str] = []
        self._left_out: list[LeftOut] = []

    def begin_part(self) -> None:
        """Go on with a part that has no distances to what was read before."""
        for stream in self._streams.values():
            stream.begin_part()

    def read(self, source: Source, progress: Progress | None = None) -> None:
        """Scan a source to its end; an object that is open then ends there."""
        for block in source.blocks():
            self.stream(block.stream).add(block)
            if progress is not None:
                progress(block.logical_bytes)
        for stream in self._streams.values():
            stream.end_object()
        self._sources.append(source.name)
        self._left_out += source.left_out

    @property
    def streams(self) -> Mapping[str, StreamScan]:
        """The streams that were met, in order, by name."""
        return self._streams

    def stream(self, name: str) -> StreamScan:
        """Return the scan of a stream, which begins if it was not met yet."""
        stream = self._streams.get(name)
        if stream is None:
            stream = stream_scan(self._settings, self._known, self._heads)
            self._streams[name] = stream
        return stream

    def sketch(self) -> Sketch:
        """Return what was found; the scanner must not be used any more."""
        return Sketch(
            sources=self._sources,
            streams={name: _stream_sketch(scan) for name, scan in self._streams.items()},
            left_out=self._left_out,
        )


def scan(source: Source, settings: ScanSettings, progress: Progress | None = None) -> Sketch:
    """Scan one source to its end, in this process.

    Parameters
    ----------
    source
        What to read; it is never written to.
    settings
        Grains, exact or sampled, with or without compression.
    progress
        Called after each block with the logical bytes scanned since the last call.

    Raises
    ------
    DeduplabError
        What the source raises when nothing of it can be read.
    """
    return scan_sources([source], settings, progress=progress)


def scan_sources(
    sources: Sequence[Source],
    settings: ScanSettings,
    processes: int = 1,
    dask: str | None = None,
    progress: Progress | None = None,
) -> Sketch:
    """Scan several sources into one sketch, in this process or in many.

    Every count is the same however the work is divided. Distances are the exception:
    they are known within the part of one process only, so pairs of copies in two
    parts are missing from them.

    Parameters
    ----------
    sources
        What to read, in order; with more than one process, sources that can be
        split are.
    settings
        Grains, exact or sampled, with or without compression.
    processes
        How many processes read; 1 is this one.
    dask
        The address of a Dask scheduler, such as ``tcp://127.0.0.1:8786``, whose
        workers read instead, and must see the same files and servers.
    progress
        Called with the logical bytes scanned since the last call.

    Raises
    ------
    PlanError
        If there is nothing to scan, or less than one process.
    SystemUnavailable
        If the Dask cluster can't be reached, or ``distributed`` isn't installed.
    OperationFailed
        If a process that reads ends early.
    """
    if processes < 1 or not sources:
        raise PlanError(
            f"{len(sources)} sources can't be scanned by {processes} processes: "
            "at least one of each is needed"
        )
    if dask is not None:
        from deduplab.bound.cluster import scan_on_cluster

        merged = merge(scan_on_cluster(dask, sources, settings, progress))
    elif processes > 1:
        merged = merge(_by_processes(sources, settings, processes, progress))
    else:
        scanner = Scanner(settings)
        for source in sources:
            scanner.read(source, progress)
        return scanner.sketch()
    merged.sources = [source.name for source in sources]
    return merged


def _by_processes(
    sources: Sequence[Source],
    settings: ScanSettings,
    processes: int,
    progress: Progress | None,
) -> list[Sketch]:
    from deduplab.bound.forked import can_fork, scan_forked

    if can_fork(sources):
        return scan_forked(sources, settings, processes, progress)
    from deduplab.bound.processes import scan_in_processes

    return scan_in_processes(sources, settings, processes, progress)


def scan_shard(
    source: Source,
    settings: ScanSettings,
    progress: Progress | None = None,
) -> bytes:
    """Scan a part of something, and return its sketch as the content of a file.

    Parameters
    ----------
    source
        The part.
    settings
        Grains, exact or sampled, with or without compression.
    progress
        Called with the logical bytes scanned since the last call.
    """
    from deduplab.bound.sketch_file import to_bytes

    scanner = Scanner(settings)
    scanner.read(source, progress)
    return to_bytes(scanner.sketch())


def total_bytes(sources: Sequence[Source]) -> int | None:
    """Return the logical bytes of all sources, or None if one doesn't know its own."""
    known = [source.total_bytes() for source in sources]
    return None if None in known else sum(count for count in known if count is not None)


def _stream_sketch(stream: StreamScan) -> StreamSketch:
    # Grains that share a tally share its sketch.
    made: dict[int, GrainSketch] = {}

    def sketch_of(tally: FinishedTally) -> GrainSketch:
        return made.setdefault(id(tally), GrainSketch.of(tally))

    tallies = stream.finish()
    return StreamSketch(
        objects=stream.objects,
        logical_bytes=stream.logical_bytes,
        grains={name: sketch_of(tally) for name, tally in tallies.items()},
    )
