"""Cutting a stream's objects at one grain, whatever blocks they come in.

The cuts of an object are those of cutting it at once: a chunk that the end of a
block may have cut short waits, and is cut again with what follows. This is
sound because the place of a cut depends only on the bytes from the chunk's start
to it, and on no more than :attr:`Cutter.most_bytes` of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_128_digest

from deduplab.bound.chunkers import first_cut_point
from deduplab.bound.chunks import DIGEST_BYTES, Chunks, CutObjects, Objects, marks_of
from deduplab.bound.grains import Grain
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, KnownCuts


class Cuts(NamedTuple):
    """Where an object, or the next part of one, was cut.

    ``lengths`` are int64, ``digests`` 16 bytes a chunk, both as they lie in memory.
    Of a part, the first ``bridging`` chunks begin before it and end ``bridged_bytes``
    behind its begin, and its last ``left_bytes`` wait for what follows.
    """

    lengths: bytes
    digests: bytes
    bridging: int = 0
    bridged_bytes: int = 0
    left_bytes: int = 0

    @property
    def taken_bytes(self) -> int:
        """What its lengths and digests take."""
        return len(self.lengths) + len(self.digests)


class Cutter:
    """Cuts objects at one grain, and marks the chunks with their fingerprints.

    Attributes
    ----------
    grain
        What it cuts at.
    """

    def __init__(self, grain: Grain, known: KnownCuts[Cuts]) -> None:
        self.grain = grain
        self._label = grain.name.encode()
        self._known = known
        self._carried = b""

    def cut_objects(self, objects: Objects) -> Chunks:
        """Cut the objects that are long enough; the others stay as they are."""
        if objects.longest_bytes <= self.grain.never_cut_bytes:
            return objects.uncut()
        found: list[CutObjects] = []
        behind = 0
        if objects.longest_bytes >= LEAST_KNOWN_LENGTH_BYTES:
            least_bytes = max(LEAST_KNOWN_LENGTH_BYTES, self.grain.never_cut_bytes + 1)
            for number in np.flatnonzero(objects.lengths >= least_bytes).tolist():
                if behind < number:
                    found.append(objects.cut(self.grain, behind, number))
                found.append(self._cut_or_known(objects, number))
                behind = number + 1
        if behind < len(objects.lengths):
            found.append(objects.cut(self.grain, behind, len(objects.lengths)))
        return Chunks(
            objects.view,
            np.concatenate([one.lengths for one in found]),
            marks_of(b"".join([one.digests for one in found])),
            objects.starts,
            np.concatenate([one.counts for one in found]),
        )

    def _cut_or_known(self, objects: Objects, number: int) -> CutObjects:
        """Cut an object, unless it was cut before."""
        at = number * DIGEST_BYTES
        key = objects.digests[at : at + DIGEST_BYTES] + self._label
        cuts = self._known.get(key)
        if cuts is None:
            found = objects.cut(self.grain, number, number + 1)
            cuts = Cuts(found.lengths.tobytes(), found.digests)
            self._known.put(key, cuts, cuts.taken_bytes)
            return found
        lengths = np.frombuffer(cuts.lengths, dtype=np.int64)
        return CutObjects(lengths, cuts.digests, np.array([len(lengths)], dtype=np.int64))

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
        carried, self._carried = self._carried, b""
        if carried and len(data) <= self.grain.most_bytes:
            data, carried = memoryview(carried + data), b""
        if not data:
            return []
        key += self._label + b"end" if final else self._label
        cuts = self._known.get(key)
        if cuts is None:
            cuts = self._cut_part(carried, data, final=final)
            self._known.put(key, cuts, cuts.taken_bytes)
        if cuts.left_bytes:
            self._carried = bytes(data[-cuts.left_bytes :])
        return _part_chunks(cuts, carried, data)

    def _cut_part(self, carried: bytes, data: memoryview, *, final: bool) -> Cuts:
        """Cut what was carried with what follows, if anything was, and then on from there."""
        bridging: list[int] = []
        bridging_digests = b""
        at = 0
        bridge = memoryview(carried + data[: self.grain.most_bytes] if carried else b"")
        while at < len(carried):
            length = self._first_length(bridge[at:])
            bridging.append(length)
            bridging_digests += xxh3_128_digest(bridge[at : at + length])
            at += length
        bridged_bytes = at - len(carried)
        rest = data[bridged_bytes:]
        ends = self.grain.cut(rest)
        left_bytes = 0
        if not final and len(rest) - (ends[-2] if len(ends) > 1 else 0) < self.grain.most_bytes:
            left_bytes = len(rest) - (ends[-2] if len(ends) > 1 else 0)
            ends.pop()
        lengths = [b - a for a, b in pairwise([0, *ends])]
        digests = b"".join([xxh3_128_digest(rest[a:b]) for a, b in pairwise([0, *ends])])
        return Cuts(
            lengths=np.array(bridging + lengths, dtype=np.int64).tobytes(),
            digests=bridging_digests + digests,
            bridging=len(bridging),
            bridged_bytes=bridged_bytes,
            left_bytes=left_bytes,
        )

    def _first_length(self, data: memoryview) -> int:
        """Return the length of the first chunk of bytes that are not empty."""
        if self.grain.content_defined:
            return first_cut_point(data, self.grain.size_bytes)
        return min(self.grain.size_bytes, len(data))


def _part_chunks(cuts: Cuts, carried: bytes, data: memoryview) -> list[Chunks]:
    """Return the chunks of a part: those that begin before it, and the others."""
    lengths, marks = np.frombuffer(cuts.lengths, dtype=np.int64), marks_of(cuts.digests)
    bridging, bridged_bytes = cuts.bridging, cuts.bridged_bytes
    found = []
    if bridging:
        bridge = memoryview(carried + data[:bridged_bytes])
        found.append(Chunks.tiling(bridge, lengths[:bridging], marks[:bridging]))
    if len(lengths) > bridging:
        found.append(Chunks.tiling(data[bridged_bytes:], lengths[bridging:], marks[bridging:]))
    return found
