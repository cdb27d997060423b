"""Multiplicity: how often each payload occurs, built with integers to the asked share of copies.

Payloads are numbered so that those with the most copies come first; neighbours
with equally many form a class. A few classes describe any number of payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.errors import DatasetError, PlanError

# Ordinals are multiplied by numbers of objects in 64-bit integers.
GREATEST_OBJECTS: Final = 3_037_000_499
GREATEST_LOGICAL_BYTES: Final = 1 << 60

LengthsOf = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]

_IDS_AT_ONCE: Final = 1 << 16


class Class(NamedTuple):
    """Payloads with equally many copies: ``occurrences`` each, the first one counted."""

    occurrences: int
    payloads: int


class Lengths:
    """The lengths of the first payloads, and their sums: by a formula, or from a table.

    Parameters
    ----------
    fixed_bytes
        The one length of all payloads, or None.
    lengths_of
        Tells the lengths of given ids; asked once for each id.
    needed_bytes
        Payloads are counted until their sum is above this.
    available
        How many payloads there are, None if there is no end to them.
    """

    def __init__(
        self,
        fixed_bytes: int | None,
        lengths_of: LengthsOf,
        needed_bytes: int,
        available: int | None,
    ) -> None:
        self.fixed_bytes = fixed_bytes
        self._ends = np.empty(0, dtype=np.int64)
        if fixed_bytes is None:
            self._ends = _running_sum(lengths_of, needed_bytes, available)
            self.count = len(self._ends)
        else:
            enough = needed_bytes // fixed_bytes + 1
            self.count = enough if available is None else min(enough, available)

    def sum_bytes(self, payloads: int) -> int:
        """Return the sum of the lengths of the first payloads."""
        if self.fixed_bytes is not None:
            return payloads * self.fixed_bytes
        return int(self._ends[payloads - 1]) if payloads else 0

    def within(self, limit_bytes: int) -> int:
        """Return how many of the first payloads have a sum of at most ``limit_bytes``."""
        if self.fixed_bytes is not None:
            return min(limit_bytes // self.fixed_bytes, self.count)
        return int(np.searchsorted(self._ends, limit_bytes, side="right"))

    def least_bytes(self, payloads: int) -> int:
        """Return the length of the shortest of the first payloads."""
        if self.fixed_bytes is not None:
            return self.fixed_bytes
        return int(np.diff(self._ends[:payloads], prepend=0).min())

    def of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the length of each id; int64, same shape."""
        if self.fixed_bytes is not None:
            return np.full(ids.shape, self.fixed_bytes, dtype=np.int64)
        before = self._ends[ids - 1]
        before[ids == 0] = 0
        return self._ends[ids] - before


