"""A dataset: a stream of objects that is made when it is asked for, and never held in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.datasets.catalogue import PAYLOADS
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.sequence import Sequence, build_sequence
from deduplab.errors import PlanError
from deduplab.model import DatasetSpec
from deduplab.registry import unknown_name
from deduplab.units import MIB

GREATEST_OBJECT_BYTES: Final = 256 * MIB
KEY_DIGITS: Final = 11

_KEY_PREFIX: Final = re.compile(r"^[a-z][a-z0-9_-]{0,15}$")
# Copies of smaller objects are made many at a time, by way of a buffer that stays in the cache.
_SMALL_OBJECT_BYTES: Final = 16 * 1024
_TILE_BYTES: Final = MIB
_IDS_AHEAD: Final = 4096


class Dataset:
    """Objects by specification: the same bytes each time, on every machine.

    Attributes
    ----------
    spec
        What was asked for.
    objects
        How many objects there are.
    logical_bytes
        The sum of their payloads' lengths in bytes; keys are not included.
    """

    def __init__(self, spec: DatasetSpec, sequence: Sequence, payloads: Payloads) -> None:
        self.spec = spec
        self.objects = sequence.objects
        self.logical_bytes = sequence.objects * spec.object_bytes
        self._sequence = sequence
        self._payloads = payloads

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        """Yield all objects in insertion order, in batches of whole objects.

        Every batch of one iteration uses the same buffer, so it is valid only
        until the next one is asked for.

        Parameters
        ----------
        batch_bytes
            Most logical bytes a batch; a batch has one object at least.

        Raises
        ------
        PlanError
            If ``batch_bytes`` is not at least 1.
        DatasetError
            If the source of the data can't be read any more.
        """
        if batch_bytes < 1:
            raise PlanError(f"a batch has at least one byte, not {batch_bytes}")
        size_bytes = self.spec.object_bytes
        at_once = min(max(1, batch_bytes // size_bytes), self.objects)
        buffer = np.empty(at_once * size_bytes, dtype=np.uint8).data
        writer = _Writer(self._payloads, at_once)
        offsets = np.arange(at_once + 1, dtype=np.int64) * size_bytes
        start = 0
        for ids in self._ids(at_once):
            stop = start + len(ids)
            data = buffer[: len(ids) * size_bytes]
            writer.write(ids, data)
            yield Batch(self.keys(start, stop), data.toreadonly(), offsets[: len(ids) + 1])
            start = stop

    def _ids(self, at_once: int) -> Iterator[npt.NDArray[np.int64]]:
        """Yield all payload ids in order, ``at_once`` at a time, computed many at a time."""
        ahead = -(-_IDS_AHEAD // at_once) * at_once
        for start in range(0, self.objects, ahead):
            ordinals = np.arange(start, min(start + ahead, self.objects), dtype=np.int64)
            ids = self._sequence.payload_ids(ordinals)
            for first in range(0, len(ids), at_once):
                yield ids[first : first + at_once]

    def payload(self, ordinal: int) -> bytes:
        """Return the payload of one object, made anew.

        Raises
        ------
        IndexError
            If there is no such object.
        DatasetError
            If the source of the data can't be read any more.
        """
        if not 0 <= ordinal < self.objects:
            raise IndexError(f"object {ordinal} of {self.objects}")
        out = bytearray(self.spec.object_bytes)
        ids = self._sequence.payload_ids(np.array([ordinal], dtype=np.int64))
        self._payloads.write(ids, memoryview(out))
        return bytes(out)

    def key(self, ordinal: int) -> str:
        """Return the key of one object: the prefix and the ordinal in eleven digits."""
        return f"{self.spec.key_prefix}{ordinal:0{KEY_DIGITS}d}"

    def keys(self, start: int, stop: int) -> list[str]:
        """Return the keys of the objects ``start`` to ``stop - 1``."""
        pattern = f"{self.spec.key_prefix}%0{KEY_DIGITS}d"
        return [pattern % ordinal for ordinal in range(start, stop)]


def build_dataset(spec: DatasetSpec) -> Dataset:
    """Return the dataset of a specification.

    Sources are indexed here; payloads are made later, as they are asked for.

    Raises
    ------
    PlanError
        If the specification is impossible; it says what to change.
    DatasetError
        If the source of the data can't be used.
    """
    if spec.payload not in PAYLOADS:
        raise PlanError(unknown_name("payload", spec.payload, tuple(PAYLOADS)))
    entry = PAYLOADS[spec.payload]
    if spec.placement != "within":
        raise PlanError(
            f"placement {spec.placement!r} is not offered; copies lie 'within' one container"
        )
    if not 1 <= spec.object_bytes <= GREATEST_OBJECT_BYTES:
        raise PlanError(
            f"object_bytes is {spec.object_bytes}; an object has 1 to {GREATEST_OBJECT_BYTES} bytes"
        )
    if not _KEY_PREFIX.match(spec.key_prefix):
        raise PlanError(
            f"key_prefix {spec.key_prefix!r} is not allowed: 1 to 16 of a-z, 0-9, _ and -, "
            "a letter first"
        )
    if entry.needs_source != (spec.source is not None):
        verb = "needs a" if entry.needs_source else "takes no"
        raise PlanError(f"payload {spec.payload!r} {verb} source (a folder or file)")
    sequence = build_sequence(spec)
    return Dataset(spec, sequence, entry.payloads_class()(spec, sequence.unique))


class _Writer:
    """Writes objects with copies among them: what a batch repeats is made once and copied."""

    def __init__(self, payloads: Payloads, at_once: int) -> None:
        self._payloads = payloads
        self._size_bytes = payloads.object_bytes
        self._by_tiles = self._size_bytes < _SMALL_OBJECT_BYTES
        self._tile_objects = max(1, _TILE_BYTES // self._size_bytes)
        tile_bytes = min(self._tile_objects, at_once) * self._size_bytes
        self._tile = np.empty(tile_bytes if self._by_tiles else 0, dtype=np.uint8)

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``."""
        if not self._by_tiles:
            self._write_one_by_one(ids, out)
            return
        for start in range(0, len(ids), self._tile_objects):
            part = ids[start : start + self._tile_objects]
            begin = start * self._size_bytes
            self._write_tile(part, out[begin : begin + len(part) * self._size_bytes])

    def _write_tile(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        distinct, places = _distinct(ids)
        if len(distinct) == len(ids):
            self._payloads.write(ids, out)
            return
        made = self._tile[: len(distinct) * self._size_bytes]
        self._payloads.write(distinct, made.data)
        rows = np.frombuffer(out, dtype=np.uint8).reshape(len(ids), self._size_bytes)
        # "clip" never clips here; it lets take write to its target without a buffer of its own.
        made_rows = made.reshape(len(distinct), self._size_bytes)
        np.take(made_rows, places, axis=0, out=rows, mode="clip")

    def _write_one_by_one(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Make each stretch of new payloads in place, and copy the others from their first."""
        size_bytes = self._size_bytes
        first_places: dict[int, int] = {}
        made = 0
        for place, payload_id in enumerate(ids.tolist()):
            origin = first_places.setdefault(payload_id, place)
            if origin == place:
                continue
            self._make(ids, made, place, out)
            made = place + 1
            source = out[origin * size_bytes : (origin + 1) * size_bytes]
            out[place * size_bytes : made * size_bytes] = source
        self._make(ids, made, len(ids), out)

    def _make(self, ids: npt.NDArray[np.int64], start: int, stop: int, out: memoryview) -> None:
        if start < stop:
            part = out[start * self._size_bytes : stop * self._size_bytes]
            self._payloads.write(ids[start:stop], part)


def _distinct(
    ids: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct ids in ascending order, and the place of each id among them."""
    steps = np.diff(ids)
    if (steps < 0).any():
        distinct, places = np.unique(ids, return_inverse=True)
        return distinct, places
    places = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(steps > 0)))
    return ids[np.concatenate((np.ones(1, dtype=np.bool_), steps > 0))], places
