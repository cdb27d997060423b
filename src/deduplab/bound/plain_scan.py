"""The scan of one stream by numpy and ``pyfastcdc``: where the part in C was not built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deduplab.bound.chunks import Chunks, Objects, marks_of
from deduplab.bound.compression import CompressionSample, compressed_bytes
from deduplab.bound.cutting import Cuts, Cutter
from deduplab.bound.fingerprints import Fingerprints, fingerprints
from deduplab.bound.grains import GRAINS, WHOLE
from deduplab.bound.known import KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream_scan import FinishedTally, OpenObject, StreamScan
from deduplab.bound.tally import Tally

if TYPE_CHECKING:
    from deduplab.bound.heads import WaitingHeads
    from deduplab.bound.stream import Offsets


class PlainScan(StreamScan):
    """Tallies of one stream at each grain; see :func:`deduplab.bound.stream_scan.stream_scan`."""

    def __init__(
        self,
        settings: ScanSettings,
        known: KnownCuts[Cuts] | None = None,
        heads: WaitingHeads | None = None,
    ) -> None:
        super().__init__()
        self._keeps_whole = WHOLE in settings.grains
        compression = None
        if settings.compress:
            compression = CompressionSample(compressed_bytes(WHOLE, settings), heads=heads)
        self._whole: Tally | None = Tally(settings.halvings, compression)
        known = KnownCuts.of_scan(settings) if known is None else known
        self._grains = {
            name: _GrainScan(Cutter(GRAINS[name], known), compressed_bytes(name, settings))
            for name in settings.grains
            if name != WHOLE
        }
        self._names = settings.grains

    def add_whole(
        self,
        data: memoryview,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        marks: Fingerprints,
    ) -> None:
        """Scan whole objects; see :meth:`StreamScan.add_whole`."""
        if not len(starts):
            return
        self.objects += len(starts)
        self.logical_bytes += int(lengths.sum())
        self._part_from_whole(int(lengths.max()))
        self._tell_all(Objects(data, starts, lengths, marks))

    def _ascends(self, bounds: Offsets) -> bool:
        places = np.asarray(bounds)
        return not (places[1:] < places[:-1]).any()

    def _complete(self, data: memoryview, bounds: Offsets, first: int, last: int) -> None:
        places = np.asarray(bounds)[first : last + 1]
        starts, lengths = places[:-1], np.diff(places)
        if not lengths.all():
            starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        if not len(starts):
            return
        self._part_from_whole(int(lengths.max()))
        marks = fingerprints(data, starts.tolist(), (starts + lengths).tolist())
        self._tell_all(Objects(data, starts, lengths, marks))

    def _begin_object(self) -> bool:
        self._part_from_whole(None)
        return self._whole is not None

    def _feed(self, opened: OpenObject, data: memoryview, *, final: bool) -> None:
        assert opened.parts_digest is not None
        for scan in self._grains.values():
            assert scan.tally is not None
            for chunks in scan.cutter.feed(data, final=final, key=opened.parts_digest):
                scan.tally.add(chunks)

    def _end_object(self, opened: OpenObject) -> None:
        digest = opened.digest()
        if self._whole is not None and digest is not None:
            lengths = np.array([opened.length_bytes], dtype=np.int64)
            head = memoryview(bytes(opened.head))
            self._whole.add(Chunks.tiling(head, lengths, marks_of(digest)))

    def compress(self) -> None:
        """Compress samples; see :meth:`StreamScan.compress`."""
        for tally in self._tallies():
            if tally.compression is not None:
                tally.compression.compress()

    def _begin_part(self) -> None:
        for tally in self._tallies():
            tally.begin_part()

    def _tallies(self) -> list[Tally]:
        """Return those that there are; grains share the whole's as long as they can."""
        tallies = [self._whole, *(scan.tally for scan in self._grains.values())]
        return [tally for tally in tallies if tally is not None]

    def _finish(self) -> dict[str, FinishedTally]:
        tallies: dict[str, FinishedTally] = {}
        for name in self._names:
            tally = self._whole if name == WHOLE else self._grains[name].tally or self._whole
            assert tally is not None
            tally.close()
            tallies[name] = tally
        return tallies

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
                scan.tally = self._whole.copy(scan.compressed_bytes)
            else:
                sharing = True
        if not sharing and not self._keeps_whole:
            self._whole = None


class _GrainScan:
    """A cutter and its tally; None as long as the whole objects' is shared."""

    def __init__(self, grain_cutter: Cutter, compressed_bytes: int) -> None:
        self.cutter = grain_cutter
        self.compressed_bytes = compressed_bytes
        self.tally: Tally | None = None
