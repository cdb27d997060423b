"""The scan of one stream by the part in C (``scan.c``): it cuts, hashes and counts.

Python hands over what lies in memory, remembers what was found when long objects were cut, and
has samples of chunks compressed.
"""

from __future__ import annotations

import struct
from array import array
from ctypes import byref, c_int64, string_at
from functools import cached_property
from typing import TYPE_CHECKING, Final
from weakref import finalize

from xxhash import xxh3_128_digest

from deduplab.bound.figures import Figures
from deduplab.bound.grains import GRAINS, WHOLE
from deduplab.bound.histogram import LogHistogram
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, KnownCuts
from deduplab.bound.limits import MOST_ROWS
from deduplab.bound.native import FiguresNumbers, Native, TallyNumbers, address_of, int64s
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream_scan import FinishedTally, OpenObject, StreamScan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deduplab.bound.compression import CompressionSample
    from deduplab.bound.fingerprints import Fingerprints
    from deduplab.bound.native_samples import NativeSamples
    from deduplab.bound.stream import Offsets
    from deduplab.bound.table import ChunkTable

_HALVES: Final = struct.Struct("<QQ")
_NEVER_LONG: Final = 2**63 - 1
_OBJECT, _PART, _LAST_PART = b"object", b"part", b"last part"


class NativeScan(StreamScan):
    """Tallies of one stream at each grain; see :func:`deduplab.bound.stream_scan.stream_scan`."""

    def __init__(
        self,
        library: Native,
        settings: ScanSettings,
        compression_halvings: int = 0,
        known: KnownCuts[bytes] | None = None,
    ) -> None:
        super().__init__()
        self._library = library
        self._settings = settings
        self._names = [name for name in settings.grains if name != WHOLE]
        self._scan = _InC(library, settings, self._names)
        self._known = KnownCuts() if known is None else known
        # To cut blocks of one size takes no longer than to recognise what was cut.
        remembers = any(GRAINS[name].content_defined for name in self._names)
        self._long_bytes = LEAST_KNOWN_LENGTH_BYTES if remembers else _NEVER_LONG
        self._samples: NativeSamples | None = None
        if settings.compress:
            from deduplab.bound.native_samples import NativeSamples

            self._samples = NativeSamples(
                library, self._scan.address, len(self._names), compression_halvings
            )

    def add_whole(
        self,
        data: memoryview,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        marks: Fingerprints,
    ) -> None:
        """Scan whole objects; see :meth:`StreamScan.add_whole`."""
        self.objects += len(starts)
        self.logical_bytes += int(lengths.sum())
        ends = (starts + lengths).tobytes()
        self._add(data, starts.tobytes(), ends, marks.tobytes(), 0, len(starts))

    def _ascends(self, bounds: Offsets) -> bool:
        return bool(self._library.scan_ascends(bounds.tobytes(), len(bounds)))

    def _complete(self, data: memoryview, bounds: Offsets, first: int, last: int) -> None:
        offsets = bounds.tobytes()
        self._add(data, offsets, offsets[8:], None, first, last)

    def _add(
        self,
        data: memoryview,
        begins: bytes,
        ends: bytes,
        marks: bytes | None,
        first: int,
        last: int,
    ) -> None:
        """Scan objects that lie in data between these places, given as int64."""
        library, samples, place = self._library, self._samples, address_of(data)
        while first < last:
            stop = library.scan_objects(
                self._scan.address, place, begins, ends, marks, first, last, self._long_bytes
            )
            _check(stop)
            if samples is not None:
                samples.add_objects(data, begins, ends, first, stop)
            if stop < last:
                begin, end = _number(begins, stop), _number(ends, stop)
                digest = None if marks is None else marks[16 * stop : 16 * stop + 16]
                self._add_long(data[begin:end], digest)
                stop += 1
            first = stop

    def _add_long(self, data: memoryview, digest: bytes | None) -> None:
        """Scan an object that is worth remembering."""
        digest = xxh3_128_digest(data) if digest is None else digest
        cuts = self._cut(digest + _OBJECT, data, is_part=False, final=True)
        first, second = _HALVES.unpack(digest)
        _check(self._library.scan_count_object(self._scan.address, cuts, len(data), first, second))
        if self._samples is not None:
            self._samples.add_object(cuts, data, digest)

    def _begin_object(self) -> bool:
        _check(self._library.scan_open(self._scan.address))
        return self._library.scan_tally(self._scan.address, -1) is not None

    def _feed(self, opened: OpenObject, data: memoryview, *, final: bool) -> None:
        if not self._names:
            return
        key = opened.parts_digest + (_LAST_PART if final else _PART)
        cuts = self._cut(key, data, is_part=True, final=final)
        if self._samples is not None:
            self._samples.add_part(cuts, data)
        place = address_of(data)
        _check(self._library.scan_count_part(self._scan.address, cuts, place, len(data)))

    def _cut(self, key: bytes, data: memoryview, *, is_part: bool, final: bool) -> bytes:
        """Return the cuts of an object or part, which may be remembered."""
        cuts = self._known.get(key)
        if cuts is None:
            length = self._library.scan_cut(
                self._scan.address, address_of(data), len(data), is_part, final
            )
            _check(length)
            cuts = string_at(self._library.scan_cuts(self._scan.address), length)
            self._known.put(key, cuts, length)
        return cuts

    def _end_object(self, opened: OpenObject) -> None:
        length_bytes, digest = opened.length_bytes, opened.digest()
        if digest is None:
            return
        halves = _HALVES.unpack(digest)
        _check(self._library.scan_count_whole(self._scan.address, length_bytes, *halves))
        if self._samples is not None:
            self._samples.add_whole(length_bytes, bytes(opened.head), digest)

    def _begin_part(self) -> None:
        self._library.scan_begin_part(self._scan.address)

    def _finish(self) -> dict[str, FinishedTally]:
        library, scan, samples = self._library, self._scan, self._samples
        made: dict[int, NativeTally] = {}
        found: dict[str, FinishedTally] = {}
        for name in self._settings.grains:
            number = -1 if name == WHOLE else self._names.index(name)
            address = library.scan_tally(scan.address, number)
            if address is None:
                number, address = -1, library.scan_tally(scan.address, -1)
            if address not in made:
                sample = None if samples is None else samples.of(number)
                sampled = self._settings.sample is not None
                made[address] = NativeTally(library, scan, address, sample, sampled=sampled)
            found[name] = made[address]
        return found


