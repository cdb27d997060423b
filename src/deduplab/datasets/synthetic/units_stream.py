"""A stream of units: what an object is filled with, from small units of one width.

Unit n of the object with a given id is made from the counter ``id * units an
object + n`` alone. So objects can be made in any order, from their middle on, in
batches of any size, and always consist of the same bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.datasets.synthetic.draws import Numbers

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# As much is made at once as stays in a processor's second-level cache.
_BLOCK_BYTES: Final = 256 * 1024


class UnitStream(ABC):
    """A stream of units of ``unit_bytes`` for every id, at most ``greatest_bytes`` long."""

    def __init__(self, unit_bytes: int, greatest_bytes: int) -> None:
        self.unit_bytes = unit_bytes
        self.units_an_object = max(1, -(-greatest_bytes // unit_bytes))

    @abstractmethod
    def units(self, counters: Numbers) -> Bytes:
        """Return the units with these counters, back to back; uint8, one after another."""

    def place(self, out: memoryview, ids: Integers, starts: Integers, lengths: Integers) -> None:
        """Write the first ``lengths`` bytes of the stream of each id to ``starts`` in ``out``.

        All three have shape (objects,); the last unit of a stream may be cut short.
        """
        for begin, end in blocks(lengths, _BLOCK_BYTES):
            if end - begin == 1:
                self._place_one(out, int(ids[begin]), int(starts[begin]), int(lengths[begin]))
            else:
                part = slice(begin, end)
                self._place_many(out, ids[part], starts[part], lengths[part])

    def _place_one(self, out: memoryview, number: int, start: int, length_bytes: int) -> None:
        at_once = max(1, _BLOCK_BYTES // self.unit_bytes)
        flat = np.frombuffer(out, dtype=np.uint8)
        count = -(-length_bytes // self.unit_bytes)
        first_counter = number * self.units_an_object
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            counters = np.arange(first_counter + first, first_counter + last, dtype=np.uint64)
            begin, end = first * self.unit_bytes, min(last * self.unit_bytes, length_bytes)
            flat[start + begin : start + end] = self.units(counters)[: end - begin]

    def _place_many(
        self, out: memoryview, ids: Integers, starts: Integers, lengths: Integers
    ) -> None:
        counts = -(-lengths // self.unit_bytes)
        firsts = np.cumsum(counts) - counts
        shifts = (ids * self.units_an_object - firsts).astype(np.uint64)
        total = int(firsts[-1] + counts[-1])
        if not total:
            return
        counters: Numbers = np.arange(total, dtype=np.uint64)
        counters += np.repeat(shifts, counts)
        scatter(out, starts, lengths, self.units(counters), firsts * self.unit_bytes)


def scatter(
    out: memoryview, starts: Integers, lengths: Integers, data: Bytes, begins: Integers
) -> None:
    """Copy ``data[begins[i]:begins[i] + lengths[i]]`` to ``out`` at ``starts[i]``, for all i."""
    if len(starts) > 1 and _even(starts, lengths, begins):
        length, stride = int(lengths[0]), int(starts[1] - starts[0])
        target: Bytes = np.ndarray(
            (len(starts), length), np.uint8, out, int(starts[0]), (stride, 1)
        )
        source_stride = int(begins[1] - begins[0])
        target[:] = np.ndarray(
            (len(starts), length), np.uint8, data.data, int(begins[0]), (source_stride, 1)
        )
        return
    source = data.data
    places = zip(
        starts.tolist(),
        (starts + lengths).tolist(),
        begins.tolist(),
        (begins + lengths).tolist(),
        strict=True,
    )
    for start, stop, begin, end in places:
        out[start:stop] = source[begin:end]


def _even(starts: Integers, lengths: Integers, begins: Integers) -> bool:
    """Tell whether all lengths are equal and so are all steps: a matrix, not single pieces."""
    if (lengths != lengths[0]).any():
        return False
    steps, source_steps = np.diff(starts), np.diff(begins)
    return bool((steps == steps[0]).all() and (source_steps == source_steps[0]).all())


def blocks(lengths: Integers, limit_bytes: int) -> Iterator[tuple[int, int]]:
    """Split objects into consecutive blocks (start, stop) of at most so many bytes each.

    A longer object is a block of its own.
    """
    ends = np.cumsum(lengths)
    start = 0
    done_bytes = 0
    while start < len(ends):
        stop = int(np.searchsorted(ends, done_bytes + limit_bytes, side="right"))
        stop = max(stop, start + 1)
        yield start, stop
        done_bytes = int(ends[stop - 1])
        start = stop
