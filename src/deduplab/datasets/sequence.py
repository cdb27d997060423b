"""Sequences: which payload stands at which position, for any position, without a table.

A sequence maps ordinals (0 to objects - 1, in insertion order) to payload ids
and to the number of the copy: 0 is the payload itself, 1 its first copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.multiplicity import GREATEST_OBJECTS, Class
from deduplab.datasets.permutation import Permutation
from deduplab.errors import PlanError

Ordinals = npt.NDArray[np.int64]
PayloadIds = npt.NDArray[np.int64]
CopyNumbers = npt.NDArray[np.int64]

CONTAINERS: Final = 2


class Sequence(ABC):
    """Maps ordinals to payload ids; ``unique`` is how many payloads there are."""

    def __init__(self, objects: int, unique: int) -> None:
        self.objects = objects
        self.unique = unique

    @abstractmethod
    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""

    def payload_ids(self, ordinals: Ordinals) -> PayloadIds:
        """Return the payload id at each ordinal; int64, same shape."""
        return self.places(ordinals)[0]


class Adjacent(Sequence):
    """Copies stand next to each other; without copies every payload stands once, in order."""

    def __init__(self, classes: tuple[Class, ...]) -> None:
        occurrences = np.array([one.occurrences for one in classes], dtype=np.int64)
        payloads = np.array([one.payloads for one in classes], dtype=np.int64)
        super().__init__(int((occurrences * payloads).sum()), int(payloads.sum()))
        self._occurrences = occurrences
        self._first_ids = np.cumsum(payloads) - payloads
        self._ends = np.cumsum(occurrences * payloads)
        self._starts = self._ends - occurrences * payloads

    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""
        if self.objects == self.unique:
            return ordinals, np.zeros_like(ordinals)
        of_class = np.searchsorted(self._ends, ordinals, side="right")
        occurrences = self._occurrences[of_class]
        ids, copies = np.divmod(ordinals - self._starts[of_class], occurrences)
        return ids + self._first_ids[of_class], copies


class Shuffled(Sequence):
    """The same objects as :class:`Adjacent`, in a seeded order that is uniform to the eye."""

    def __init__(self, classes: tuple[Class, ...], seed: int) -> None:
        self._adjacent = Adjacent(classes)
        super().__init__(self._adjacent.objects, self._adjacent.unique)
        self._permutation = Permutation(self.objects, seed)

    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""
        return self._adjacent.places(self._permutation(ordinals))


class Spaced(Sequence):
    """Exactly ``between`` objects stand between a copy and the copy before it.

    Payloads form groups of ``between + 1`` that are written round-robin, one
    group after the other. Payloads that do not fill a group stay single, at the
    end.
    """

    def __init__(self, objects: int, unique: int, between: int) -> None:
        super().__init__(objects, unique)
        self._period = between + 1
        self._groups = unique // self._period
        self._grouped = objects - unique % self._period

    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""
        group = ordinals * self._groups // self._grouped
        group_start = -(-group * self._grouped // self._groups)
        copies, member = np.divmod(ordinals - group_start, self._period)
        in_group = ordinals < self._grouped
        single = self.unique - self.objects + ordinals
        ids = np.where(in_group, group * self._period + member, single)
        return ids, np.where(in_group, copies, 0)


class InTurn(Sequence):
    """Several sequences one after another, each with payloads of its own."""

    def __init__(self, parts: tuple[Sequence, ...]) -> None:
        super().__init__(sum(p.objects for p in parts), sum(p.unique for p in parts))
        self._parts = parts
        self._ends = np.array(list(accumulate(p.objects for p in parts)), dtype=np.int64)
        self._first_ids = [0, *accumulate(part.unique for part in parts)]

    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""
        of_part = np.searchsorted(self._ends, ordinals, side="right")
        ids, copies = np.empty_like(ordinals), np.empty_like(ordinals)
        for number, part in enumerate(self._parts):
            mine = of_part == number
            start = int(self._ends[number]) - part.objects
            ids[mine], copies[mine] = part.places(ordinals[mine] - start)
            ids[mine] += self._first_ids[number]
        return ids, copies


class DealtOut(Sequence):
    """Another sequence whose copies are dealt out to two containers in turn.

    The order of objects is kept to within ``window`` objects: of each window
    those of the first container are written first, so that either gets batches.
    """

    def __init__(self, inner: Sequence, window: int) -> None:
        super().__init__(inner.objects, inner.unique)
        self._inner = inner
        self._window = window

    def places(self, ordinals: Ordinals) -> tuple[PayloadIds, CopyNumbers]:
        """Return payload id and copy number at each ordinal; int64, same shape."""
        windows, of_window = np.unique(ordinals // self._window, return_inverse=True)
        ids, copies = np.empty_like(ordinals), np.empty_like(ordinals)
        for number, window in enumerate(windows.tolist()):
            start = window * self._window
            stop = min(start + self._window, self.objects)
            all_ids, all_copies = self._inner.places(np.arange(start, stop, dtype=np.int64))
            order = np.argsort(containers(all_ids, all_copies), kind="stable")
            mine = of_window == number
            chosen = order[ordinals[mine] - start]
            ids[mine], copies[mine] = all_ids[chosen], all_copies[chosen]
        return ids, copies


def containers(ids: PayloadIds, copies: CopyNumbers) -> npt.NDArray[np.int64]:
    """Return the container (0 or 1) that a copy is dealt to: copies of a payload take turns."""
    return (ids + copies) % CONTAINERS


def build_sequence(
    spec: DatasetSpec, classes: tuple[Class, ...], fixed_bytes: int | None
) -> Sequence:
    """Return the sequence that a specification asks for.

    Parameters
    ----------
    classes
        How often each payload occurs.
    fixed_bytes
        The one length of all objects, None if lengths differ.

    Raises
    ------
    PlanError
        If grade, distance and sizes can't be had together; it says what to change.
    """
    ordered = _in_order(spec, classes, fixed_bytes)
    if ordered.objects > GREATEST_OBJECTS:
        raise PlanError(
            f"the dataset has {ordered.objects} objects; {GREATEST_OBJECTS} are the most: "
            "lower logical_size or raise object_size"
        )
    if spec.placement == "within":
        return ordered
    if not isinstance(spec.distance, str):
        raise PlanError(
            "placement 'across' deals copies out to two containers, which changes their exact "
            "distances; take distance 'adjacent' or 'shuffled' with it"
        )
    return DealtOut(ordered, max(64, _WINDOW_BYTES // spec.object_bytes))


_WINDOW_BYTES: Final = 4 * 1024 * 1024


def _in_order(spec: DatasetSpec, classes: tuple[Class, ...], fixed_bytes: int | None) -> Sequence:
    if spec.distance in ("none", "adjacent"):
        return Adjacent(classes)
    if spec.distance == "shuffled":
        return Shuffled(classes, spec.seed)
    if isinstance(spec.distance, str):
        raise PlanError(
            f"unknown distance {spec.distance!r}; write 'none' (grade 0), 'adjacent', "
            "'shuffled', or a number of bytes"
        )
    if fixed_bytes is None or spec.multiplicity != "equal":
        raise PlanError(
            f"an exact distance ({spec.distance} bytes) needs objects of one size and multiplicity "
            "'equal'; take distance 'adjacent' or 'shuffled' with other ones"
        )
    distances = spec.distance if isinstance(spec.distance, tuple) else (spec.distance,)
    objects = sum(one.occurrences * one.payloads for one in classes)
    unique = sum(one.payloads for one in classes)
    copies = zip(_shares(objects, len(distances)), _shares(unique, len(distances)), strict=True)
    if any(of_part <= distinct for of_part, distinct in copies):
        raise PlanError(
            f"{objects - unique} copies are too few for each of {len(distances)} distances to "
            "have one; raise logical_size or the grade, or take fewer distances"
        )
    return InTurn(
        tuple(
            _spaced(distance, fixed_bytes, objects=objects_part, unique=unique_part)
            for distance, objects_part, unique_part in zip(
                distances,
                _shares(objects, len(distances)),
                _shares(unique, len(distances)),
                strict=True,
            )
        )
    )


def _shares(whole: int, parts: int) -> list[int]:
    return [whole * (part + 1) // parts - whole * part // parts for part in range(parts)]


def _spaced(distance_bytes: int, object_bytes: int, *, objects: int, unique: int) -> Spaced:
    between = _objects_between(distance_bytes, object_bytes)
    if between + 1 > unique:
        raise PlanError(
            f"a distance of {distance_bytes} bytes needs {between + 1} different payloads of "
            f"{object_bytes} bytes, the dataset has {unique}; take a distance of at most "
            f"{(unique - 1) * object_bytes} bytes, or a greater logical_size"
        )
    return Spaced(objects, unique, between)


def check_grade(spec: DatasetSpec) -> None:
    """Refuse a grade that is out of range or does not agree with the distance.

    Raises
    ------
    PlanError
        It says what to change.
    """
    if not 0 <= spec.grade_percent <= 99:
        raise PlanError(f"a grade lies between 0 and 99, not at {spec.grade_percent}")
    if spec.grade_percent == 0 and spec.distance != "none":
        raise PlanError(
            f"grade 0 has no copies, so its distance is 'none' and not {spec.distance!r}"
        )
    if spec.grade_percent > 0 and spec.distance == "none":
        raise PlanError(
            f"grade {spec.grade_percent} has copies, so it needs a distance: 'adjacent', "
            "'shuffled', or a number of bytes"
        )


def _objects_between(distance_bytes: int, object_bytes: int) -> int:
    between, rest = divmod(distance_bytes, object_bytes)
    if distance_bytes < 0:
        raise PlanError(f"a distance can't be negative: {distance_bytes}")
    if rest:
        raise PlanError(
            f"a distance of {distance_bytes} bytes is not a multiple of object_size "
            f"({object_bytes}); the nearest are {between * object_bytes} and "
            f"{(between + 1) * object_bytes}"
        )
    return between
