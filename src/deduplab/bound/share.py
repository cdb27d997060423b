"""What one process scans of all shards, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deduplab.bound.known import KnownCuts
from deduplab.bound.scan import Progress, Scanner
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sketch import Sketch
from deduplab.bound.stream import Source


def scan_share(
    shards: Sequence[Source],
    take: Callable[[], int | None],
    settings: ScanSettings,
    halvings: int,
    progress: Progress,
) -> dict[int, Sketch]:
    """Scan shard after shard, and return a sketch of each by its place.

    Their merged sketches are the same whoever scanned which: distances are those within a
    shard. But what an exact scan counts is kept once for all of them, in the sketch of the
    shard where a stream was met first, as it takes time to merge. A sampled scan, in which the
    weight of a distance depends on what was sampled before it, begins anew with each.

    Parameters
    ----------
    shards
        All there are.
    take
        Returns the place of the next one, None if none is left.
    settings, halvings
        See :func:`deduplab.bound.scan.scan_shard`.
    progress
        Called with the logical bytes scanned since the last call.
    """
    found: dict[int, Sketch] = {}
    met_at: dict[str, int] = {}
    known: KnownCuts[Any] = KnownCuts()
    scanner = Scanner(settings, halvings, known)
    while (place := take()) is not None:
        if settings.sample is not None:
            scanner = Scanner(settings, halvings, known)
        scanner.begin_part()
        shard = shards[place]
        scanner.read(shard, progress)
        if settings.sample is not None:
            found[place] = scanner.sketch()
        else:
            for name in scanner.streams:
                met_at.setdefault(name, place)
            found[place] = Sketch([shard.name], {}, list(shard.left_out))
    if settings.sample is None:
        for name, stream in scanner.sketch().streams.items():
            found[met_at[name]].streams[name] = stream
    return found
