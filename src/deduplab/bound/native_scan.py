"""The scan of one stream by the part in C (``scan.c``): it cuts, hashes and counts.

Python hands over what lies in memory, remembers what was found when long objects were cut, and
has samples of chunks compressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ctypes import c_int64, string_at
from typing import TYPE_CHECKING, Final
from weakref import finalize

from xxhash import xxh3_128_digest

from deduplab.bound.grains import GRAINS, WHOLE
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, KnownCuts
from deduplab.bound.limits import MOST_ROWS
from deduplab.bound.native import ANY_LENGTH, WHOLE_NUMBER, Native, address_of, checked, int64s
from deduplab.bound.native_tally import CountedElsewhere, NativeTally
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream_scan import FinishedTally, OpenObject, StreamScan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deduplab.bound.fingerprints import Fingerprints
    from deduplab.bound.heads import WaitingHeads
    from deduplab.bound.native_samples import NativeSamples
    from deduplab.bound.stream import Offsets

_HALVES: Final = struct.Struct("<QQ")
_OBJECT, _PART, _LAST_PART = b"object", b"part", b"last part"


class NativeScan(StreamScan):
    """Tallies of one stream at each grain; see :func:`deduplab.bound.stream_scan.stream_scan`."""

    def __init__(
        self,
        library: Native,
        settings: ScanSettings,
        known: KnownCuts[bytes] | None = None,
        heads: WaitingHeads | None = None,
    ) -> None:
        names = [name for name in settings.grains if name != WHOLE]
        # To cut blocks of one size takes no longer than to recognise what was cut.
        super().__init__(remembers=any(GRAINS[name].content_defined for name in names))
        self._library = library
        self._settings = settings
        self._names = names
        self._scan = _InC(library, settings, self._names)
        self._known = KnownCuts.of_scan(settings) if known is None else known
        self._long_bytes = LEAST_KNOWN_LENGTH_BYTES if self._remembers else ANY_LENGTH
        self._samples: NativeSamples | None = None
        if settings.compress:
            from deduplab.bound.compression import CompressionSample, compressed_bytes
            from deduplab.bound.native_samples import NativeSamples

            self._samples = NativeSamples(
                library,
                self._scan.address,
                CompressionSample(compressed_bytes(WHOLE, settings), heads=heads),
                [compressed_bytes(name, settings) for name in self._names],
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
            stop = checked(
                library.scan_objects(
                    self._scan.address, place, begins, ends, marks, first, last, self._long_bytes
                )
            )
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
        checked(self._library.scan_count_object(self._scan.address, cuts, len(data), first, second))
        if self._samples is not None:
            self._samples.add_object(cuts, data, digest)

    def _begin_object(self) -> bool:
        checked(self._library.scan_expect(self._scan.address, ANY_LENGTH))
        return self._library.scan_tally(self._scan.address, WHOLE_NUMBER) is not None

    def _feed(self, opened: OpenObject, data: memoryview, *, final: bool) -> None:
        if not self._names:
            return
        key = opened.parts_digest
        if key is not None:
            key += _LAST_PART if final else _PART
        cuts = self._cut(key, data, is_part=True, final=final)
        if self._samples is not None:
            self._samples.add_part(cuts, data)
        place = address_of(data)
        checked(self._library.scan_count_part(self._scan.address, cuts, place, len(data)))

    def _cut(self, key: bytes | None, data: memoryview, *, is_part: bool, final: bool) -> bytes:
        """Return the cuts of an object or part, which may be remembered; not without a key."""
        known = None if key is None else self._known.get(key)
        if known is not None:
            return known
        length = checked(
            self._library.scan_cut(self._scan.address, address_of(data), len(data), is_part, final)
        )
        cuts = string_at(self._library.scan_cuts(self._scan.address), length)
        if key is not None:
            self._known.put(key, cuts, length)
        return cuts

    def _end_object(self, opened: OpenObject) -> None:
        length_bytes, digest = opened.length_bytes, opened.digest()
        if digest is None:
            return
        halves = _HALVES.unpack(digest)
        checked(self._library.scan_count_whole(self._scan.address, length_bytes, *halves))
        if self._samples is not None:
            self._samples.add_whole(length_bytes, bytes(opened.head), digest)

    @property
    def samples(self) -> NativeSamples | None:
        """Samples for compression, where that was asked for."""
        return self._samples

    def close(self) -> None:
        """Sort what was counted; see :meth:`StreamScan.close`."""
        super().close()
        for _, address in self._tally_addresses():
            checked(self._library.tally_close(address))

    def compress(self) -> None:
        """Compress samples; see :meth:`StreamScan.compress`."""
        if self._samples is not None:
            self._samples.compress()

    def _begin_part(self) -> None:
        self._library.scan_begin_part(self._scan.address)

    def _finish(self) -> dict[str, FinishedTally]:
        tallies = self.tallies()
        numbers = {WHOLE: WHOLE_NUMBER} | {name: number for number, name in enumerate(self._names)}
        return {
            name: tallies.get(numbers[name]) or tallies[WHOLE_NUMBER]
            for name in self._settings.grains
        }

    def tallies(self) -> dict[int, NativeTally]:
        """Return what was counted until now, by the number of the grain that has its own tally.

        -1 is that of whole objects, which is there as long as a grain needs it.
        """
        found = {}
        for number, address in self._tally_addresses():
            sample = None if self._samples is None else self._samples.of(number)
            sampled = self._settings.sample is not None
            found[number] = NativeTally(self._library, self._scan, address, sample, sampled=sampled)
        return found

    def _tally_addresses(self) -> Iterator[tuple[int, int]]:
        """Yield numbers and addresses of :meth:`tallies`."""
        for number in (WHOLE_NUMBER, *range(len(self._names))):
            address = self._library.scan_tally(self._scan.address, number)
            if address is not None:
                yield number, address

    def absorb(self, objects: int, counted: Mapping[int, CountedElsewhere]) -> None:
        """Count what another exact scan, asked for the same, has counted of the same stream.

        Parameters
        ----------
        objects
            How many it has scanned.
        counted
            What lies in memory of its tallies, as :meth:`tallies` numbers them.
        """
        self.end_object()
        longest = max(
            (GRAINS[self._names[n]].never_cut_bytes + 1 for n in counted if n >= 0), default=0
        )
        checked(self._library.scan_expect(self._scan.address, longest))
        if self._samples is not None:
            self._samples.absorb({number: one.sample for number, one in counted.items()})
        for number, address in self._tally_addresses():
            one = counted.get(number) or counted[WHOLE_NUMBER]
            checked(self._library.tally_absorb(address, one.numbers, one.rows_address))
        self._scan.holds = [one.memory for one in counted.values()]
        self.objects += objects
        self.logical_bytes += next(iter(counted.values())).logical_bytes


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
        self.holds: list[object] = []
        """What another process has counted, as long as it may not be merged yet."""
        self._freed = finalize(self, library.scan_free, address)


def _number(numbers: bytes, place: int) -> int:
    """Return one of many int64."""
    found: int = c_int64.from_buffer_copy(numbers, 8 * place).value
    return found
