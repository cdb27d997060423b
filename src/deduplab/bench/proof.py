"""Proof: that a system holds exactly what it acknowledged, by its own count and by a read-back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.bench.rig import Rig
from deduplab.dataset_spec import Manifest
from deduplab.datasets import Dataset
from deduplab.record import Stored

SAMPLE_OBJECTS: Final = 16  # read back after each change, outside the clock


class InvalidError(Exception):
    """A measurement failed its proof; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """A dataset with its manifest: what bulk and refill store, or what insert stores."""

    dataset: Dataset
    manifest: Manifest


class Proof:
    """Proves what one cell's instance holds; a seed decides which objects are read back.

    Parameters
    ----------
    seed
        One seed gives the same choices.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  (a choice, not a secret)

    def choose(self, dataset: Dataset, count: int) -> list[int]:
        """Choose ordinals of so many different objects, in the order of the draw."""
        return self._random.sample(range(dataset.objects), count)

    def content(self, rig: Rig, live: Sequence[Part]) -> None:
        """Prove that the store holds these parts and nothing else.

        Raises
        ------
        InvalidError
            If it counts another number of objects, or a sample reads back as other bytes.
        """
        expected = sum(part.manifest.objects for part in live)
        counted = rig.adapter.count()
        if counted != expected:
            raise InvalidError(f"the system counts {counted} objects, {expected} were stored")
        if not rig.capabilities.stores_data:
            return
        for part in live:
            for ordinal in self._sample(part.dataset):
                prove_object(part.dataset, ordinal, rig.adapter.get(part.dataset.key(ordinal)))

    def nothing_left(self, rig: Rig, deleted: Sequence[Part]) -> None:
        """Prove that a store is empty after these parts were deleted.

        Raises
        ------
        InvalidError
            If it counts an object, or one of a sample can still be read.
        """
        left = rig.adapter.count()
        if left:
            raise InvalidError(f"{left} objects are left after everything was deleted")
        for part in deleted:
            for ordinal in self._sample(part.dataset):
                if rig.adapter.get(part.dataset.key(ordinal)) is not None:
                    raise InvalidError("an object that was deleted can still be read")

    def _sample(self, dataset: Dataset) -> list[int]:
        """Choose objects to read back: first, last, and a seeded choice of the others."""
        chosen = self.choose(dataset, min(SAMPLE_OBJECTS, dataset.objects))
        return sorted({0, dataset.objects - 1, *chosen})


def prove_object(dataset: Dataset, ordinal: int, stored: Stored | None) -> int:
    """Compare an object that was read with what it must be; return its length in bytes.

    Raises
    ------
    InvalidError
        If it is not there, or has other bytes.
    """
    key = dataset.key(ordinal)
    if stored is None:
        raise InvalidError(f"object {key} was acknowledged and is not there")
    expected = dataset.payload(ordinal)
    found = stored
    if isinstance(stored, tuple):
        assert dataset.record_type is not None
        found = dataset.record_type.canonical(stored)
    if found != expected:
        raise InvalidError(
            f"object {key} reads back as other bytes ({len(found)} of {len(expected)})"
        )
    return len(expected)