class NativeTally:
    """What was found at one grain, as it lies in the library's memory; it changes no more."""

    def __init__(
        self,
        library: Native,
        scan: _InC,
        address: int,
        compression: CompressionSample | None,
        *,
        sampled: bool,
    ) -> None:
        numbers = TallyNumbers.from_address(address)
        self.chunks: int = numbers.chunks
        self.logical_bytes: int = numbers.logical_bytes
        self.halvings: int | None = numbers.halvings if sampled else None
        self.distances = LogHistogram(array("Q", bytes(numbers.distances)))
        self.compression = compression
        self.rows = NativeRows(library, scan, address, numbers.used)


class NativeRows:
    """Unique chunks in the library's memory, which is kept as long as this is."""

    def __init__(self, library: Native, scan: _InC, address: int, count: int) -> None:
        self._library = library
        self._scan = scan
        self._address = address
        self._count = count

    def table(self) -> ChunkTable:
        """Return them sorted, in columns."""
        return self._table

    @cached_property
    def _table(self) -> ChunkTable:
        import numpy as np  # late: not every scan needs it

        from deduplab.bound.table import ChunkTable, sorted_order

        columns = np.empty((4, self._count), dtype=np.uint64)
        places = [column.__array_interface__["data"][0] for column in columns]
        self._library.tally_columns(self._address, *places)
        order = sorted_order(columns[0], columns[1])
        return ChunkTable(*(column[order] for column in columns))

    def figures(self) -> Figures:
        """Return what is published of them."""
        numbers = FiguresNumbers()
        _check(self._library.tally_figures(self._address, byref(numbers)))
        return Figures(
            unique_chunks=self._count,
            unique_bytes=numbers.unique_bytes,
            squares=numbers.squares_low + (numbers.squares_high << 64),
            copies=list(numbers.copies),
            lengths=list(numbers.lengths),
            percentiles_bytes=list(numbers.percentiles),
        )


class _InC:
    """The library's part of a scan, which is freed with this."""

    def __init__(self, library: Native, settings: ScanSettings, names: list[str]) -> None:
        grains = [GRAINS[name] for name in names]
        address: int | None = library.scan_new(
            library.hash_address,
            len(grains),
            int64s(grain.size_bytes for grain in grains),
            int64s(
                grain.size_bytes.bit_length() - 1 if grain.content_defined else 0
                for grain in grains
            ),
            int64s(grain.never_cut_bytes for grain in grains),
            int64s(grain.most_bytes for grain in grains),
            WHOLE in settings.grains,
            0 if settings.sample is None else MOST_ROWS,
            settings.halvings or 0,
        )
        if address is None:
            raise MemoryError("there is no memory for a scan")
        self.address = address
        self._freed = finalize(self, library.scan_free, address)


def _number(numbers: bytes, place: int) -> int:
    """Return one of many int64."""
    found: int = c_int64.from_buffer_copy(numbers, 8 * place).value
    return found


def _check(result: int) -> None:
    if result < 0:
        raise MemoryError("there is no memory for what a scan has to count")
