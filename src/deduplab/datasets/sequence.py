"""Sequences: which payload stands at which position, for any position, without a table.

A sequence maps ordinals (0 to objects - 1, in insertion order) to payload ids
(0 to unique objects - 1). Payloads occur equally often, give or take one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.datasets.permutation import Permutation
from deduplab.errors import PlanError
from deduplab.model import DatasetSpec

Ordinals = npt.NDArray[np.int64]
PayloadIds = npt.NDArray[np.int64]

# Ordinals are multiplied by numbers of objects in 64-bit integers.
GREATEST_OBJECTS: Final = math.isqrt(2**63 - 1)


class Sequence(ABC):
    """Maps ordinals to payload ids; ``unique`` is how many payloads there are."""

    def __init__(self, objects: int, unique: int) -> None:
        self.objects = objects
        self.unique = unique

    @abstractmethod
    def payload_ids(self, ordinals: Ordinals) -> PayloadIds:
        """Return the payload id at each ordinal; int64, same shape."""


class Adjacent(Sequence):
    """Copies stand next to each other; without copies every payload stands once, in order."""

    def payload_ids(self, ordinals: Ordinals) -> PayloadIds:
        """Return the payload id at each ordinal; int64, same shape."""
        if self.objects == self.unique:
            return ordinals
        return ordinals * self.unique // self.objects


class Shuffled(Sequence):
    """The same objects as :class:`Adjacent`, in a seeded order that is uniform to the eye."""

    def __init__(self, objects: int, unique: int, seed: int) -> None:
        super().__init__(objects, unique)
        self._permutation = Permutation(objects, seed)

    def payload_ids(self, ordinals: Ordinals) -> PayloadIds:
        """Return the payload id at each ordinal; int64, same shape."""
        return self._permutation(ordinals) * self.unique // self.objects


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
        self._singles = unique % self._period
        self._grouped = objects - self._singles

    def payload_ids(self, ordinals: Ordinals) -> PayloadIds:
        """Return the payload id at each ordinal; int64, same shape."""
        group = ordinals * self._groups // self._grouped
        group_start = -(-group * self._grouped // self._groups)
        ids = group * self._period + (ordinals - group_start) % self._period
        single = self.unique - self.objects + ordinals
        return np.where(ordinals < self._grouped, ids, single)


def build_sequence(spec: DatasetSpec) -> Sequence:
    """Return the sequence that a specification asks for.

    The grade is exact to within one object, rounded down: the duplicates are
    ``objects * grade // 100``.

    Raises
    ------
    PlanError
        If grade, distance and sizes can't be had together; it says what to change.
    """
    objects = spec.logical_bytes // spec.object_bytes
    duplicates = objects * spec.grade_percent // 100
    unique = objects - duplicates
    _check_grade(spec, objects, duplicates)
    if spec.distance in ("none", "adjacent"):
        return Adjacent(objects, unique)
    if spec.distance == "shuffled":
        return Shuffled(objects, unique, spec.seed)
    if isinstance(spec.distance, str):
        raise PlanError(
            f"unknown distance {spec.distance!r}; write 'none' (grade 0), 'adjacent', "
            "'shuffled', or a number of bytes"
        )
    between = _objects_between(spec.distance, spec.object_bytes)
    if between + 1 > unique:
        raise PlanError(
            f"a distance of {spec.distance} bytes needs {between + 1} different payloads of "
            f"{spec.object_bytes} bytes, the dataset has {unique}; take a distance of at most "
            f"{(unique - 1) * spec.object_bytes} bytes, or more logical_bytes"
        )
    return Spaced(objects, unique, between)


def _check_grade(spec: DatasetSpec, objects: int, duplicates: int) -> None:
    if not 0 <= spec.grade_percent <= 99:
        raise PlanError(f"a grade lies between 0 and 99, not at {spec.grade_percent}")
    if not 1 <= objects <= GREATEST_OBJECTS:
        raise PlanError(
            f"{spec.logical_bytes} logical bytes in objects of {spec.object_bytes} bytes are "
            f"{objects} objects; 1 to {GREATEST_OBJECTS} are possible: change logical_bytes"
        )
    if spec.grade_percent == 0 and spec.distance != "none":
        raise PlanError(
            f"grade 0 has no copies, so its distance is 'none' and not {spec.distance!r}"
        )
    if spec.grade_percent > 0 and spec.distance == "none":
        raise PlanError(
            f"grade {spec.grade_percent} has copies, so it needs a distance: 'adjacent', "
            "'shuffled', or a number of bytes"
        )
    if spec.grade_percent > 0 and duplicates == 0:
        least = -(-100 // spec.grade_percent)
        raise PlanError(
            f"{objects} objects are too few for a grade of {spec.grade_percent} %: it needs "
            f"{least}, that is {least * spec.object_bytes} logical_bytes"
        )


def _objects_between(distance_bytes: int, object_bytes: int) -> int:
    between, rest = divmod(distance_bytes, object_bytes)
    if distance_bytes < 0:
        raise PlanError(f"a distance can't be negative: {distance_bytes}")
    if rest:
        raise PlanError(
            f"a distance of {distance_bytes} bytes is not a multiple of object_bytes "
            f"({object_bytes}); the nearest are {between * object_bytes} and "
            f"{(between + 1) * object_bytes}"
        )
    return between
