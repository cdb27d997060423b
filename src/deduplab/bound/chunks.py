"""Objects on their way to where they are cut, and chunks from there to where they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from deduplab.bound.compression import Picked
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.grains import Grain
from deduplab.bound.table import Column

DIGEST_BYTES: Final = 16


class CutObjects(NamedTuple):
    """The chunks of some objects, in order.

    Attributes
    ----------
    lengths
        int64, shape (chunks,), in bytes.
    digests
        XXH3-128 of each chunk, 16 bytes a chunk.
    counts
        int64, shape (objects,): how many chunks each object has.
    """

    lengths: npt.NDArray[np.int64]
    digests: bytes
    counts: npt.NDArray[np.int64]


@dataclass(slots=True)
class Chunks:
    """Chunks in order, in runs that have no gaps.

    Parameters
    ----------
    view
        What they lie in. Of an object that is longer than what lies there, at least the
        head that stands for it when it is compressed.
    lengths
        int64, shape (chunks,), in bytes.
    marks
        Their fingerprints.
    begins
        Where in ``view`` each run begins.
    counts
        How many chunks each run has, at least one.
    """

    view: memoryview
    lengths: npt.NDArray[np.int64]
    marks: Fingerprints
    begins: npt.NDArray[np.int64] | Sequence[int]
    counts: npt.NDArray[np.int64] | Sequence[int]

    @classmethod
    def tiling(
        cls, view: memoryview, lengths: npt.NDArray[np.int64], marks: Fingerprints
    ) -> Chunks:
        """Return chunks that lie in ``view`` from its beginning, without gaps."""
        return cls(view, lengths, marks, (0,), (len(lengths),))

    def read(self, start: int, length_bytes: int) -> memoryview:
        """Return some bytes of what they lie in."""
        return self.view[start : start + length_bytes]

    def picked(self, thinning: int) -> Picked:
        """Return the chunks that a sample for compression keeps."""
        marks = self.marks[:, 0]
        rows = np.flatnonzero(are_kept(marks, self.lengths.astype(np.uint64), thinning))
        columns = (self.starts(), self.lengths, marks)
        return Picked(*(column[rows].tolist() for column in columns))

    def starts(self) -> npt.NDArray[np.int64]:
        """Return where in ``view`` each chunk begins: int64, shape (chunks,)."""
        starts = np.cumsum(self.lengths) - self.lengths
        counts = np.asarray(self.counts, dtype=np.int64)
        firsts = np.cumsum(counts) - counts
        moves: npt.NDArray[np.int64] = np.asarray(self.begins, dtype=np.int64) - starts[firsts]
        return starts + np.repeat(moves, counts)


class Objects:
    """Objects that lie in one block as a whole, none of them empty, cut at grain after grain.

    Parameters
    ----------
    view
        What they lie in.
    starts, lengths
        int64, shape (objects,), ascending.
    marks
        Their fingerprints.

    Attributes
    ----------
    longest_bytes
        The length of the longest.
    """

    def __init__(
        self,
        view: memoryview,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        marks: Fingerprints,
    ) -> None:
        self.view = view
        self.starts = starts
        self.lengths = lengths
        self.marks = marks
        self.digests = marks.astype("<u8", copy=False).tobytes()
        self.longest_bytes = int(lengths.max())

    def cut(self, grain: Grain, first: int, stop: int) -> CutObjects:
        """Cut some of them that follow each other, and hash the chunks."""
        lengths: list[int] = []
        digests: list[bytes] = []
        counts: list[int] = []
        starts, sizes = self.starts[first:stop].tolist(), self.lengths[first:stop].tolist()
        for number, (begin, size) in enumerate(zip(starts, sizes, strict=True), first):
            data = self.view[begin : begin + size]
            ends = [size] if size <= grain.never_cut_bytes else grain.cut(data)
            counts.append(len(ends))
            if len(ends) == 1:
                lengths.append(size)
                digests.append(self.digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])
            else:
                lengths += [b - a for a, b in pairwise([0, *ends])]
                digests += [xxh3_128_digest(data[a:b]) for a, b in pairwise([0, *ends])]
        return CutObjects(
            np.array(lengths, dtype=np.int64), b"".join(digests), np.array(counts, dtype=np.int64)
        )

    def uncut(self) -> Chunks:
        """Return each object as one chunk."""
        ones = np.ones(len(self.lengths), dtype=np.int64)
        return Chunks(self.view, self.lengths, self.marks, self.starts, ones)


def marks_of(digests: bytes | bytearray) -> Fingerprints:
    """Return 128-bit digests that follow each other as fingerprints, shape (digests, 2)."""
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64, copy=False)


def are_kept(marks: Column, lengths: Column, thinning: int) -> npt.NDArray[np.bool_]:
    """Tell which chunks a sample for compression keeps: `compression.is_kept` of each."""
    if not thinning:
        return np.ones(len(marks), dtype=np.bool_)
    kept: npt.NDArray[np.bool_] = marks >> np.uint64(64 - thinning) < lengths
    return kept