def build_classes(spec: DatasetSpec, lengths: Lengths) -> tuple[Class, ...]:
    """Return the classes of a dataset, those with the most copies first.

    The duplicates' share of all bytes is the grade, rounded down to whole
    objects.

    Raises
    ------
    PlanError
        If grade, multiplicity and sizes can't be had together.
    DatasetError
        If the source has too few distinct payloads.
    """
    if spec.logical_bytes > GREATEST_LOGICAL_BYTES:
        raise PlanError(
            f"{spec.logical_bytes} logical bytes are too many; "
            f"{GREATEST_LOGICAL_BYTES} are the most"
        )
    unique_limit = spec.logical_bytes * (100 - spec.grade_percent) // 100
    if spec.grade_percent and lengths.fixed_bytes is not None:
        # Whole objects: what is no duplicate is unique, so the total is reached to the object.
        objects = spec.logical_bytes // lengths.fixed_bytes
        unique_limit = (objects - objects * spec.grade_percent // 100) * lengths.fixed_bytes
    unique = lengths.within(unique_limit)
    if unique >= lengths.count and lengths.sum_bytes(lengths.count) < unique_limit:
        raise DatasetError(_too_few(spec, lengths, unique_limit))
    if unique == 0:
        raise PlanError(
            f"{spec.logical_bytes} logical bytes at grade {spec.grade_percent} hold no whole "
            f"object of {spec.object_bytes} bytes; raise logical_size"
        )
    if spec.grade_percent == 0:
        return (Class(1, unique),)
    copies_bytes = _copies_bytes(spec, lengths, unique)
    if copies_bytes < lengths.sum_bytes(1):
        raise PlanError(_no_copy(spec, lengths, unique, copies_bytes))
    if spec.multiplicity == "equal":
        return _equal(lengths, unique, copies_bytes)
    if spec.multiplicity == "zipf":
        return _zipf(lengths, unique, copies_bytes)
    if isinstance(spec.multiplicity, str):
        raise PlanError(
            f"unknown multiplicity {spec.multiplicity!r}; known: equal, zipf, or a histogram"
        )
    return _histogram(spec, spec.multiplicity, lengths, unique, copies_bytes)


def sum_bytes(classes: tuple[Class, ...], lengths: Lengths) -> int:
    """Return the sum of the lengths of all objects."""
    unique = sum(one.payloads for one in classes)
    return lengths.sum_bytes(unique) + _bytes_of_copies(classes, lengths)


def _no_copy(spec: DatasetSpec, lengths: Lengths, unique: int, copies_bytes: int) -> str:
    if lengths.fixed_bytes is None:
        first_bytes = lengths.sum_bytes(1)
        return (
            f"a grade of {spec.grade_percent} % leaves {copies_bytes} bytes for copies, and the "
            f"first object has {first_bytes}; raise logical_size to about "
            f"{-(-100 * first_bytes // spec.grade_percent)} bytes"
        )
    least = -(-100 // spec.grade_percent)
    return (
        f"a grade of {spec.grade_percent} % needs {least} objects, that is a logical_size of "
        f"about {least * spec.object_bytes} bytes; the dataset has {unique}"
    )


def _copies_bytes(spec: DatasetSpec, lengths: Lengths, unique: int) -> int:
    if lengths.fixed_bytes is not None:
        objects = spec.logical_bytes // lengths.fixed_bytes
        return objects * spec.grade_percent // 100 * lengths.fixed_bytes
    return lengths.sum_bytes(unique) * spec.grade_percent // (100 - spec.grade_percent)


def _equal(lengths: Lengths, unique: int, copies_bytes: int) -> tuple[Class, ...]:
    rounds, rest_bytes = divmod(copies_bytes, lengths.sum_bytes(unique))
    more = lengths.within(rest_bytes)
    return _without_empty((Class(rounds + 2, more), Class(rounds + 1, unique - more)))


def _zipf(lengths: Lengths, unique: int, copies_bytes: int) -> tuple[Class, ...]:
    """Give payload n (from 1) ``scale // n`` copies, with the greatest scale that fits."""

    def classes(scale: int) -> list[Class]:
        found, done = [], 0
        while done < unique:
            copies = scale // (done + 1)
            last = min(scale // copies, unique) if copies else unique
            found.append(Class(copies + 1, last - done))
            done = last
        return found

    scale = _greatest(lambda n: _bytes_of_copies(classes(n), lengths) <= copies_bytes)
    return _filled_up(classes(scale), lengths, copies_bytes)


def _histogram(
    spec: DatasetSpec,
    pairs: tuple[tuple[int, int], ...],
    lengths: Lengths,
    unique: int,
    copies_bytes: int,
) -> tuple[Class, ...]:
    """Keep the proportions of payloads that have copies; single ones make up the grade."""
    shape = sorted((pair for pair in pairs if pair[0] > 1), reverse=True)
    if not shape or any(payloads < 1 for _, payloads in shape):
        raise PlanError(
            "a multiplicity histogram has pairs [occurrences, payloads] with at least one pair "
            "of two or more occurrences, and no empty one"
        )
    repeated = sum(payloads for _, payloads in shape)

    def classes(scale: int) -> list[Class]:
        found, before, done = [], 0, 0
        for occurrences, payloads in shape:
            before += payloads
            # Rounded from running sums, so that the classes add up to the scale.
            last = scale * before // repeated
            found.append(Class(occurrences, last - done))
            done = last
        return [*found, Class(1, unique - done)]

    scale = _greatest(
        lambda n: n <= unique and _bytes_of_copies(classes(n), lengths) <= copies_bytes
    )
    if scale == unique and _bytes_of_copies(classes(scale), lengths) < copies_bytes * 99 // 100:
        most = 99 - 100 * repeated // sum(o * p for o, p in shape)
        few = (
            f"{unique} payloads are too few for its proportions; raise logical_size"
            if spec.grade_percent <= most
            else f"about {most} % is the most"
        )
        raise PlanError(
            f"a grade of {spec.grade_percent} % can't be had with this multiplicity, even when "
            f"every payload has copies: {few}"
        )
    if scale == 0:
        raise PlanError(
            f"the copies of this dataset have {copies_bytes} bytes, and no payload of this "
            "multiplicity has so few; raise logical_size, or the grade"
        )
    return _filled_up(classes(scale), lengths, copies_bytes)


def _filled_up(classes: list[Class], lengths: Lengths, copies_bytes: int) -> tuple[Class, ...]:
    """Give the first payloads one copy more each, until the copies' bytes are reached."""
    more = lengths.within(copies_bytes - _bytes_of_copies(classes, lengths))
    found = []
    for occurrences, payloads in classes:
        raised = min(more, payloads)
        found += [Class(occurrences + 1, raised), Class(occurrences, payloads - raised)]
        more -= raised
    return _without_empty(tuple(found))


def _bytes_of_copies(classes: Iterable[Class], lengths: Lengths) -> int:
    total_bytes = done = 0
    for occurrences, payloads in classes:
        of_class = lengths.sum_bytes(done + payloads) - lengths.sum_bytes(done)
        total_bytes += (occurrences - 1) * of_class
        done += payloads
    return total_bytes


def _without_empty(classes: tuple[Class, ...]) -> tuple[Class, ...]:
    return tuple(one for one in classes if one.payloads)


def _greatest(fits: Callable[[int], bool]) -> int:
    """Return the greatest number that fits, where all smaller ones do; 0 always does."""
    above = 1
    while fits(above):
        above *= 2
    least, above = above // 2, above
    while above - least > 1:
        middle = (least + above) // 2
        least, above = (middle, above) if fits(middle) else (least, middle)
    return least


def _running_sum(
    lengths_of: LengthsOf, needed_bytes: int, available: int | None
) -> npt.NDArray[np.int64]:
    parts: list[npt.NDArray[np.int64]] = []
    start = total_bytes = 0
    while total_bytes <= needed_bytes and (available is None or start < available):
        stop = start + _IDS_AT_ONCE
        stop = stop if available is None else min(stop, available)
        ends = np.cumsum(lengths_of(np.arange(start, stop, dtype=np.int64))) + total_bytes
        parts.append(ends)
        total_bytes, start = int(ends[-1]), stop
    if not parts:
        return np.empty(0, dtype=np.int64)
    ends = np.concatenate(parts)
    return ends[: int(np.searchsorted(ends, needed_bytes, side="right")) + 1]


def _too_few(spec: DatasetSpec, lengths: Lengths, needed_bytes: int) -> str:
    there = lengths.sum_bytes(lengths.count)
    possible = there * 100 // (100 - spec.grade_percent)
    what = f"source {spec.source!r}" if spec.source else f"the corpus of {spec.payload}"
    return (
        f"{what} has {there} unique bytes in {lengths.count} distinct objects, the dataset needs "
        f"{needed_bytes}; take a logical_size of at most {possible} at grade "
        f"{spec.grade_percent}, or set 'vary = true' where the family offers it"
    )
