"""Pieces of data that are cut at several grains, by code compiled from C where it was built.

Where a cut may be at any average is found in one pass over the data (``gear.c`` says how); each
average then chooses among these places. Without the library ``pyfastcdc`` cuts at one average
after the other: the same cuts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from deduplab.bound.chunkers import cut_points, fixed_cut_points
from deduplab.bound.native import Native, address_of, native

if TYPE_CHECKING:
    from deduplab.bound.grains import Grain

LEAST_AVERAGE_BYTES: Final = 4096
GREATEST_AVERAGE_BYTES: Final = 4 * 1024 * 1024
DIGEST_BYTES: Final = 16

Places = npt.NDArray[np.int64]


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

    lengths: Places
    digests: bytes
    counts: Places


class Piece:
    """Bytes that objects lie in, marked when they are first cut at a content-defined grain.

    Parameters
    ----------
    data
        The bytes; they must not change as long as this is used.
    """

    __slots__ = ("_looked_for", "_marks", "data")

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self._looked_for = False
        self._marks: bytes | None = None

    def cut(self, grain: Grain, begins: Places, sizes: Places, digests: bytes = b"") -> CutObjects:
        """Cut objects that lie in this piece at a grain, and hash the chunks.

        Parameters
        ----------
        grain
            What they are cut at.
        begins, sizes
            Where each object begins, and its length: int64, shape (objects,), ascending and
            within the data; no size is 0.
        digests
            The objects' own digests, or nothing if they aren't known.
        """
        library = native()
        if library is None or (grain.content_defined and not self._marked(library, grain)):
            return self._cut_by_python(grain, begins, sizes, digests)
        place, size_bytes = address_of(self.data), grain.size_bytes
        starts, objects = begins.tobytes(), sizes.tobytes()
        # No more chunks than that, as none but the last of an object is shorter than this.
        most = len(self.data) // grain.never_cut_bytes + len(sizes)
        if grain.content_defined:
            assert self._marks is not None
            bits = size_bytes.bit_length() - 1
            lengths, counts = library.content_cuts(place, self._marks, starts, objects, most, bits)
        else:
            lengths, counts = library.fixed_cuts(objects, most, size_bytes)
        marks = library.digests(place, starts, counts, lengths, digests)
        return CutObjects(
            np.frombuffer(lengths, dtype=np.int64), marks, np.frombuffer(counts, dtype=np.int64)
        )

    def digests(self, begins: Places, sizes: Places) -> bytes:
        """Hash objects that lie in this piece: 16 bytes an object."""
        library = native()
        if library is not None:
            ones = np.ones(len(sizes), dtype=np.int64)
            place = address_of(self.data)
            return library.digests(place, begins.tobytes(), ones.tobytes(), sizes.tobytes())
        pairs = zip(begins.tolist(), (begins + sizes).tolist(), strict=True)
        return b"".join([xxh3_128_digest(self.data[begin:end]) for begin, end in pairs])

    def _marked(self, library: Native, grain: Grain) -> bool:
        """Tell whether the places are known where cuts may be, and look for them at first."""
        if not LEAST_AVERAGE_BYTES <= grain.size_bytes <= GREATEST_AVERAGE_BYTES:
            return False
        if not self._looked_for:
            self._looked_for = True
            self._marks = library.marks(address_of(self.data), len(self.data))
        return self._marks is not None

    def _cut_by_python(
        self, grain: Grain, begins: Places, sizes: Places, digests: bytes
    ) -> CutObjects:
        lengths: list[int] = []
        marks: list[bytes] = []
        counts: list[int] = []
        for number, (begin, size) in enumerate(zip(begins.tolist(), sizes.tolist(), strict=True)):
            data = self.data[begin : begin + size]
            if size <= grain.never_cut_bytes:
                ends = [size]
            elif grain.content_defined:
                ends = cut_points(data, grain.size_bytes)
            else:
                ends = fixed_cut_points(size, grain.size_bytes)
            counts.append(len(ends))
            lengths += np.diff(ends, prepend=0).tolist()
            if len(ends) == 1 and digests:
                marks.append(digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])
            else:
                marks += [xxh3_128_digest(data[a:b]) for a, b in pairwise([0, *ends])]
        return CutObjects(
            np.array(lengths, dtype=np.int64), b"".join(marks), np.array(counts, dtype=np.int64)
        )


def cutter_name() -> str:
    """Return what finds content-defined cuts: ``deduplab``'s compiled code or ``pyfastcdc``."""
    return "pyfastcdc" if native() is None else "deduplab"
