"""Samples for compression of chunks that the part in C has cut: one for each grain.

It picks the chunks that a sample keeps, which are few where the data is long.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from ctypes import byref, c_int64, string_at
from typing import Final

from deduplab.bound.compression import CompressionSample, Picked
from deduplab.bound.native import WHOLE_NUMBER, Native, checked, int64s

_PICKED_NUMBERS: Final = 4
"""``struct picked`` of ``picked.c``: the grain, then the columns of :class:`Picked`."""
_HALF: Final = struct.Struct("<Q")
_NOTHING: Final = -1


class NativeSamples:
    """The samples of a scan in C; grains share that of whole objects as long as their tally.

    Parameters
    ----------
    scan
        The address of the scan.
    whole
        The sample of whole objects, with nothing in it.
    most_bytes
        How much is compressed at each grain that cuts objects.
    """

    def __init__(
        self, library: Native, scan: int, whole: CompressionSample, most_bytes: Sequence[int]
    ) -> None:
        self._library = library
        self._scan = scan
        self._whole = whole
        self._most_bytes = most_bytes
        self._own: list[CompressionSample | None] = [None] * len(most_bytes)

    def of(self, number: int) -> CompressionSample:
        """Return the sample of a grain, or of whole objects for -1."""
        own = None if number == WHOLE_NUMBER else self._own[number]
        return own or self._whole

    def add_objects(
        self, data: memoryview, begins: bytes, ends: bytes, first: int, stop: int
    ) -> None:
        """Add objects that were cut, and counted, by one call of the library."""
        self._part_from_whole()
        whole = self._whole.thinning if self._whole_is_counted() else _NOTHING
        count = self._library.scan_pick_objects(
            self._scan, begins, ends, first, stop, whole, self._thinnings()
        )
        self._add(count, data)

    def add_object(self, cuts: bytes, data: memoryview, digest: bytes) -> None:
        """Add a long object that was counted."""
        self._part_from_whole()
        self._add_whole(data, len(data), digest)
        self._add(self._library.scan_pick_cuts(self._scan, cuts, False, self._thinnings()), data)

    def add_part(self, cuts: bytes, data: memoryview) -> None:
        """Add a part of an open object that was cut, and is counted after this."""
        self._part_from_whole()
        self._add(self._library.scan_pick_cuts(self._scan, cuts, True, self._thinnings()), data)

    def add_whole(self, length_bytes: int, head: bytes, digest: bytes) -> None:
        """Add an object that came in parts and has ended."""
        self._add_whole(memoryview(head), length_bytes, digest)

    def each(self) -> list[CompressionSample]:
        """Return those of whole objects and of each grain; the first stands for who shares it."""
        return [self._whole, *(own or self._whole for own in self._own)]

    def compress(self) -> None:
        """Compress what is not compressed yet."""
        for sample in self.each():
            sample.compress()

    def absorb(self, samples: Mapping[int, CompressionSample | None]) -> None:
        """Add the samples of another scan, as :meth:`of` numbers them."""
        self._part_from_whole()
        for number, own in ((WHOLE_NUMBER, self._whole), *enumerate(self._own)):
            other = samples.get(number) or samples.get(WHOLE_NUMBER)
            if own is None or other is None:
                continue
            if number == WHOLE_NUMBER:
                self._whole = own.merged(other)
            else:
                self._own[number] = own.merged(other)

    def _add(self, count: int, data: memoryview) -> None:
        """Add what the library has picked, grain by grain."""
        if not checked(count):
            return
        size = count * _PICKED_NUMBERS * _HALF.size
        rows = memoryview(string_at(self._library.scan_picked(self._scan), size))
        grains, begins, lengths = (
            rows.cast("q")[column::_PICKED_NUMBERS].tolist() for column in range(3)
        )
        marks = rows.cast("Q")[3::_PICKED_NUMBERS].tolist()
        at = 0
        for number, here in Counter(grains).items():  # which come one after the other
            part = slice(at, at + here)
            picked = Picked(begins[part], lengths[part], marks[part])
            self.of(number).add(self._reader(number, data), picked)
            at += here

    def _add_whole(self, data: memoryview, length_bytes: int, digest: bytes) -> None:
        """Add an object, of which at least the head lies in data, if objects are counted."""
        if self._whole_is_counted():
            (mark,) = _HALF.unpack_from(digest)
            self._whole.add(_Reader(data), Picked((0,), (length_bytes,), (mark,)))

    def _reader(self, number: int, data: memoryview) -> _Reader:
        if number == WHOLE_NUMBER:
            return _Reader(data)
        length = c_int64()
        place = self._library.scan_carried(self._scan, number, byref(length))
        return _Reader(data, string_at(place, length.value) if length.value else b"")

    def _thinnings(self) -> bytes:
        return int64s(_NOTHING if own is None else own.thinning for own in self._own)

    def _whole_is_counted(self) -> bool:
        return self._library.scan_tally(self._scan, WHOLE_NUMBER) is not None

    def _part_from_whole(self) -> None:
        """Give a sample of its own to each grain that has got a tally of its own."""
        for number, sample in enumerate(self._own):
            if sample is None and self._library.scan_tally(self._scan, number) is not None:
                self._own[number] = self._whole.copy(self._most_bytes[number])


class _Reader:
    """Bytes of a block; places below 0 lie at the end of what was carried to it."""

    def __init__(self, data: memoryview, carried: bytes = b"") -> None:
        self._data = data
        self._carried = carried

    def __call__(self, start: int, length_bytes: int) -> memoryview:
        stop = start + length_bytes
        if start >= 0:
            return self._data[start:stop]
        before = self._carried[start:] if stop >= 0 else self._carried[start:stop]
        return memoryview(before + self._data[: max(stop, 0)])
