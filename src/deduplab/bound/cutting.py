"""Cutting a stream's objects at one grain, whatever blocks they come in.

The cuts of an object are those of cutting it at once: a chunk that the end of a
block may have cut short waits, and is cut again with what follows. This is
sound because the place of a cut depends only on the bytes from the chunk's start
to it, and on no more than :attr:`Cutter.most_bytes` of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128, xxh3_128_digest

from deduplab.bound.chunkers import content_chunks
from deduplab.bound.compression import HEAD_BYTES
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.grains import GRAINS, WHOLE, Grain

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


class Cutter(ABC):
    """Cuts objects at one grain, and marks the chunks with their fingerprints.

    ``never_cut_bytes`` is the length up to which objects stay whole, whatever they
    contain, and ``most_bytes`` that of the longest chunk.
    """

    never_cut_bytes: int
    most_bytes: int

    def __init__(self) -> None:
        self._carried = b""

    @abstractmethod
    def cut_into(self, data: memoryview, lengths: list[int], digests: list[bytes]) -> None:
        """Cut all of ``data``, and append the length and the digest of each chunk."""

    @abstractmethod
    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first chunk of bytes that are not empty."""

    def cut_objects(
        self, data: memoryview, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
    ) -> Chunks:
        """Cut objects that lie in ``data`` as a whole; none of them is empty."""
        lengths: list[int] = []
        digests: list[bytes] = []
        firsts: list[int] = []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            firsts.append(len(lengths))
            self.cut_into(data[start:stop], lengths, digests)
        tiled = _tiled(data, lengths, digests)
        # The chunks of an object follow each other, but there may be something between objects.
        counts = np.diff(firsts, append=len(lengths))
        tiled.starts += np.repeat(starts - tiled.starts[firsts], counts)
        return tiled

    def feed(self, data: memoryview, *, final: bool) -> list[Chunks]:
        """Cut the next part of an object that comes in parts, as far as its cuts are certain."""
        found: list[Chunks] = []
        if self._carried:
            data = self._bridge(data, found)
        if not data:
            return found
        lengths: list[int] = []
        digests: list[bytes] = []
        self.cut_into(data, lengths, digests)
        if not final and lengths[-1] < self.most_bytes:
            self._carried = bytes(data[-lengths[-1] :])
            del lengths[-1], digests[-1]
        if lengths:
            found.append(_tiled(data, lengths, digests))
        return found

    def _bridge(self, data: memoryview, found: list[Chunks]) -> memoryview:
        """Cut what was carried with what follows; return where to go on from."""
        carried_bytes = len(self._carried)
        bridge = memoryview(b"".join((self._carried, data[: self.most_bytes])))
        self._carried = b""
        if len(data) <= self.most_bytes:
            return bridge
        lengths: list[int] = []
        digests: list[bytes] = []
        at = 0
        while at < carried_bytes:
            lengths.append(self.cut_one(bridge[at:]))
            digests.append(xxh3_128_digest(bridge[at : at + lengths[-1]]))
            at += lengths[-1]
        found.append(_tiled(bridge, lengths, digests))
        return data[at - carried_bytes :]


class FixedCutter(Cutter):
    """Blocks of one size; the last one of an object may be shorter."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.never_cut_bytes = self.most_bytes = size_bytes

    def cut_into(self, data: memoryview, lengths: list[int], digests: list[bytes]) -> None:
        """Cut all of ``data``, and append the length and the digest of each block."""
        size = self.most_bytes
        count, rest_bytes = divmod(len(data), size)
        lengths += [size] * count
        digests += [xxh3_128_digest(data[at : at + size]) for at in range(0, count * size, size)]
        if rest_bytes:
            lengths.append(rest_bytes)
            digests.append(xxh3_128_digest(data[-rest_bytes:]))

    def cut_one(self, data: memoryview) -> int:
        """Return the length of the first block."""
        return min(self.most_bytes, len(data))


class ContentCutter(Cutter):
    """Content-defined chunks; see :mod:`deduplab.bound.chunkers`."""

    def __init__(self, grain: Grain) -> None:
        super().__init__()
        self._average_bytes = grain.size_bytes
        self.never_cut_bytes = grain.never_cut_bytes
        self.most_bytes = grain.most_bytes

    def cut_into(self, data: memoryview, lengths: list[int], digests: list[bytes]) -> None:
        """Cut all of ``data``, and append the length and the digest of each chunk."""
        chunks = list(content_chunks(data, self._average_bytes))
        lengths += map(_LENGTH, chunks)
        digests += map(xxh3_128_digest, map(_DATA, chunks))

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
                marks_of([self._hash.digest()]),
            )
        ]


def cutter(grain: str) -> Cutter:
    """Return a new cutter for a grain that cuts, such as ``cdc-8192``.

    Raises
    ------
    KeyError
        If there is no such grain, or if it is ``whole``.
    """
    if grain == WHOLE:
        raise KeyError(grain)
    found = GRAINS[grain]
    return ContentCutter(found) if found.content_defined else FixedCutter(found.size_bytes)


def marks_of(digests: list[bytes]) -> Fingerprints:
    """Return 128-bit digests as fingerprints, shape (digests, 2)."""
    return (
        np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2).astype(np.uint64, copy=False)
    )


def _tiled(view: memoryview, lengths: list[int], digests: list[bytes]) -> Chunks:
    """Return chunks that tile ``view`` from its beginning, without gaps."""
    sizes = np.array(lengths, dtype=np.int64)
    return Chunks(view, np.cumsum(sizes) - sizes, sizes, marks_of(digests))
