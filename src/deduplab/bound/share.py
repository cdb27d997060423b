"""What one process scans of all shards, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from deduplab.bound.known import KnownCuts
from deduplab.bound.scan import Progress, Scanner
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sketch import Sketch, StreamSketch
from deduplab.bound.stream import LeftOut, Source

ENDED_EARLY: Final = (
    "a process that scans has ended early, so nothing was counted; if memory was short, "
    "scan with fewer processes or with --sample"
)


class Share:
    """Shards that one process scans, one after the other.

    The merged sketches are the same whoever scanned which: distances are those within a
    shard. What is counted is kept once for all of them, in the sketch of the shard where a
    stream was met first, as it takes time to merge. A sampled scan, in which the weight of a
    distance depends on what was sampled before it, begins anew with each, and is merged.

    Parameters
    ----------
    shards
        All there are.
    settings
        See :func:`deduplab.bound.scan.scan_shard`.

    Attributes
    ----------
    sampled
        Whether the scan is a sampled one.
    scanner
        What has scanned the shards of an exact scan, or the last one of a sampled scan.
    left_out
        Of each shard that was scanned, by its place.
    met_at
        The places of the shards where the streams were met first.
    """

    def __init__(self, shards: Sequence[Source], settings: ScanSettings) -> None:
        self.sampled = settings.sample is not None
        self._known: KnownCuts[Any] = KnownCuts.of_scan(settings)
        self.scanner = Scanner(settings, self._known)
        self.left_out: dict[int, list[LeftOut]] = {}
        self.met_at: dict[str, int] = {}
        self._shards = shards
        self._settings = settings
        self._sampled: dict[str, StreamSketch] = {}

    def scan(self, take: Callable[[], int | None], progress: Progress) -> None:
        """Scan shard after shard.

        Parameters
        ----------
        take
            Returns the place of the next one, None if none is left.
        progress
            Called with the logical bytes scanned since the last call.
        """
        while (place := take()) is not None:
            if self.sampled:
                self.scanner = Scanner(self._settings, self._known)
            self.scanner.begin_part()
            shard = self._shards[place]
            self.scanner.read(shard, progress)
            self.left_out[place] = list(shard.left_out)
            for name in self.scanner.streams:
                self.met_at.setdefault(name, place)
            if self.sampled:
                self._add_sampled()

    def sketches(self) -> dict[int, Sketch]:
        """Return a sketch of each shard by its place; no more may be scanned."""
        streams = self._sampled if self.sampled else self.scanner.sketch().streams
        found = {
            place: Sketch([self._shards[place].name], {}, left_out)
            for place, left_out in self.left_out.items()
        }
        for name, stream in streams.items():
            found[self.met_at[name]].streams[name] = stream
        return found

    def _add_sampled(self) -> None:
        for name, stream in self.scanner.sketch().streams.items():
            known = self._sampled.get(name)
            self._sampled[name] = stream if known is None else StreamSketch.merge([known, stream])

    def close(self) -> None:
        """Count nothing more, and sort what was counted, which every process can do for itself."""
        for scan in self.scanner.streams.values():
            scan.close()

    def compress(self) -> None:
        """Compress what is in samples, as long as other processes have something to do too."""
        if self.sampled:
            for sketch in self._sampled.values():
                sketch.compress()
        else:
            for scan in self.scanner.streams.values():
                scan.compress()
