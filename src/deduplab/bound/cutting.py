"""Cutting a stream's objects at one grain, whatever blocks they come in.

The cuts of an object are those of cutting it at once: a chunk that the end of a
block may have cut short waits, and is cut again with what follows. This is
sound because the place of a cut depends only on the bytes from the chunk's start
to it, and on no more than :attr:`Cutter.most_bytes` of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Final

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

from deduplab.bound.chunkers import content_chunks
from deduplab.bound.chunks import Chunks, Objects, marks_of
from deduplab.bound.compression import HEAD_BYTES
from deduplab.bound.gear import Piece
from deduplab.bound.grains import GRAINS, WHOLE, Grain
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, Cuts, KnownCuts

DIGEST_BYTES: Final = 16

# Read off a chunk without a step of the interpreter for each.
_LENGTH = attrgetter("length")
_DATA = attrgetter("data")


class Found:
    """Chunks as they are found: their lengths, and their digests of 16 bytes each."""

    __slots__ = ("digests", "lengths")

    def __init__(self) -> None:
        self.lengths = array("q")
        self.digests = bytearray()

    def add(self, cuts: Cuts) -> None:
        """Add chunks that were found before."""
        self.lengths.frombytes(cuts.lengths)
        self.digests += cuts.digests

    def add_uncut(self, objects: Objects, first: int, stop: int) -> None:
        """Add some of the objects as chunks."""
        if first < stop:
            self.lengths.frombytes(objects.lengths[first:stop].tobytes())
            self.digests += objects.digests[first * DIGEST_BYTES : stop * DIGEST_BYTES]

    def cuts_from(self, first: int) -> Cuts:
        """Return the chunks from one on, to be remembered."""
        return Cuts(self.lengths[first:].tobytes(), bytes(self.digests[first * DIGEST_BYTES :]))


class Cutter(ABC):
    """Cuts objects at one grain, and marks the chunks with their fingerprints.

    ``never_cut_bytes`` is the length up to which objects stay whole, whatever they
    contain, and ``most_bytes`` that of the longest chunk.
    """

    never_cut_bytes: int
    most_bytes: int

    def __init__(self, name: str, known: KnownCuts) -> None:
        self._label = name.encode()
        self._known = known
        self._carried = b""

    @abstractmethod
    def cut_into(self, piece: Piece, begin: int, found: Found) -> None:
        """Cut a piece from a place on, and add each chunk."""

    @abstractmethod
    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first chunk of bytes that are not empty."""

    def cut_objects(self, objects: Objects) -> Chunks:
        """Cut the objects that are long enough; the others stay as they are."""
        long = np.flatnonzero(objects.lengths > self.never_cut_bytes).tolist()
        if not long:
            return objects.uncut()
        found = Found()
        counts = array("q")
        behind = 0
        for number in long:
            found.add_uncut(objects, behind, number)
            first = len(found.lengths)
            counts.extend([1] * (number - behind))
            self._cut_object(objects, number, found)
            counts.append(len(found.lengths) - first)
            behind = number + 1
        found.add_uncut(objects, behind, len(objects.lengths))
        counts.extend([1] * (len(objects.lengths) - behind))
        lengths = np.frombuffer(found.lengths, dtype=np.int64)
        marks = marks_of(found.digests)
        return Chunks(objects.view, lengths, marks, objects.starts, counts)

    def _cut_object(self, objects: Objects, number: int, found: Found) -> None:
        if objects.sizes_bytes[number] < LEAST_KNOWN_LENGTH_BYTES:
            self.cut_into(objects.piece(number), 0, found)
            return
        at = number * DIGEST_BYTES
        key = objects.digests[at : at + DIGEST_BYTES] + self._label
        if (known := self._known.get(key)) is not None:
            found.add(known)
            return
        first = len(found.lengths)
        self.cut_into(objects.piece(number), 0, found)
        self._known.put(key, found.cuts_from(first))

    def feed(self, piece: Piece, *, final: bool, key: bytes) -> list[Chunks]:
        """Cut the next part of an object that comes in parts, as far as its cuts are certain.

        Parameters
        ----------
        piece
            The part; empty where an object ends behind its last part.
        final
            Whether the object ends with it.
        key
            A fingerprint of everything of the object so far, this part and where parts
            ended included: two parts with one key are cut alike.
        """
        bridge = memoryview(b"")
        carried_bytes = len(self._carried)
        if carried_bytes:
            bridge = memoryview(b"".join((self._carried, piece.data[: self.most_bytes])))
            if len(piece.data) <= self.most_bytes:
                piece, bridge = Piece(bridge, averages=1), bridge[:0]
        self._carried = b""
        if not piece.data:
            return []
        key += self._label + b"end" if final else self._label
        cuts = self._known.get(key)
        if cuts is None:
            cuts = self._cut_part(bridge, carried_bytes, piece, final=final)
            self._known.put(key, cuts)
        if cuts.left_bytes:
            self._carried = bytes(piece.data[-cuts.left_bytes :])
        return _part_chunks(cuts, bridge, piece.data)

    def _cut_part(
        self, bridge: memoryview, carried_bytes: int, piece: Piece, *, final: bool
    ) -> Cuts:
        """Cut what was carried with what follows, if anything was, and then on from there."""
        found = Found()
        at = 0
        while bridge and at < carried_bytes:
            length = self.cut_one(bridge[at:])
            found.lengths.append(length)
            found.digests += xxh3_128_digest(bridge[at : at + length])
            at += length
        bridging = len(found.lengths)
        bridged_bytes = at - carried_bytes if bridge else 0
        self.cut_into(piece, bridged_bytes, found)
        left_bytes = 0
        if not final and found.lengths[-1] < self.most_bytes:
            left_bytes = found.lengths.pop()
            del found.digests[-DIGEST_BYTES:]
        return found.cuts_from(0)._replace(
            bridging=bridging, bridged_bytes=bridged_bytes, left_bytes=left_bytes
        )


