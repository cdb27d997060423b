"""The memory that a scan takes at most, besides the blocks of data: said before it begins."""

from __future__ import annotations

from typing import Final

from deduplab.bound.compression import compressed_bytes
from deduplab.bound.grains import GRAINS
from deduplab.bound.known import (
    ENTRY_BYTES,
    EXACT_KNOWN_BYTES,
    KNOWN_CHUNK_BYTES,
    LEAST_KNOWN_LENGTH_BYTES,
    SAMPLED_KNOWN_BYTES,
)
from deduplab.bound.limits import MOST_ROWS, ROW_BYTES
from deduplab.bound.settings import ScanSettings

USUAL_OBJECT_BYTES: Final = 64 * 1024

DISTINCT_OBJECT_BYTES: Final = 4 * ROW_BYTES
"""What a distinct object that is not cut takes at most at each grain; see `exact_memory_bytes`."""


def exact_memory_bytes(
    total_bytes: int,
    settings: ScanSettings,
    object_bytes: int = USUAL_OBJECT_BYTES,
    processes: int = 1,
) -> int:
    """Return the memory that an exact scan takes at most.

    A unique chunk takes 40 bytes and as much again at most in slots that are free (one and a half
    times as much in a table below 2 MiB). Where these grow, or are merged and told at the end,
    another 80 are taken, at one grain at a time. Cuts that are remembered take 24 bytes a chunk
    more, up to 256 MiB, and what is to be compressed its own length, up to 4 MiB a grain; both may
    come to as much in each process. What a process hands over lies in memory once more.

    Parameters
    ----------
    total_bytes
        Logical bytes, taken to be all unique: what is redundant takes less.
    settings
        What is asked for.
    object_bytes
        The mean length of an object. No chunk is longer, and whole objects are counted by it.
    processes
        How many scan.
    """
    rows = []
    for name in settings.grains:
        size = GRAINS[name].size_bytes if name in GRAINS else object_bytes
        rows.append(total_bytes // min(size, object_bytes) + 1)
    objects = total_bytes // LEAST_KNOWN_LENGTH_BYTES + 1
    known_bytes = sum(rows) * KNOWN_CHUNK_BYTES + objects * ENTRY_BYTES
    counted_bytes = 2 * ROW_BYTES * (sum(rows) + max(rows))
    handed_over_bytes = ROW_BYTES * sum(rows) * (processes - 1) // processes
    remembered_bytes = min(processes * EXACT_KNOWN_BYTES, known_bytes)
    sampled_bytes = sum(min(total_bytes, processes * most) for most in _compressed_bytes(settings))
    return counted_bytes + handed_over_bytes + remembered_bytes + sampled_bytes


def sampled_memory_bytes(settings: ScanSettings) -> int:
    """Return what one process takes at most for a sampled scan of one stream, whatever its size."""
    tables_bytes = len(settings.grains) * MOST_ROWS * 2 * ROW_BYTES
    return tables_bytes + SAMPLED_KNOWN_BYTES + sum(_compressed_bytes(settings))


def _compressed_bytes(settings: ScanSettings) -> list[int]:
    """Return how much is kept at each grain until it is compressed."""
    return [compressed_bytes(name, settings) for name in settings.grains if settings.compress]
