"""The scan of one stream: each block once, at all grains that were asked for.

Two do the same: :mod:`deduplab.bound.native_scan` by code compiled from C, where it was built, and
:mod:`deduplab.bound.plain_scan` by numpy and ``pyfastcdc``. Here is what they share: which objects
of a block go on in the next one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from xxhash import xxh3_128, xxh3_128_digest

from deduplab.bound.limits import HEAD_BYTES
from deduplab.bound.native import native
from deduplab.bound.stream import Block

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deduplab.bound.compression import CompressionSample
    from deduplab.bound.fingerprints import Fingerprints
    from deduplab.bound.heads import WaitingHeads
    from deduplab.bound.histogram import LogHistogram
    from deduplab.bound.known import KnownCuts
    from deduplab.bound.settings import ScanSettings
    from deduplab.bound.sketch import Rows
    from deduplab.bound.stream import Offsets


class FinishedTally(Protocol):
    """What was found at one grain; ``halvings`` is None where it is exact, else k of p = 2^-k."""

    @property
    def rows(self) -> Rows:
        """The unique chunks."""
        ...

    @property
    def halvings(self) -> int | None:
        """See above."""
        ...

    @property
    def chunks(self) -> int:
        """How many chunks there are, copies included."""
        ...

    @property
    def logical_bytes(self) -> int:
        """The sum of their lengths."""
        ...

    @property
    def distances(self) -> LogHistogram:
        """Logical bytes between copies."""
        ...

    @property
    def compression(self) -> CompressionSample | None:
        """What compressors make of them, where that was asked for."""
        ...


class StreamScan(ABC):
    """Tallies of one stream at each grain.

    As long as no object was long enough to be cut at a grain, its chunks are the
    objects, and it shares their tally: rows and values of a table are mostly
    short, and are counted once instead of ten times.

    Attributes
    ----------
    objects, logical_bytes
        What was scanned so far.
    """

    def __init__(self, *, remembers: bool = True) -> None:
        self.objects = 0
        self.logical_bytes = 0
        self._remembers = remembers
        self._open: OpenObject | None = None

    def add(self, block: Block) -> None:
        """Scan the next block.

        Raises
        ------
        ValueError
            If its offsets do not ascend, or leave its data.
        """
        bounds, data = block.offsets, block.data
        objects = len(bounds) - 1
        if objects < 1:
            return
        if bounds[0] < 0 or bounds[-1] > len(data) or not self._ascends(bounds):
            raise ValueError("a block's offsets must ascend within its data")
        self.logical_bytes += block.logical_bytes
        first, last = 0, objects
        if self._open is not None:
            first = 1
            self._next_part(data[bounds[0] : bounds[1]], final=objects > 1 or not block.continues)
        if block.continues and last > first:
            last -= 1
        if last > first:
            self.objects += last - first
            self._complete(data, bounds, first, last)
        if last < objects:
            self._next_part(data[bounds[last] : bounds[objects]], final=False)

    def end_object(self) -> None:
        """End an object that is still open: no more of it is to come."""
        if self._open is not None:
            self._next_part(memoryview(b""), final=True)

    def begin_part(self) -> None:
        """Go on with a part that has no distances to what was before it."""
        self.end_object()
        self._begin_part()

    @abstractmethod
    def compress(self) -> None:
        """Compress what is in samples now; it is done in any case when it is asked for."""

    def close(self) -> None:
        """End what is still open: nothing may be added any more."""
        self.end_object()

    def finish(self) -> dict[str, FinishedTally]:
        """Return the tallies by grain; an object that is still open ends here.

        Grains that no object was cut at share one. Nothing may be added any more.
        """
        self.end_object()
        return self._finish()

    def _next_part(self, data: memoryview, *, final: bool) -> None:
        """Scan the next part of an object that comes in parts."""
        opened = self._open
        if opened is None:
            opened = OpenObject(hashed=self._begin_object(), remembered=self._remembers)
            self._open = opened
        opened.feed(data)
        self._feed(opened, data, final=final)
        if final:
            self.objects += 1
            self._end_object(opened)
            self._open = None

    @abstractmethod
    def add_whole(
        self,
        data: memoryview,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        marks: Fingerprints,
    ) -> None:
        """Scan whole objects whose fingerprints are known already, and which may lie apart.

        A caller that tells objects apart itself leaves out the copies: they hold no
        chunk that is new.

        Parameters
        ----------
        data
            What they lie in.
        starts, lengths
            int64, shape (objects,), ascending; no length is 0.
        marks
            Their fingerprints.
        """

    @abstractmethod
    def _ascends(self, bounds: Offsets) -> bool:
        """Tell whether offsets ascend."""

    @abstractmethod
    def _complete(self, data: memoryview, bounds: Offsets, first: int, last: int) -> None:
        """Scan objects, at least one, that lie in the block as a whole."""

    @abstractmethod
    def _begin_object(self) -> bool:
        """Begin an object that comes in parts, and tell whether it is counted as a whole too."""

    @abstractmethod
    def _feed(self, opened: OpenObject, data: memoryview, *, final: bool) -> None:
        """Cut the next part of the open object, which has taken it already."""

    @abstractmethod
    def _end_object(self, opened: OpenObject) -> None:
        """Count the open object as a whole."""

    @abstractmethod
    def _begin_part(self) -> None:
        """Go on without distances to what was before; no object is open."""

    @abstractmethod
    def _finish(self) -> dict[str, FinishedTally]:
        """Return the tallies by grain; no object is open."""


class OpenObject:
    """One object that comes in parts: its fingerprint, its length and its head.

    Parameters
    ----------
    hashed
        Whether its fingerprint and its head are asked for at its end.
    remembered
        Whether it is worth recognising parts that were cut before.

    Attributes
    ----------
    length_bytes
        Of all parts so far.
    head
        Its first bytes, at most :data:`HEAD_BYTES`.
    parts_digest
        A fingerprint of everything of it so far, and of where its parts ended: of two
        objects with one, the part that came last is cut alike. None if that is of no use.
    """

    def __init__(self, *, hashed: bool, remembered: bool) -> None:
        self.length_bytes = 0
        self.head = bytearray()
        self.parts_digest = b"" if remembered else None
        self._hash = xxh3_128() if hashed else None

    def feed(self, data: memoryview) -> None:
        """Take the next part."""
        if self.parts_digest is not None:
            self.parts_digest = xxh3_128_digest(self.parts_digest + xxh3_128_digest(data))
        self.length_bytes += len(data)
        if self._hash is None:
            return
        self._hash.update(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]

    def digest(self) -> bytes | None:
        """Return the fingerprint of all of it; None if it is empty, or was not asked for."""
        return self._hash.digest() if self._hash is not None and self.length_bytes else None


def stream_scan(
    settings: ScanSettings,
    known: KnownCuts[Any] | None = None,
    heads: WaitingHeads | None = None,
) -> StreamScan:
    """Return what scans a stream.

    Parameters
    ----------
    settings
        What was asked for.
    known
        Where cuts are remembered, shared with other streams that are asked for the same; None
        for memory of its own.
    heads
        Where chunks wait to be compressed, shared like that.
    """
    library = native()
    if library is not None:
        from deduplab.bound.native_scan import NativeScan

        return NativeScan(library, settings, known, heads)
    from deduplab.bound.plain_scan import PlainScan

    return PlainScan(settings, known, heads)


def cutter_name() -> str:
    """Return what finds content-defined cuts: ``deduplab``'s compiled code or ``pyfastcdc``."""
    return "pyfastcdc" if native() is None else "deduplab"