class FixedCutter(Cutter):
    """Blocks of one size; the last one of an object may be shorter."""

    def __init__(self, grain: Grain, known: KnownCuts) -> None:
        super().__init__(grain.name, known)
        self.never_cut_bytes = self.most_bytes = grain.size_bytes

    def cut_into(self, piece: Piece, begin: int, found: Found) -> None:
        """Cut a piece from a place on, and add each block."""
        data, size = piece.data[begin:], self.most_bytes
        count, rest_bytes = divmod(len(data), size)
        found.lengths.extend([size] * count)
        found.digests += b"".join(
            [xxh3_128_digest(data[at : at + size]) for at in range(0, count * size, size)]
        )
        if rest_bytes:
            found.lengths.append(rest_bytes)
            found.digests += xxh3_128_digest(data[-rest_bytes:])

    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first block."""
        return min(self.most_bytes, len(data))


class ContentCutter(Cutter):
    """Content-defined chunks; see :mod:`deduplab.bound.chunkers`."""

    def __init__(self, grain: Grain, known: KnownCuts) -> None:
        super().__init__(grain.name, known)
        self._average_bytes = grain.size_bytes
        self.never_cut_bytes = grain.never_cut_bytes
        self.most_bytes = grain.most_bytes

    def cut_into(self, piece: Piece, begin: int, found: Found) -> None:
        """Cut a piece from a place on, and add each chunk."""
        data = piece.data
        lengths = piece.lengths(self._average_bytes, begin)
        if lengths is not None:
            found.lengths.frombytes(lengths.tobytes())
            ends = accumulate(lengths.tolist(), initial=begin)
            found.digests += b"".join([xxh3_128_digest(data[a:b]) for a, b in pairwise(ends)])
            return
        chunks = list(content_chunks(data[begin:], self._average_bytes))
        found.lengths.extend(map(_LENGTH, chunks))
        found.digests += b"".join(map(xxh3_128_digest, map(_DATA, chunks)))

    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first chunk."""
        return next(iter(content_chunks(data, self._average_bytes))).length


class WholeObject:
    """One object that comes in parts: its fingerprint, its length and its head."""

    def __init__(self) -> None:
        self._hash = xxh3_128()
        self._length_bytes = 0
        self._head = bytearray()

    def feed(self, data: memoryview) -> None:
        """Take the next part."""
        self._hash.update(data)
        self._length_bytes += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]

    def chunks(self) -> list[Chunks]:
        """Return the object as one chunk, or nothing if it is empty."""
        if not self._length_bytes:
            return []
        lengths = np.array([self._length_bytes], dtype=np.int64)
        head = memoryview(bytes(self._head))
        return [Chunks.tiling(head, lengths, marks_of(self._hash.digest()))]


def cutter(grain: str, known: KnownCuts) -> Cutter:
    """Return a new cutter for a grain that cuts, such as ``cdc-8192``.

    Raises
    ------
    KeyError
        If there is no such grain, or if it is ``whole``.
    """
    if grain == WHOLE:
        raise KeyError(grain)
    found = GRAINS[grain]
    return (ContentCutter if found.content_defined else FixedCutter)(found, known)


def _part_chunks(cuts: Cuts, bridge: memoryview, data: memoryview) -> list[Chunks]:
    """Return the chunks of a part: those that begin before it, and the others."""
    bridging = cuts.bridging
    lengths, digests = np.frombuffer(cuts.lengths, dtype=np.int64), cuts.digests
    at = bridging * DIGEST_BYTES
    pieces = (
        (bridge, lengths[:bridging], digests[:at]),
        (data[cuts.bridged_bytes :], lengths[bridging:], digests[at:]),
    )
    return [
        Chunks.tiling(view, sizes, marks_of(marks)) for view, sizes, marks in pieces if len(sizes)
    ]
