"""The scan of one stream: each block once, at all grains that were asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from deduplab.bound.chunks import Objects, marks_of
from deduplab.bound.compression import CompressionSample
from deduplab.bound.cutting import Cutter, WholeObject
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.gear import Piece
from deduplab.bound.grains import GRAINS, WHOLE
from deduplab.bound.known import KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream import Block
from deduplab.bound.tally import Tally


class StreamScan:
    """Tallies of one stream at each grain.

    As long as no object was long enough to be cut at a grain, its chunks are the
    objects, and it shares their tally: rows and values of a table are mostly
    short, and are counted once instead of ten times.

    Parameters
    ----------
    settings
        What was asked for.
    compression_halvings
        What samples for compression begin with, so that long data begins with a small one.
    known
        Where cuts are remembered, shared with other streams; None for memory of its own.
    """

    def __init__(
        self,
        settings: ScanSettings,
        compression_halvings: int = 0,
        known: KnownCuts | None = None,
    ) -> None:
        self.objects = 0
        self.logical_bytes = 0
        self._keeps_whole = WHOLE in settings.grains
        compression = CompressionSample(compression_halvings) if settings.compress else None
        self._whole: Tally | None = Tally(settings.halvings, compression)
        known = known or KnownCuts()
        self._grains = {
            name: _GrainScan(Cutter(GRAINS[name], known))
            for name in settings.grains
            if name != WHOLE
        }
        self._names = settings.grains
        self._open: WholeObject | None = None
        self._parts_mark = b""

    def add(self, block: Block) -> None:
        """Scan the next block.

        Raises
        ------
        ValueError
            If its offsets do not ascend, or leave its data.
        """
        bounds = block.offsets
        objects = len(bounds) - 1
        if objects < 1:
            return
        if bounds[0] < 0 or bounds[-1] > len(block.data) or (bounds[1:] < bounds[:-1]).any():
            raise ValueError("a block's offsets must ascend within its data")
        self.logical_bytes += block.logical_bytes
        first, last = 0, objects
        if self._open is not None:
            first = 1
            begin, end = bounds[:2].tolist()
            self._feed(block.data[begin:end], final=objects > 1 or not block.continues)
        if block.continues and last > first:
            last -= 1
        if last > first:
            self._complete(block.data, bounds[first : last + 1])
        if last < objects:
            begin, end = bounds[last:].tolist()
            self._feed(block.data[begin:end], final=False)

    def end_object(self) -> None:
        """End an object that is still open: no more of it is to come."""
        if self._open is not None:
            self._feed(memoryview(b""), final=True)

    def begin_part(self) -> None:
        """Go on with a part that has no distances to what was before it."""
        self.end_object()
        tallies = [self._whole, *(scan.tally for scan in self._grains.values())]
        for tally in tallies:
            if tally is not None:
                tally.begin_part()

    def finish(self) -> dict[str, Tally]:
        """Return the settled tallies by grain; an object that is still open ends here."""
        self.end_object()
        tallies = {}
        for name in self._names:
            tally = self._whole if name == WHOLE else self._grains[name].tally or self._whole
            assert tally is not None
            tally.close()
            tallies[name] = tally
        return tallies

    def _feed(self, data: memoryview, *, final: bool) -> None:
        """Scan the next part of an object that comes in parts."""
        if self._open is None:
            self._open = WholeObject()
            self._parts_mark = b""
            self._part_from_whole(None)
        self._parts_mark = xxh3_128_digest(self._parts_mark + xxh3_128_digest(data))
        if self._whole is not None:
            self._open.feed(data)
        piece = Piece(data)
        for scan in self._grains.values():
            assert scan.tally is not None
            for chunks in scan.cutter.feed(piece, final=final, key=self._parts_mark):
                scan.tally.add(chunks)
        if final:
            self.objects += 1
            if self._whole is not None:
                for chunks in self._open.chunks():
                    self._whole.add(chunks)
            self._open = None

    def _complete(self, data: memoryview, bounds: npt.NDArray[np.int64]) -> None:
        """Scan objects that lie in the block as a whole."""
        self.objects += len(bounds) - 1
        starts, lengths = bounds[:-1], np.diff(bounds)
        if not lengths.all():
            starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        if len(starts):
            self._part_from_whole(int(lengths.max()))
            marks = _marks(data, starts, lengths)
            self._tell_all(Objects(data, starts, lengths, marks))

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
        if not len(starts):
            return
        self.objects += len(starts)
        self.logical_bytes += int(lengths.sum())
        self._part_from_whole(int(lengths.max()))
        self._tell_all(Objects(data, starts, lengths, marks))

    def _tell_all(self, objects: Objects) -> None:
        if self._whole is not None:
            self._whole.add(objects.uncut())
        for scan in self._grains.values():
            if scan.tally is not None:
                scan.tally.add(scan.cutter.cut_objects(objects))

    def _part_from_whole(self, longest_bytes: int | None) -> None:
        """Give a tally of its own to each grain that cuts objects of this length (None: of any)."""
        sharing = False
        for scan in self._grains.values():
            if scan.tally is not None:
                continue
            if longest_bytes is None or longest_bytes > scan.cutter.grain.never_cut_bytes:
                assert self._whole is not None
                scan.tally = self._whole.copy()
            else:
                sharing = True
        if not sharing and not self._keeps_whole:
            self._whole = None


class _GrainScan:
    """A cutter and its tally; None as long as the whole objects' is shared."""

    def __init__(self, grain_cutter: Cutter) -> None:
        self.cutter = grain_cutter
        self.tally: Tally | None = None


def _marks(
    data: memoryview, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> Fingerprints:
    return marks_of(Piece(data).digests(starts, lengths))
