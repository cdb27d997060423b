"""The proof of a dataset: its manifest, counted from the bytes that it really consists of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.bound.fingerprints import Fingerprints, FingerprintSet, fingerprints
from deduplab.bound.grains import GRAINS
from deduplab.bound.known import KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream_scan import StreamScan, stream_scan
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.datasets.dataset import SECOND_CONTAINER
from deduplab.datasets.digest import StreamDigest
from deduplab.datasets.sizes import GREATEST_OBJECT_BYTES
from deduplab.errors import DatasetError
from deduplab.units import MIB

DEFAULT_BATCH_BYTES: Final = 8 * MIB


# Objects up to this length are one chunk at every grain.
_NEVER_CUT_BYTES: Final = min(grain.never_cut_bytes for grain in GRAINS.values())


class Provable(Protocol):
    """What a proof asks of a dataset; a dataset has it, and so do its files."""

    spec: DatasetSpec
    objects: int
    varied_objects: int

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        """Yield all objects in insertion order."""

    def near_copies(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell for each of some objects whether it was planted as a near duplicate."""


def prove(dataset: Provable, batch_bytes: int = DEFAULT_BATCH_BYTES) -> Manifest:
    """Stream through a dataset once and count what is there.

    Nothing is taken from the specification: objects and chunks are told apart
    by 128-bit fingerprints of their bytes, by the code of ``deduplab scan``. Memory
    grows by about 48 bytes an object, and, if objects are long enough to be cut (more
    than 1024 bytes), by 24 to 48 bytes for each distinct object and by 40 for each
    distinct chunk at each grain.

    Raises
    ------
    DatasetError
        If the source of the data can't be read any more.
    """
    digest = StreamDigest()
    objects = _Objects(dataset.objects)
    planted = _Planted()
    seen = _LateSet()
    # Copies are told apart before, so no cut has to be remembered.
    grains = stream_scan(ScanSettings(grains=tuple(GRAINS), compress=False), known=KnownCuts(0))
    for batch in dataset.batches(batch_bytes):
        digest.update(batch)
        bounds = batch.offsets.tolist()
        marks = fingerprints(batch.data, bounds[:-1], bounds[1:])
        lengths = np.diff(batch.offsets)
        held = np.flatnonzero(lengths)
        if seen.started or int(lengths.max()) > _NEVER_CUT_BYTES:
            # Copies of earlier objects hold no new chunk, so they need not be cut again.
            held = np.flatnonzero(seen.add(objects.marks, marks) & (lengths > 0))
        grains.add_whole(batch.data, batch.offsets[held], lengths[held], marks[held])
        near = dataset.near_copies(objects.count, objects.count + len(batch))
        planted.add(batch, near)
        objects.add(batch, marks)
    del seen
    return objects.manifest(dataset, grains, planted, digest.hexdigest())


class _Planted:
    """What the dataset planted: bytes by container, and copies in another form."""

    def __init__(self) -> None:
        self.container_bytes = [0, 0]
        self.near_objects = 0
        self.near_bytes = 0

    def add(self, batch: Batch, near: npt.NDArray[np.bool_]) -> None:
        second = batch.keys[0].endswith(SECOND_CONTAINER)
        self.container_bytes[second] += batch.logical_bytes
        self.near_objects += int(np.count_nonzero(near))
        self.near_bytes += int(np.diff(batch.offsets)[near].sum())


class _LateSet:
    """A set of fingerprints that is filled with all earlier objects when it is first used."""

    def __init__(self) -> None:
        self._set: FingerprintSet | None = None

    @property
    def started(self) -> bool:
        return self._set is not None

    def add(self, earlier: Fingerprints, marks: Fingerprints) -> npt.NDArray[np.bool_]:
        if self._set is None:
            self._set = FingerprintSet()
            self._set.add(earlier)
        return self._set.add(marks)


