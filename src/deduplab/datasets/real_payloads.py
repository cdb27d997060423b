"""Real payloads: what all families of real data share, an index of distinct objects."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128, xxh3_128_digest

from deduplab.bound.fingerprints import Fingerprints, FingerprintSet, fingerprints
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.extents import SPOOL, Extents
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.source_files import SourceFile, sources_of
from deduplab.datasets.variation import MARK, Marks, whole_characters
from deduplab.errors import DatasetError, PlanError
from deduplab.units import MIB

_WAITING: Final = 1024
_WAITING_BYTES: Final = 4 * MIB


class RealPayloads(Payloads):
    """Payload ``id`` is the id-th distinct object of a source; with ``vary``, there is no end.

    An object that occurred before is left out, so that grade 0 really has no
    copies. Only as much is indexed as the dataset could need: objects until
    their sum reaches its logical bytes, and what it skips. The index takes 16 bytes an
    object, and 24 to 48 more while it is made.

    Attributes
    ----------
    available
        How many distinct objects were found, or None with ``vary``.

    Raises
    ------
    PlanError
        If the source's objects can't have the sizes that are asked for, or can't be varied.
    DatasetError
        If the source can't be read, holds no object, or changes while it is in use.
    """

    # Whether pieces of exactly one length can be cut.
    _takes_fixed: ClassVar[bool] = False
    # Whether payloads are UTF-8, so that a mark must not cut a character in two.
    _is_text: ClassVar[bool] = False
    # How many bytes a variation is longer than the object that it was made of.
    _growth_bytes: int = 0
    # How many bytes at the beginning of an object no mark may overwrite.
    _fixed_head_bytes: int = 0

    def __init__(self, spec: DatasetSpec) -> None:
        self.spec = spec
        super().__init__(spec)
        if spec.sizes.kind not in ("fixed", "natural"):
            raise PlanError(
                f"payload {spec.payload!r} is real data and takes no {spec.sizes.kind} sizes; "
                "give object_size alone, or sizes = 'natural'"
            )
        if spec.object_bytes < self.least_object_bytes:
            raise PlanError(
                f"object_bytes is {spec.object_bytes}; {spec.payload} needs at least "
                f"{self.least_object_bytes}"
            )
        self._marks = Marks(spec.seed)
        self._extents = Extents()
        self._seen = FingerprintSet()
        self._waiting: list[tuple[bytes, int]] = []
        self._waiting_bytes = 0
        self._gaps = array("I")
        self._needed_bytes = spec.logical_bytes + spec.skip_bytes
        self._sources = sources_of(spec)
        self._index()
        self._finish()

    @abstractmethod
    def _index(self) -> None:
        """Find objects, and offer each, until ``_enough`` is true or there are no more."""

    @abstractmethod
    def _nothing(self) -> str:
        """Say why nothing was found, and what to change, behind the names of the sources."""

    @property
    def natural_sizes(self) -> bool:  # type: ignore[override]
        """Whether lengths are those of the source; pieces of one length are not."""
        return not (self._takes_fixed and self.spec.sizes.kind == "fixed")

    @property
    def found(self) -> int:
        """How many distinct objects were found."""
        return len(self._extents)

    @property
    def available_bytes(self) -> int:
        """The sum of the lengths of the distinct objects that were found, in bytes."""
        return self._extents.total_bytes

    @property
    def _enough(self) -> bool:
        return self.available_bytes >= self._needed_bytes

    def varied(self, unique: int) -> int:
        """Return how many of the first payloads are variations that the source does not hold."""
        return max(0, unique - self.found)

    def lengths(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the length in bytes of the payload with each id; int64, same shape."""
        growths = np.where(ids >= self.found, self._growth_bytes, 0)
        return self._extents.lengths(ids % self.found) + growths

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        objects = ids % self.found
        lengths = self._extents.lengths(objects)
        varied = np.flatnonzero(ids >= self.found)
        ends = np.cumsum(lengths)
        if not len(varied):
            self._extents.copy(objects, np.zeros_like(objects), lengths, ends - lengths, out)
            return
        growths = np.where(ids >= self.found, self._growth_bytes, 0)
        ends += np.cumsum(growths)
        starts = ends - lengths - growths
        if self._growth_bytes:
            self._copy_apart(objects, lengths, starts, growths, out)
        else:
            self._extents.copy(objects, np.zeros_like(objects), lengths, starts, out)
        self._edit(objects[varied], ids[varied] - self.found + 1, starts[varied], out)

    def _copy_apart(
        self,
        objects: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        growths: npt.NDArray[np.int64],
        out: memoryview,
    ) -> None:
        """Copy objects with a gap in each, where it grows."""
        gaps = self._gaps_of(objects)
        zeros = np.zeros_like(objects)
        self._extents.copy(
            np.repeat(objects, 2),
            np.column_stack((zeros, gaps)).reshape(-1),
            np.column_stack((gaps, lengths - gaps)).reshape(-1),
            np.column_stack((starts, starts + gaps + growths)).reshape(-1),
            out,
        )

    def _gaps_of(self, objects: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where in each object a variation grows."""
        return np.frombuffer(self._gaps, dtype=np.uint32)[objects].astype(np.int64)

    def _edit(
        self,
        objects: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        out: memoryview,
    ) -> None:
        """Turn copies of objects, which begin at ``starts``, into the variations ``numbers``."""
        lengths = self._extents.lengths(objects)
        marks, length_bytes = self._marks, self._marks.length_bytes
        places = marks.places(numbers, lengths, self._fixed_head_bytes) + starts
        for number, place, start, stop in zip(
            *(column.tolist() for column in (numbers, places, starts, starts + lengths)),
            strict=True,
        ):
            if self._is_text:
                text = out[start:stop]
                first, last = whole_characters(text, place - start, place - start + length_bytes)
                text[first:last] = marks.text(number).ljust(last - first, b".")
            else:
                out[place : place + length_bytes] = marks.text(number)

    def _bears_marks(self, data: bytes | memoryview) -> bool:
        """Tell whether an object can be varied: long enough, and without a mark of its own."""
        return len(data) >= self._marks.least_object_bytes and bytes(data).find(MARK) < 0

    def _offer_pieces(
        self, number: int, base: int, data: memoryview, starts: Sequence[int], ends: Sequence[int]
    ) -> None:
        """Take those of some pieces of a file that are new; ``base`` is where ``data`` begins."""
        new = self._seen.add(fingerprints(data, starts, ends))
        for place in np.flatnonzero(new).tolist():
            start, stop = starts[place], ends[place]
            if self.spec.vary and not self._bears_marks(data[start:stop]):
                continue
            self._extents.add(number, base + start, stop - start)
            if self._enough:
                return

    def _offer_data(self, data: bytes, gap: int = 0) -> None:
        """Take an object into the spool if it is new; a variation of it grows at ``gap``."""
        self._waiting.append((data, gap))
        self._waiting_bytes += len(data)
        full = len(self._waiting) >= _WAITING or self._waiting_bytes >= _WAITING_BYTES
        if full or self.available_bytes + self._waiting_bytes >= self._needed_bytes:
            self._take_waiting()

    def _take_waiting(self) -> None:
        """Tell which of the objects that wait are new: many at once, which is far quicker."""
        digests = b"".join(xxh3_128_digest(data) for data, _ in self._waiting)
        new = np.flatnonzero(self._seen.add(_marks_of(digests))) if digests else ()
        for place in new:
            if self._enough:
                break
            data, gap = self._waiting[place]
            spool = self._extents.spool
            self._extents.add(SPOOL, spool.length_bytes, len(data))
            spool.append(data)
            if self._growth_bytes:
                self._gaps.append(gap)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _offer_scanned(self, scan: ObjectScan, number: int, offset: int) -> bool:
        """Take an object that was read part by part if it is new, and tell whether it was."""
        if not scan.length_bytes or not self._is_new(scan.digest()):
            return False
        if self.spec.vary and (scan.marked or scan.length_bytes < self._marks.least_object_bytes):
            return False
        self._extents.add(number, offset, scan.length_bytes)
        return True

    def _is_new(self, digest: bytes) -> bool:
        return bool(self._seen.add(_marks_of(digest))[0])

    def _finish(self) -> None:
        """Make the index ready for use."""
        self._take_waiting()
        del self._seen
        if not self.found:
            names = ", ".join(repr(SourceFile(path, 0, 0, 0).name) for path in self._sources)
            raise DatasetError(f"source {names} {self._nothing()}")
        self._extents.freeze()
        self.available = None if self.spec.vary else self.found


class ObjectScan:
    """What is to be known of an object that is too long to be held in memory.

    Attributes
    ----------
    length_bytes
        How much was seen.
    marked
        Whether the beginning of a mark was among it; looked for only ``for_marks``.
    """

    def __init__(self, *, for_marks: bool) -> None:
        self._for_marks = for_marks
        self.length_bytes = 0
        self.marked = False
        self._hash = xxh3_128()
        self._tail = b""

    def update(self, data: bytes | memoryview) -> None:
        """See the next part."""
        self.length_bytes += len(data)
        self._hash.update(data)
        if not self._for_marks:
            return
        seen = self._tail + bytes(data)
        self.marked = self.marked or MARK in seen
        self._tail = seen[1 - len(MARK) :]

    def digest(self) -> bytes:
        """Return the fingerprint of what was seen."""
        return bytes(self._hash.digest())


def _marks_of(digests: bytes) -> Fingerprints:
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64)
