"""The seam of payload families: what a payload with a given id consists of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.sizes import Sizes
from deduplab.errors import PlanError
from deduplab.record import RecordType


class Payloads(ABC):
    """The distinct payloads of one dataset, by id, in any order and as often as asked.

    Ids run from 0. Different ids have different contents. The same specification
    gives the same bytes in every process and on every machine.

    Attributes
    ----------
    record_type
        How to take a payload apart for the native layout. May depend on the
        specification; then it is set by ``__init__``.
    available
        How many distinct payloads there are; None if there is no end to them.
    natural_sizes
        Whether lengths are those of the source (a real corpus, whose ``lengths``
        is its own) and not drawn from the specification.
    takes_compressibility
        Whether a target for it can be set.
    least_object_bytes
        The shortest payload that the family can make.

    Raises
    ------
    PlanError
        If the family can't do what is asked; it says what to change.
    DatasetError
        If the source of the data can't be used.
    """

    record_type: RecordType
    available: int | None = None
    natural_sizes: bool = False
    takes_compressibility: ClassVar[bool] = False
    least_object_bytes: ClassVar[int] = 1

    def __init__(self, spec: DatasetSpec) -> None:
        self.spec = spec
        self.sizes = Sizes(spec)
        shortest = self.sizes.least_bytes
        if not self.natural_sizes and shortest < self.least_object_bytes:
            raise PlanError(
                f"a payload of {spec.payload} has at least {self.least_object_bytes} bytes, "
                f"{shortest} are asked for; raise object_size"
            )
        if spec.compressibility_percent is not None and not self.takes_compressibility:
            raise PlanError(
                f"payload {spec.payload!r} has a compressibility of its own; leave it out, or "
                "take one of random_binary and structured_json"
            )

    def lengths(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the length in bytes of the payload with each id; int64, same shape."""
        return self.sizes.lengths(ids)

    def varied(self, unique: int) -> int:
        """Return how many of the first payloads are variations that a real corpus did not hold."""
        return 0

    @abstractmethod
    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill.

        Raises
        ------
        DatasetError
            If the source of the data can't be read any more.
        """


def runs(ids: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of consecutive ids, as positions in ``ids``."""
    if len(ids) == 1:
        return [(0, 1)]
    return split_runs(ids[1:] - ids[:-1] == 1)


def split_runs(follows: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of each run, where ``follows[i]`` ties item i + 1 to item i."""
    starts = [0, *(np.flatnonzero(~follows) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(follows) + 1], strict=True))
