"""The writer of a dataset: what a batch repeats is made once, and copied in memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.datasets.forms import Edits
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.schedule import Part
from deduplab.units import MIB

# Copies of smaller objects are made many at a time, by way of a buffer that stays in the cache.
_SMALL_OBJECT_BYTES: Final = 16 * 1024
_TILE_BYTES: Final = MIB

Numbers = npt.NDArray[np.int64]


class Writer:
    """Writes objects with copies among them, back to back.

    Parameters
    ----------
    payloads
        What makes a payload by its id.
    fixed_bytes
        The one length of all payloads, None if lengths differ.
    edits
        How copies are edited, None for exact ones.
    """

    def __init__(self, payloads: Payloads, fixed_bytes: int | None, edits: Edits | None) -> None:
        self._payloads = payloads
        self._fixed_bytes = fixed_bytes if edits is None else None
        self._edits = edits

    def write(self, part: Part, buffer: npt.NDArray[np.uint8]) -> Numbers:
        """Write the objects of a part to the start of a buffer; return their offsets.

        The offsets have the shape (objects + 1,).
        """
        offsets = np.zeros(len(part) + 1, dtype=np.int64)
        np.cumsum(part.lengths, out=offsets[1:])
        out = buffer[: int(offsets[-1])].data
        if self._edits is not None:
            self._write_edited(part, self._edits, offsets.tolist(), out)
        elif self._fixed_bytes is not None and self._fixed_bytes < _SMALL_OBJECT_BYTES:
            self._write_tiles(part.ids, self._fixed_bytes, out)
        else:
            self._write_one_by_one(part.ids, offsets.tolist(), out)
        return offsets

    def _write_tiles(self, ids: Numbers, size_bytes: int, out: memoryview) -> None:
        """Write small objects of one size, some at a time."""
        at_once = max(1, _TILE_BYTES // size_bytes)
        for start in range(0, len(ids), at_once):
            part = ids[start : start + at_once]
            begin = start * size_bytes
            self._write_tile(part, size_bytes, out[begin : begin + len(part) * size_bytes])

    def _write_tile(self, ids: Numbers, size_bytes: int, out: memoryview) -> None:
        distinct, places = _distinct(ids)
        if len(distinct) == len(ids):
            self._payloads.write(ids, out)
            return
        made = np.empty(len(distinct) * size_bytes, dtype=np.uint8)
        self._payloads.write(distinct, made.data)
        rows = np.frombuffer(out, dtype=np.uint8).reshape(len(ids), size_bytes)
        # "clip" never clips here; it lets take write to its target without a buffer of its own.
        np.take(made.reshape(-1, size_bytes), places, axis=0, out=rows, mode="clip")

    def _write_one_by_one(self, ids: Numbers, bounds: list[int], out: memoryview) -> None:
        """Make each stretch of new payloads in place, and copy the others from their first."""
        first_places: dict[int, int] = {}
        made = 0
        for place, payload_id in enumerate(ids.tolist()):
            origin = first_places.setdefault(payload_id, place)
            if origin == place:
                continue
            self._make(ids, made, place, bounds, out)
            made = place + 1
            source = out[bounds[origin] : bounds[origin + 1]]
            out[bounds[place] : bounds[made]] = source
        self._make(ids, made, len(ids), bounds, out)

    def _make(
        self, ids: Numbers, start: int, stop: int, bounds: list[int], out: memoryview
    ) -> None:
        if start < stop:
            self._payloads.write(ids[start:stop], out[bounds[start] : bounds[stop]])

    def _write_edited(self, part: Part, edits: Edits, bounds: list[int], out: memoryview) -> None:
        distinct, places = _distinct(part.ids)
        ends = np.zeros(len(distinct) + 1, dtype=np.int64)
        np.cumsum(self._payloads.lengths(distinct), out=ends[1:])
        made = np.empty(int(ends[-1]), dtype=np.uint8).data
        self._payloads.write(distinct, made)
        origins = ends.tolist()
        numbers = zip(part.ids.tolist(), part.copies.tolist(), places.tolist(), strict=True)
        for place, (payload_id, copy, origin) in enumerate(numbers):
            payload = made[origins[origin] : origins[origin + 1]]
            out[bounds[place] : bounds[place + 1]] = edits.edited(payload, payload_id, copy)


def _distinct(ids: Numbers) -> tuple[Numbers, Numbers]:
    """Return the distinct ids in ascending order, and the place of each id among them."""
    steps = np.diff(ids)
    if (steps < 0).any():
        distinct, places = np.unique(ids, return_inverse=True)
        return distinct, places
    places = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(steps > 0)))
    return ids[np.concatenate((np.ones(1, dtype=np.bool_), steps > 0))], places
