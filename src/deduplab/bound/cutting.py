"""Cutting a stream's objects at one grain, whatever blocks they come in.

The cuts of an object are those of cutting it at once: a chunk that the end of a
block may have cut short waits, and is cut again with what follows. This is
sound because the place of a cut depends only on the bytes from the chunk's start
to it, and on no more than :attr:`Cutter.most_bytes` of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128, xxh3_128_digest

from deduplab.bound.chunkers import content_chunks
from deduplab.bound.compression import HEAD_BYTES
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.grains import GRAINS, WHOLE, Grain
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, Cuts, KnownCuts

DIGEST_BYTES: Final = 16

# Read off a chunk without a step of the interpreter for each.
_LENGTH = attrgetter("length")
_DATA = attrgetter("data")


@dataclass(slots=True)
class Chunks:
    """Chunks that lie in ``view``, in order; see :meth:`deduplab.bound.tally.Tally.add`."""

    view: memoryview
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    marks: Fingerprints


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
    def cut_into(self, data: memoryview, found: Found) -> None:
        """Cut all of ``data``, and add each chunk."""

    @abstractmethod
    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first chunk of bytes that are not empty."""

    def cut_objects(self, objects: Chunks) -> Chunks:
        """Cut objects that are there as a whole; none of them is empty."""
        found = Found()
        firsts: list[int] = []
        stops = objects.starts + objects.lengths
        keys = objects.marks.tobytes()
        for number, (start, stop) in enumerate(
            zip(objects.starts.tolist(), stops.tolist(), strict=True)
        ):
            firsts.append(len(found.lengths))
            if stop - start < LEAST_KNOWN_LENGTH_BYTES:
                self.cut_into(objects.view[start:stop], found)
                continue
            at = number * DIGEST_BYTES
            key = keys[at : at + DIGEST_BYTES] + self._label
            if (known := self._known.get(key)) is not None:
                found.add(known)
            else:
                self.cut_into(objects.view[start:stop], found)
                self._known.put(key, found.cuts_from(firsts[-1]))
        tiled = _tiled(objects.view, found.lengths, found.digests)
        # The chunks of an object follow each other, but there may be something between objects.
        counts = np.diff(firsts, append=len(found.lengths))
        tiled.starts += np.repeat(objects.starts - tiled.starts[firsts], counts)
        return tiled

    def feed(self, data: memoryview, *, final: bool, key: bytes) -> list[Chunks]:
        """Cut the next part of an object that comes in parts, as far as its cuts are certain.

        Parameters
        ----------
        data
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
            bridge = memoryview(b"".join((self._carried, data[: self.most_bytes])))
            if len(data) <= self.most_bytes:
                data, bridge = bridge, data[:0]
        self._carried = b""
        if not data:
            return []
        key += self._label + b"end" if final else self._label
        cuts = self._known.get(key)
        if cuts is None:
            cuts = self._cut_part(bridge, carried_bytes, data, final=final)
            self._known.put(key, cuts)
        if cuts.left_bytes:
            self._carried = bytes(data[-cuts.left_bytes :])
        return _part_chunks(cuts, bridge, data)

    def _cut_part(
        self, bridge: memoryview, carried_bytes: int, data: memoryview, *, final: bool
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
        self.cut_into(data[bridged_bytes:], found)
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

    def cut_into(self, data: memoryview, found: Found) -> None:
        """Cut all of ``data``, and add each block."""
        size = self.most_bytes
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

    def cut_into(self, data: memoryview, found: Found) -> None:
        """Cut all of ``data``, and add each chunk."""
        chunks = list(content_chunks(data, self._average_bytes))
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
        return [
            Chunks(
                memoryview(bytes(self._head)),
                np.zeros(1, dtype=np.int64),
                np.array([self._length_bytes], dtype=np.int64),
                marks_of(self._hash.digest()),
            )
        ]


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


def marks_of(digests: bytes | bytearray) -> Fingerprints:
    """Return 128-bit digests that follow each other as fingerprints, shape (digests, 2)."""
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64, copy=False)


def _part_chunks(cuts: Cuts, bridge: memoryview, data: memoryview) -> list[Chunks]:
    """Return the chunks of a part: those that begin before it, and the others."""
    bridging = cuts.bridging
    lengths, digests = np.frombuffer(cuts.lengths, dtype=np.int64), cuts.digests
    at = bridging * DIGEST_BYTES
    pieces = (
        (bridge, lengths[:bridging], digests[:at]),
        (data[cuts.bridged_bytes :], lengths[bridging:], digests[at:]),
    )
    return [_tiled(*piece) for piece in pieces if len(piece[1])]


def _tiled(
    view: memoryview, lengths: array[int] | npt.NDArray[np.int64], digests: bytes | bytearray
) -> Chunks:
    """Return chunks that tile ``view`` from its beginning, without gaps."""
    sizes = np.asarray(lengths, dtype=np.int64)
    return Chunks(view, np.cumsum(sizes) - sizes, sizes, marks_of(digests))
