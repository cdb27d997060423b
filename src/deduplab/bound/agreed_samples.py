"""Samples for compression that forked processes agree on, in memory that all of them see.

The sample of a whole scan is thinner than that of any part, and what it will hold is compressed
once, by one of the processes that have it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from ctypes import addressof, c_char
from operator import itemgetter
from typing import Final

from deduplab.bound.compression import (
    MOST_CHUNKS,
    CompressionSample,
    Sampled,
    is_kept,
    least_thinning,
)
from deduplab.bound.native import Native
from deduplab.bound.native_samples import NativeSamples

_NUMBER_BYTES: Final = 8
_COLUMNS: Final = 2
"""Of a sample that was told: the marks of its chunks, and their lengths."""
_HEAD_NUMBERS: Final = 2
"""Before them its thinning, and how many chunks it has."""
_SAMPLE_NUMBERS: Final = _HEAD_NUMBERS + _COLUMNS * MOST_CHUNKS


class AgreedSamples:
    """What the processes of one scan know of each other's samples.

    Parameters
    ----------
    library
        The part in C.
    processes
        How many there are.
    most_bytes
        How much is compressed at most of whole objects, and of each grain that cuts them: the
        samples of a process, in their order.
    """

    def __init__(self, library: Native, processes: int, most_bytes: Sequence[int]) -> None:
        self._library = library
        self._processes = processes
        self._most_bytes = most_bytes
        told_bytes = processes * len(most_bytes) * _SAMPLE_NUMBERS * _NUMBER_BYTES
        # Pages that nobody writes to take no memory.
        memory = memoryview(mmap.mmap(-1, told_bytes + processes))
        self._told = memory[:told_bytes].cast("Q")
        self._flags = addressof(c_char.from_buffer(memory, told_bytes))

    def compress(self, number: int, samples: NativeSamples) -> None:
        """Compress what a process has in its complete samples, or its share of what all need.

        As long as another one has not told its samples, chunks are compressed that are most
        likely in the sample of all. Nobody waits for anybody: who is done with all that it has
        before the last one comes has compressed everything that could be its share.
        """
        own = samples.each()
        self._tell(number, own)
        for one in _likeliest_first(own):
            if self._all_told():
                break
            _ = one.compressed_bytes
        else:
            return
        for place, sample in enumerate(own):
            for one in self._share(number, place, sample):
                _ = one.compressed_bytes

    def _tell(self, number: int, own: list[CompressionSample]) -> None:
        """Write down of what samples consist."""
        for place, sample in enumerate(own):
            numbers = self._numbers(number, place)
            for at, (mark, one) in enumerate(sample.chunks.items()):
                numbers[_HEAD_NUMBERS + at] = mark
                numbers[_HEAD_NUMBERS + MOST_CHUNKS + at] = one.length_bytes
            numbers[0], numbers[1] = sample.thinning, len(sample.chunks)
        self._library.claim(self._flags + number)

    def _all_told(self) -> bool:
        flags = range(self._flags, self._flags + self._processes)
        return all(map(self._library.is_claimed, flags))

    def _share(self, number: int, place: int, sample: CompressionSample) -> Iterator[Sampled]:
        """Yield the chunks that the sample of all will hold, and that this process compresses.

        A chunk that several have is compressed by one of them, which its mark decides.
        """
        numbers = [self._numbers(each, place) for each in range(self._processes)]
        told = [_lengths(each) for each in numbers]
        lengths = {mark: length for each in told for mark, length in each.items()}
        thinning = max(each[0] for each in numbers)
        thinning = least_thinning(lengths, thinning, self._most_bytes[place])
        for mark, one in sample.chunks.items():
            if is_kept(mark, one.length_bytes, thinning):
                holders = [each for each, marks in enumerate(told) if mark in marks]
                if holders[mark % len(holders)] == number:
                    yield one

    def _numbers(self, number: int, place: int) -> memoryview[int]:
        begin = (number * len(self._most_bytes) + place) * _SAMPLE_NUMBERS
        return self._told[begin : begin + _SAMPLE_NUMBERS]


def _lengths(numbers: memoryview[int]) -> dict[int, int]:
    """Return the lengths of the chunks of a sample that was told, by their marks."""
    count = numbers[1]
    marks, lengths = numbers[_HEAD_NUMBERS:], numbers[_HEAD_NUMBERS + MOST_CHUNKS :]
    return dict(zip(marks[:count].tolist(), lengths[:count].tolist(), strict=True))


def _likeliest_first(samples: Sequence[CompressionSample]) -> list[Sampled]:
    """Return the chunks of all samples, those first that remain the longest if they are thinned."""
    ranked = [
        (mark / one.length_bytes * 2.0**sample.thinning, one)
        for sample in samples
        for mark, one in sample.chunks.items()
    ]
    return [one for _, one in sorted(ranked, key=itemgetter(0))]