class _Copies(NamedTuple):
    """What the fingerprints of all objects say: distances in bytes, one for each copy."""

    unique_objects: int
    unique_bytes: int
    distances_bytes: npt.NDArray[np.int64]
    multiplicity: tuple[tuple[int, int], ...]


class _Objects:
    """Fingerprints and lengths of all objects so far, in insertion order."""

    def __init__(self, capacity: int) -> None:
        self.count = 0
        # One row for each half of the fingerprints, so that sorting copies neither.
        self._halves = np.empty((2, capacity), dtype=np.uint64)
        self._lengths = np.empty(capacity, dtype=np.uint32)

    @property
    def marks(self) -> Fingerprints:
        return self._halves[:, : self.count].T

    def add(self, batch: Batch, marks: Fingerprints) -> None:
        stop = self.count + len(batch)
        if stop > len(self._lengths) or len(marks) != len(batch):
            raise DatasetError(
                f"the dataset yields more objects than the {len(self._lengths)} it declares"
            )
        lengths = np.diff(batch.offsets)
        if int(lengths.max(initial=0)) > GREATEST_OBJECT_BYTES:
            raise DatasetError(
                f"an object has {int(lengths.max())} bytes; {GREATEST_OBJECT_BYTES} are the most"
            )
        self._halves[:, self.count : stop] = marks.T
        self._lengths[self.count : stop] = lengths
        self.count = stop

    def copies(self) -> _Copies:
        """Sort the fingerprints, so that copies stand behind their first, in insertion order."""
        copies, before, multiplicity = self._pairs()
        lengths = self._lengths[: self.count]
        ends = np.cumsum(lengths, dtype=np.int64)
        distances = ends[copies]
        distances -= lengths[copies]
        distances -= ends[before]
        return _Copies(
            unique_objects=self.count - len(copies),
            unique_bytes=int(lengths.sum(dtype=np.int64) - lengths[copies].sum(dtype=np.int64)),
            distances_bytes=distances,
            multiplicity=multiplicity,
        )

    def _pairs(
        self,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[tuple[int, int], ...]]:
        """Return the place of each copy, that of the copy before it, and the multiplicities."""
        low, high = self._halves[:, : self.count]
        order = np.lexsort((low, high))
        is_copy = np.ones(max(self.count - 1, 0), dtype=np.bool_)
        for half in (low, high):
            ordered = half[order]
            is_copy &= ordered[1:] == ordered[:-1]
        firsts = np.flatnonzero(np.concatenate(([self.count > 0], ~is_copy)))
        occurrences = np.diff(firsts, append=self.count)
        found = zip(*np.unique(occurrences, return_counts=True), strict=True)
        multiplicity = tuple((int(number), int(payloads)) for number, payloads in found)
        return order[1:][is_copy], order[:-1][is_copy], multiplicity

    def manifest(
        self, dataset: Provable, grains: StreamScan, planted: _Planted, digest: str
    ) -> Manifest:
        copies = self.copies()
        return Manifest(
            spec=dataset.spec,
            objects=self.count,
            logical_bytes=int(self._lengths[: self.count].sum(dtype=np.int64)),
            unique_objects=copies.unique_objects,
            unique_bytes=copies.unique_bytes,
            grain_unique_bytes={
                name: tally.rows.figures().unique_bytes for name, tally in grains.finish().items()
            },
            distance_bytes=_least_median_greatest(copies.distances_bytes),
            digest=digest,
            multiplicity=copies.multiplicity,
            container_bytes=tuple(planted.container_bytes),
            near_objects=planted.near_objects,
            near_bytes=planted.near_bytes,
            varied_objects=dataset.varied_objects,
        )


def _least_median_greatest(values: npt.NDArray[np.int64]) -> tuple[int, int, int] | None:
    """Return three of the values (of two medians the lower one), or None if there are none."""
    if not len(values):
        return None
    middle = (len(values) - 1) // 2
    return int(values.min()), int(np.partition(values, middle)[middle]), int(values.max())
