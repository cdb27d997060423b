"""Samples for compression of chunks that the part in C has cut: one for each grain."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import byref, c_int64, string_at
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.bound.chunks import marks_of
from deduplab.bound.compression import CompressionSample
from deduplab.bound.fingerprints import Fingerprints
from deduplab.bound.native import CHUNK_BYTES, CUTS_HEAD_BYTES, WHOLE_NUMBER, Native

_CHUNK_NUMBERS: Final = CHUNK_BYTES // 8


class NativeSamples:
    """The samples of a scan in C; grains share that of whole objects as long as their tally.

    Parameters
    ----------
    scan
        The address of the scan.
    grains
        How many grains cut objects.
    halvings
        What each sample begins with.
    """

    def __init__(self, library: Native, scan: int, grains: int, halvings: int) -> None:
        self._library = library
        self._scan = scan
        self._whole = CompressionSample(halvings)
        self._own: list[CompressionSample | None] = [None] * grains

    def of(self, number: int) -> CompressionSample:
        """Return the sample of a grain, or of whole objects for -1."""
        own = None if number == WHOLE_NUMBER else self._own[number]
        return own or self._whole

    def add_objects(
        self, data: memoryview, begins: bytes, ends: bytes, first: int, stop: int
    ) -> None:
        """Add objects that were cut, and counted, by one call of the library."""
        starts = np.frombuffer(begins, dtype=np.int64)[first:stop]
        lengths = np.frombuffer(ends, dtype=np.int64)[first:stop] - starts
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        if not len(starts):
            return
        self._part_from_whole()
        read = _Reader(data)
        if self._whole_is_counted():
            hashed = string_at(self._library.scan_hashed(self._scan), len(starts) * CHUNK_BYTES)
            self._whole.add(read, starts, lengths, _chunks(hashed)[1])
        limits = np.cumsum(lengths)
        moves = starts - (limits - lengths)
        at = self._library.scan_cuts(self._scan)
        for sample in self._own:
            chunks = c_int64.from_address(at).value
            at += CUTS_HEAD_BYTES
            if sample is not None and chunks:
                sizes, marks = _chunks(string_at(at, chunks * CHUNK_BYTES))
                offsets = np.cumsum(sizes) - sizes
                objects = np.searchsorted(limits, offsets, side="right")
                sample.add(read, offsets + moves[objects], sizes, marks)
            at += chunks * CHUNK_BYTES

    def add_object(self, cuts: bytes, data: memoryview, digest: bytes) -> None:
        """Add a long object that was counted."""
        self._part_from_whole()
        read = _Reader(data)
        if self._whole_is_counted():
            self._add_one(read, len(data), digest)
        for sample, sizes, marks in self._found(cuts):
            sample.add(read, np.cumsum(sizes) - sizes, sizes, marks)

    def add_part(self, cuts: bytes, data: memoryview) -> None:
        """Add a part of an open object that was cut, and is counted after this."""
        self._part_from_whole()
        length = c_int64()
        for number, (sample, sizes, marks) in enumerate(self._found(cuts)):
            place = self._library.scan_carried(self._scan, number, byref(length))
            carried = string_at(place, length.value) if length.value else b""
            starts = np.cumsum(sizes) - sizes - len(carried)
            sample.add(_Reader(data, carried), starts, sizes, marks)

    def add_whole(self, length_bytes: int, head: bytes, digest: bytes) -> None:
        """Add an object that came in parts and has ended."""
        if self._whole_is_counted():
            self._add_one(_Reader(memoryview(head)), length_bytes, digest)

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

    def _add_one(self, read: _Reader, length_bytes: int, digest: bytes) -> None:
        length = np.array([length_bytes], dtype=np.int64)
        self._whole.add(read, np.zeros(1, dtype=np.int64), length, marks_of(digest))

    def _found(
        self, cuts: bytes
    ) -> list[tuple[CompressionSample, npt.NDArray[np.int64], Fingerprints]]:
        """Return each grain's sample with lengths and fingerprints of its chunks.

        Of a grain that shares the whole objects', there is nothing to add.
        """
        found, at = [], 0
        for sample in self._own:
            chunks = c_int64.from_buffer_copy(cuts, at).value if sample is not None else 0
            begin = at + CUTS_HEAD_BYTES
            at = begin + c_int64.from_buffer_copy(cuts, at).value * CHUNK_BYTES
            sizes, marks = _chunks(cuts[begin : begin + chunks * CHUNK_BYTES])
            found.append((sample or self._whole, sizes, marks))
        return found

    def _whole_is_counted(self) -> bool:
        return self._library.scan_tally(self._scan, WHOLE_NUMBER) is not None

    def _part_from_whole(self) -> None:
        """Give a sample of its own to each grain that has got a tally of its own."""
        for number, sample in enumerate(self._own):
            if sample is None and self._library.scan_tally(self._scan, number) is not None:
                self._own[number] = self._whole.copy()


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


def _chunks(found: bytes) -> tuple[npt.NDArray[np.int64], Fingerprints]:
    """Return lengths and fingerprints of chunks in the library's memory."""
    numbers = np.frombuffer(found, dtype=np.uint64).reshape(-1, _CHUNK_NUMBERS)
    return numbers[:, 0].astype(np.int64), numbers[:, 1:]
