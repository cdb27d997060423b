"""What compressors make of chunks: a sample of them, each compressed alone.

A chunk of L bytes is in the sample with probability min(1, L / 2^k): the longer it is, the more of
the whole depends on it (Poisson sampling with probability proportional to size; C.-E. Särndal,
B. Swensson and J. Wretman, "Model Assisted Survey Sampling", 1992, section 3.5). Its fingerprint
decides, as in :mod:`deduplab.bound.tally`: all copies of a chunk are in the sample or none, and
samples of shards can be merged. k, the thinning, grows until the sample keeps its limits. Chunks
are compressed when the sample is complete, so the work is bounded whatever the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from deduplab.bound.grains import GRAINS, WHOLE
from deduplab.bound.heads import Head, Sizes, WaitingHeads
from deduplab.bound.limits import COMPRESSED_BYTES, HEAD_BYTES
from deduplab.bound.packed_ratios import packed_ratios
from deduplab.bound.results import Compression
from deduplab.bound.settings import ScanSettings
from deduplab.units import MIB

MOST_CHUNKS: Final = 1024
MOST_THINNING: Final = 64
_LARGE_CHUNKS: Final = 128
_LEAST_COMPRESSED_BYTES: Final = 2 * MIB


class Picked(NamedTuple):
    """Chunks that a sample may keep, in columns, in their order in the data.

    Attributes
    ----------
    begins, lengths
        Where each lies, in bytes.
    marks
        The first halves of their fingerprints.
    """

    begins: Sequence[int]
    lengths: Sequence[int]
    marks: Sequence[int]


class Sampled:
    """One unique chunk of a sample, and how often it was seen."""

    __slots__ = ("count", "head", "length_bytes")

    def __init__(self, length_bytes: int, count: int, head: Head) -> None:
        self.length_bytes = length_bytes
        self.count = count
        self.head = head

    def copy(self) -> Sampled:
        """Return one that can be counted apart; its head is compressed once for both."""
        return Sampled(self.length_bytes, self.count, self.head)

    @property
    def head_bytes(self) -> int:
        """How much of it is compressed."""
        return min(self.length_bytes, HEAD_BYTES)

    @property
    def compressed_bytes(self) -> Sizes:
        """What each codec makes of its head."""
        return self.head.compressed_bytes

    def values(self) -> tuple[int, int, Sizes]:
        """Return its length, its count and what codecs make of it, as far as that is known."""
        return self.length_bytes, self.count, self.head.known_bytes

    @classmethod
    def of(cls, length_bytes: int, count: int, sizes: Sizes) -> Sampled:
        """Return one that was compressed already."""
        return cls(length_bytes, count, Head(None, sizes))


class CompressionSample:
    """A sample of unique chunks with what each codec makes of them.

    Parameters
    ----------
    most_bytes
        How many bytes are compressed at most.
    thinning
        k, see above.
    chunks
        Those it has, by the first half of their fingerprints.
    heads
        Where heads wait, shared with other samples; None for such a place of its own.
    """

    def __init__(
        self,
        most_bytes: int = COMPRESSED_BYTES,
        thinning: int = 0,
        chunks: dict[int, Sampled] | None = None,
        heads: WaitingHeads | None = None,
    ) -> None:
        self.most_bytes = most_bytes
        self.thinning = thinning
        self.chunks = {} if chunks is None else chunks
        self._heads = WaitingHeads() if heads is None else heads
        self._head_bytes = _head_bytes(self.chunks)

    def __reduce__(self) -> tuple[Any, ...]:
        # What waits here does not wait in the process that gets it.
        return CompressionSample, (self.most_bytes, self.thinning, self.chunks)

    def copy(self, most_bytes: int) -> CompressionSample:
        """Return one with a limit of its own that can be added to apart."""
        chunks = {mark: one.copy() for mark, one in self.chunks.items()}
        copied = CompressionSample(most_bytes, self.thinning, chunks, self._heads)
        copied._thin({})
        return copied

    def add(self, read: Callable[[int, int], memoryview], picked: Picked) -> None:
        """Count chunks, and keep the heads of those that are new in the sample.

        ``read`` returns the bytes from a start on, so many. Chunks that the thinning leaves out
        may be among them.
        """
        counts = Counter(picked.marks)
        new = counts.keys() - self.chunks.keys()
        for mark in counts.keys() - new:
            self.chunks[mark].count += counts[mark]
        if not new:
            return
        # Where each was seen first.
        places = dict(zip(reversed(picked.marks), reversed(range(len(picked.marks))), strict=True))
        lengths = {mark: picked.lengths[places[mark]] for mark in new}
        for mark in self._thin(lengths):
            head_bytes = min(lengths[mark], HEAD_BYTES)
            head = self._heads.new(bytes(read(picked.begins[places[mark]], head_bytes)))
            self.chunks[mark] = Sampled(lengths[mark], counts[mark], head)
            self._head_bytes += head_bytes

    def merged(self, other: CompressionSample) -> CompressionSample:
        """Return the sample of both, within the limits of this one."""
        chunks = {mark: one.copy() for mark, one in self.chunks.items()}
        for mark, one in other.chunks.items():
            known = chunks.get(mark)
            if known is None:
                chunks[mark] = one.copy()
                continue
            known.count += one.count
            if not known.head.known_bytes:
                known.head = one.head
        lengths = {mark: one.length_bytes for mark, one in chunks.items()}
        thinning = least_thinning(lengths, max(self.thinning, other.thinning), self.most_bytes)
        merged = CompressionSample(self.most_bytes, thinning, chunks, self._heads)
        merged._drop()
        return merged

    def compress(self) -> None:
        """Compress what is not compressed yet."""
        for one in self.chunks.values():
            _ = one.compressed_bytes

    def result(self, logical_bytes: int) -> list[Compression]:
        """Return the ratios, codec by codec; empty if no chunk is in the sample.

        ``logical_bytes`` is the length of all chunks that were counted.
        """
        if not self.chunks:
            return []
        return packed_ratios(list(self.chunks.values()), self.thinning, logical_bytes)

    def _thin(self, new: dict[int, int]) -> list[int]:
        """Raise the thinning until the limits are kept, and drop what it leaves out.

        Parameters
        ----------
        new
            Lengths of chunks that are to be added, by their marks.

        Returns
        -------
        list
            The marks of those of them that may be.
        """
        kept = dict(new)
        while True:
            kept = {
                mark: length
                for mark, length in kept.items()
                if is_kept(mark, length, self.thinning)
            }
            head_bytes = self._head_bytes + sum(min(one, HEAD_BYTES) for one in kept.values())
            if len(self.chunks) + len(kept) <= MOST_CHUNKS and head_bytes <= self.most_bytes:
                return list(kept)
            if self.thinning == MOST_THINNING:
                return []  # no data has so many marks next to 0, unless it was made so
            self.thinning += 1
            self._drop()

    def _drop(self) -> None:
        """Drop what the thinning leaves out."""
        self.chunks = {
            mark: one
            for mark, one in self.chunks.items()
            if is_kept(mark, one.length_bytes, self.thinning)
        }
        self._head_bytes = _head_bytes(self.chunks)


def _head_bytes(chunks: dict[int, Sampled]) -> int:
    return sum(one.head_bytes for one in chunks.values())


def compressed_bytes(grain: str, settings: ScanSettings) -> int:
    """Return how much is compressed at a grain at most: what some dozen chunks have.

    Half as much in a sampled scan, which takes little memory.
    """
    size_bytes = HEAD_BYTES if grain == WHOLE else GRAINS[grain].size_bytes
    most = min(COMPRESSED_BYTES, max(_LEAST_COMPRESSED_BYTES, _LARGE_CHUNKS * size_bytes))
    return most if settings.sample is None else most // 2


def least_thinning(lengths: Mapping[int, int], thinning: int, most_bytes: int) -> int:
    """Return the least thinning, this one or a greater, at which a sample keeps its limits.

    ``lengths`` are those of chunks, by their marks.
    """
    kept = lengths
    while thinning < MOST_THINNING:
        kept = {mark: length for mark, length in kept.items() if is_kept(mark, length, thinning)}
        head_bytes = sum(min(length, HEAD_BYTES) for length in kept.values())
        if len(kept) <= MOST_CHUNKS and head_bytes <= most_bytes:
            break
        thinning += 1
    return thinning


def is_kept(mark: int, length_bytes: int, thinning: int) -> bool:
    """Tell whether a sample keeps a chunk: with probability min(1, length / 2^thinning)."""
    return mark >> (64 - thinning) < length_bytes
