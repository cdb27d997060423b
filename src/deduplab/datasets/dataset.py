"""A dataset: a stream of objects that is made when it is asked for, and never held in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.catalogue import PAYLOADS, PayloadEntry
from deduplab.datasets.forms import Edits, build_wrapping, check_copies
from deduplab.datasets.later import Later
from deduplab.datasets.multiplicity import Class, Lengths, build_classes, sum_bytes
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.schedule import Part, schedule
from deduplab.datasets.sequence import (
    DealtOut,
    Sequence,
    build_sequence,
    check_grade,
    containers,
)
from deduplab.datasets.writer import Writer
from deduplab.errors import PlanError, unknown_name
from deduplab.record import RecordType

KEY_DIGITS: Final = 11
PLACEMENTS: Final = ("within", "across")
SECOND_CONTAINER: Final = "x"
"""What the keys of the objects in the second container end with."""

_KEY_PREFIX: Final = re.compile(r"[a-z][a-z0-9_-]{0,15}")


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
        Wrapped copies count with the length of their content here, since their
        own is known only when they are made; the manifest has the sum of those.
    content_type
        Media type of a payload, before it is wrapped.
    record_type
        How to take a payload apart; None where copies are not exact, since
        those are no longer what the family promises.
    varied_objects
        How many of the distinct payloads a real corpus did not hold.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        classes: tuple[Class, ...],
        sequence: Sequence,
        payloads: Payloads,
        lengths: Lengths,
    ) -> None:
        self.spec = spec
        self.objects = sequence.objects
        self.content_type = payloads.record_type.content_type
        exact = spec.copies.form == "exact"
        self.record_type: RecordType | None = payloads.record_type if exact else None
        self.varied_objects = payloads.varied(sequence.unique)
        self._sequence = sequence
        self._lengths = lengths
        self._across = isinstance(sequence, DealtOut)
        self._edits: Edits | None = None
        growth_bytes = 0
        if spec.copies.form == "edited":
            self._edits = Edits(spec, lengths.least_bytes(sequence.unique))
            growth_bytes = self._edits.growth_bytes * (sequence.objects - sequence.unique)
        self._writer = Writer(payloads, lengths.fixed_bytes, self._edits)
        self._wrapping = build_wrapping(
            spec, self.content_type, max(one.occurrences for one in classes)
        )
        self.logical_bytes = sum_bytes(classes, lengths) + growth_bytes

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        """Yield all objects in insertion order, in batches of whole objects.

        Every batch of one iteration uses the same buffer, so it is valid only
        until the next one is asked for. All objects of a batch belong to one
        container.

        Parameters
        ----------
        batch_bytes
            Most logical bytes a batch (before wrapping); a batch has one object at least.

        Raises
        ------
        PlanError
            If ``batch_bytes`` is not at least 1.
        DatasetError
            If the source of the data can't be read any more.
        """
        if batch_bytes < 1:
            raise PlanError(f"a batch has at least one byte, not {batch_bytes}")
        start = 0
        mean_bytes = max(1, self.logical_bytes // self.objects)
        buffer = np.empty(0, dtype=np.uint8)
        for part in schedule(self._placed, self.objects, batch_bytes, mean_bytes):
            stop = start + len(part)
            needed_bytes = int(part.lengths.sum())
            if needed_bytes > len(buffer):
                most_bytes = min(batch_bytes, self.logical_bytes)
                buffer = np.empty(max(needed_bytes, most_bytes), dtype=np.uint8)
            data, offsets = self._made(part, buffer)
            second = part.containers is not None and bool(part.containers[0])
            keys = self._named(start, stop, SECOND_CONTAINER if second else "")
            yield Batch(keys, data.toreadonly(), offsets, self.record_type)
            start = stop

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
        part = self._placed(np.array([ordinal], dtype=np.int64))
        data, _ = self._made(part, np.empty(int(part.lengths[0]), dtype=np.uint8))
        return bytes(data)

    def key(self, ordinal: int) -> str:
        """Return the key of one object: the prefix and the ordinal in eleven digits.

        A key that ends with ``x`` belongs to an object of the second container.
        """
        return self.keys(ordinal, ordinal + 1)[0]

    def keys(self, start: int, stop: int) -> list[str]:
        """Return the keys of the objects ``start`` to ``stop - 1``."""
        if not self._across:
            return self._named(start, stop, "")
        places = self._sequence.places(np.arange(start, stop, dtype=np.int64))
        named = self._named(start, stop, "")
        return [
            key + SECOND_CONTAINER if container else key
            for key, container in zip(named, containers(*places).tolist(), strict=True)
        ]

    def near_copies(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell for each of some objects whether it is an earlier payload in another form."""
        if self.spec.copies.form == "exact":
            return np.zeros(stop - start, dtype=np.bool_)
        return self._sequence.places(np.arange(start, stop, dtype=np.int64))[1] > 0

    def _named(self, start: int, stop: int, suffix: str) -> list[str]:
        pattern = f"{self.spec.key_prefix}%0{KEY_DIGITS}d{suffix}"
        return [pattern % ordinal for ordinal in range(start, stop)]

    def _placed(self, ordinals: npt.NDArray[np.int64]) -> Part:
        ids, copies = self._sequence.places(ordinals)
        lengths = self._lengths.of(ids)
        if self._edits is not None:
            lengths = self._edits.lengths(copies, lengths)
        return Part(ids, copies, lengths, containers(ids, copies) if self._across else None)

    def _made(
        self, part: Part, buffer: npt.NDArray[np.uint8]
    ) -> tuple[memoryview, npt.NDArray[np.int64]]:
        offsets = self._writer.write(part, buffer)
        data = buffer[: int(offsets[-1])].data
        if self._wrapping is None:
            return data, offsets
        bounds = offsets.tolist()
        numbers = zip(part.ids.tolist(), part.copies.tolist(), strict=True)
        wrapped = [
            self._wrapping.wrapped(bytes(data[bounds[n] : bounds[n + 1]]), payload_id, copy)
            for n, (payload_id, copy) in enumerate(numbers)
        ]
        np.cumsum([len(one) for one in wrapped], out=offsets[1:])
        return memoryview(b"".join(wrapped)), offsets


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
    _check(spec, entry)
    payloads = entry.payloads_class()(spec)
    natural = spec.sizes.kind == "natural"
    if natural and not payloads.natural_sizes:
        raise PlanError(f"payload {spec.payload!r} has no natural sizes; take a number of bytes")
    fixed_bytes = None if payloads.natural_sizes else payloads.sizes.fixed_bytes
    if spec.skip_bytes:
        payloads = Later(payloads, fixed_bytes)
    lengths = Lengths(fixed_bytes, payloads.lengths, spec.logical_bytes, payloads.available)
    classes = build_classes(spec, lengths)
    sequence = build_sequence(spec, classes, fixed_bytes)
    return Dataset(spec, classes, sequence, payloads, lengths)


def _check(spec: DatasetSpec, entry: PayloadEntry) -> None:
    if spec.placement not in PLACEMENTS:
        raise PlanError(unknown_name("placement", spec.placement, PLACEMENTS))
    if not _KEY_PREFIX.fullmatch(spec.key_prefix):
        raise PlanError(
            f"key_prefix {spec.key_prefix!r} is not allowed: 1 to 16 of a-z, 0-9, _ and -, "
            "a letter first"
        )
    if spec.source is None and entry.source == "needed":
        raise PlanError(f"payload {spec.payload!r} needs a source (a folder or file)")
    if spec.source is not None and entry.source == "none":
        raise PlanError(f"payload {spec.payload!r} takes no source (a folder or file)")
    check_grade(spec)
    check_copies(spec.copies)
