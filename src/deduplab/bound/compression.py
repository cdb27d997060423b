"""What compressors make of chunks: a sample of them, each compressed alone.

The sample is taken by fingerprint, like that of :mod:`deduplab.bound.tally`: a
chunk is in it if the first half of its fingerprint lies below a threshold, which
is halved until the sample keeps its limits. So the work is bounded whatever the
data, and samples of shards can be merged.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from typing import Final

from deduplab.bound.limits import COMPRESSED_BYTES, HEAD_BYTES, threshold
from deduplab.bound.results import Compression

CODECS: Final = ("zstd-1", "zstd-3", "lz4")
MOST_CHUNKS: Final = 1024

_Sizes = tuple[int, ...]
_COMPRESSORS: list[Callable[[memoryview], int]] = []


Picked = tuple[int, int, int]
"""A chunk that a sample keeps: where it begins, its length, the first half of its fingerprint."""


class Sampled:
    """One chunk of the sample; ``compressed_bytes`` are those of its head, one a codec."""

    __slots__ = ("compressed_bytes", "count", "length_bytes")

    def __init__(self, length_bytes: int, count: int, compressed_bytes: _Sizes) -> None:
        self.length_bytes = length_bytes
        self.count = count
        self.compressed_bytes = compressed_bytes

    def values(self) -> tuple[int, int, _Sizes]:
        """Return what one is made of."""
        return self.length_bytes, self.count, self.compressed_bytes

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
            self.halvings, {mark: Sampled(*one.values()) for mark, one in self.chunks.items()}
        )

    def add(self, read: Callable[[int, int], memoryview], picked: Iterable[Picked]) -> None:
        """Count chunks, and compress those that are new in the sample; it keeps its limits.

        ``read`` returns the bytes from a start on, so many. Chunks that do not lie below the
        threshold are passed over.
        """
        limit = threshold(self.halvings)
        new: dict[int, Sampled] = {}
        places: dict[int, int] = {}
        for begin, length_bytes, mark in picked:
            if mark >= limit:
                continue
            known = self.chunks.get(mark) or new.get(mark)
            if known is None:
                known = new[mark] = Sampled(length_bytes, 0, ())
                places[mark] = begin
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
        chunks = list(self.chunks.values())
        lengths = [one.length_bytes for one in chunks]
        heads = [one.head_bytes for one in chunks]
        complete = self.halvings == 0 and heads == lengths
        unique_bytes = sum(lengths)
        all_bytes = sum(one.count * one.length_bytes for one in chunks)
        found = []
        for index, codec in enumerate(CODECS):
            # The whole of a chunk is taken to be compressed as its head is.
            packed = [
                one.compressed_bytes[index] * one.length_bytes / one.head_bytes for one in chunks
            ]
            packed_bytes = math.fsum(packed)
            all_packed = math.fsum(
                one.count * size for one, size in zip(chunks, packed, strict=True)
            )
            ratio = unique_bytes / packed_bytes
            spread = math.sqrt(
                math.fsum(
                    (size - length / ratio) ** 2
                    for size, length in zip(packed, lengths, strict=True)
                )
            )
            found.append(
                Compression(
                    codec=codec,
                    unique_ratio=ratio,
                    all_ratio=all_bytes / all_packed,
                    relative_standard_error=0.0 if complete else spread / packed_bytes,
                    sampled_bytes=sum(heads),
                    sampled_chunks=len(heads),
                    complete=complete,
                )
            )
        return found

    def _keep_limits(self, new: dict[int, Sampled]) -> None:
        """Halve the threshold until what is kept and what is new is within the limits."""
        sampled_bytes = self._sampled_bytes + sum(one.head_bytes for one in new.values())
        if len(self.chunks) + len(new) <= MOST_CHUNKS and sampled_bytes <= COMPRESSED_BYTES:
            return
        sizes = {mark: one.head_bytes for each in (self.chunks, new) for mark, one in each.items()}
        while len(sizes) > MOST_CHUNKS or sum(sizes.values()) > COMPRESSED_BYTES:
            self.halvings += 1
            limit = threshold(self.halvings)
            sizes = {mark: size for mark, size in sizes.items() if mark < limit}
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
