"""What compressors make of chunks: a sample of them, each compressed alone.

The sample is taken by fingerprint, like that of :mod:`deduplab.bound.tally`: a
chunk is in it if the first half of its fingerprint lies below a threshold, which
is halved until the sample keeps its limits. So the work is bounded whatever the
data, and samples of shards can be merged.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.limits import COMPRESSED_BYTES, HEAD_BYTES
from deduplab.bound.results import Compression
from deduplab.bound.table import threshold

CODECS: Final = ("zstd-1", "zstd-3", "lz4")
MOST_CHUNKS: Final = 1024

_Sizes = tuple[int, ...]
_COMPRESSORS: list[Callable[[memoryview], int]] = []


@dataclass(slots=True)
class Sampled:
    """One chunk of the sample; ``compressed_bytes`` are those of its head, one a codec."""

    length_bytes: int
    count: int
    compressed_bytes: _Sizes

    @property
    def head_bytes(self) -> int:
        """How much of it was compressed."""
        return min(self.length_bytes, HEAD_BYTES)


class CompressionSample:
    """A sample of unique chunks with what each codec makes of them."""

    def __init__(self, halvings: int = 0, chunks: dict[int, Sampled] | None = None) -> None:
        self.halvings = halvings
        self.chunks = {} if chunks is None else chunks
        self._sampled_bytes = sum(one.head_bytes for one in self.chunks.values())

    def copy(self) -> CompressionSample:
        """Return one that can be added to apart."""
        return CompressionSample(
            self.halvings,
            {
                mark: Sampled(one.length_bytes, one.count, one.compressed_bytes)
                for mark, one in self.chunks.items()
            },
        )

    def add(
        self,
        read: Callable[[int, int], memoryview],
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        marks: Fingerprints,
    ) -> None:
        """Count chunks, and compress those that are new in the sample.

        ``read`` returns the bytes from a start on, so many.
        """
        first = marks[:, 0]
        if self.halvings:
            rows = np.flatnonzero(first < np.uint64(threshold(self.halvings)))
        else:
            rows = np.arange(len(first))
        if not len(rows):
            return
        # Mark by mark: few are left when the data is long, too few for numpy to pay.
        new: dict[int, Sampled] = {}
        places: dict[int, int] = {}
        for mark, row in zip(first[rows].tolist(), rows.tolist(), strict=True):
            known = self.chunks.get(mark) or new.get(mark)
            if known is None:
                known = new[mark] = Sampled(int(lengths[row]), 0, ())
                places[mark] = int(starts[row])
            known.count += 1
        if not new:
            return
        self._keep_limits(new)
        limit = threshold(self.halvings)
        for mark, one in new.items():
            if mark < limit:
                one.compressed_bytes = _compressed(read(places[mark], one.head_bytes))
                self.chunks[mark] = one
                self._sampled_bytes += one.head_bytes

    def merged(self, other: CompressionSample) -> CompressionSample:
        """Return the sample of both, by the lower threshold."""
        merged = self.copy()
        merged.halvings = max(self.halvings, other.halvings)
        for mark, one in other.copy().chunks.items():
            known = merged.chunks.setdefault(mark, one)
            if known is not one:
                known.count += one.count
        merged._drop()
        merged._keep_limits({})
        return merged

    def result(self) -> list[Compression]:
        """Return the ratios, codec by codec; empty if no chunk is in the sample."""
        if not self.chunks:
            return []
        lengths = np.array([one.length_bytes for one in self.chunks.values()], dtype=np.float64)
        heads = np.array([one.head_bytes for one in self.chunks.values()], dtype=np.float64)
        counts = np.array([one.count for one in self.chunks.values()], dtype=np.float64)
        complete = self.halvings == 0 and bool((heads == lengths).all())
        found = []
        for index, codec in enumerate(CODECS):
            packed = np.array([one.compressed_bytes[index] for one in self.chunks.values()])
            packed = packed * lengths / heads
            ratio = float(lengths.sum() / packed.sum())
            spread = float(np.sqrt(((packed - lengths / ratio) ** 2).sum()) / packed.sum())
            found.append(
                Compression(
                    codec=codec,
                    unique_ratio=ratio,
                    all_ratio=float((counts * lengths).sum() / (counts * packed).sum()),
                    relative_standard_error=0.0 if complete else spread,
                    sampled_bytes=int(heads.sum()),
                    sampled_chunks=len(heads),
                    complete=complete,
                )
            )
        return found

    def _keep_limits(self, new: dict[int, Sampled]) -> None:
        """Halve the threshold until what is kept and what is new is within the limits."""
        sampled_bytes = self._sampled_bytes + sum(one.head_bytes for one in new.values())
        count = len(self.chunks) + len(new)
        if count <= MOST_CHUNKS and sampled_bytes <= COMPRESSED_BYTES:
            return
        marks = np.array([*self.chunks, *new], dtype=np.uint64)
        heads = [one.head_bytes for each in (self.chunks, new) for one in each.values()]
        sizes = np.array(heads, dtype=np.int64)
        while len(marks) > MOST_CHUNKS or int(sizes.sum()) > COMPRESSED_BYTES:
            self.halvings += 1
            kept = marks < np.uint64(threshold(self.halvings))
            marks, sizes = marks[kept], sizes[kept]
        self._drop()

    def _drop(self) -> None:
        limit = threshold(self.halvings)
        self.chunks = {mark: one for mark, one in self.chunks.items() if mark < limit}
        self._sampled_bytes = sum(one.head_bytes for one in self.chunks.values())


def _compressed(head: memoryview) -> _Sizes:
    """Return what each codec makes of bytes; what does not get smaller is left as it is."""
    if not _COMPRESSORS:
        _COMPRESSORS.extend(_compressors())
    return tuple(min(len(head), compress(head)) for compress in _COMPRESSORS)


def _compressors() -> list[Callable[[memoryview], int]]:
    # Imported late: a scan that compresses nothing starts faster without them.
    import zstandard

    lz4 = importlib.import_module("lz4.block")  # it brings no types

    fast = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=True)
    usual = zstandard.ZstdCompressor(level=3, write_checksum=False, write_content_size=True)
    return [
        lambda head: len(fast.compress(head)),
        lambda head: len(usual.compress(head)),
        lambda head: len(lz4.compress(head, store_size=False)),
    ]
