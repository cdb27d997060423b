"""The seam of payload families: what a payload with a given id consists of."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from deduplab.model import DatasetSpec


class Payloads(ABC):
    """The distinct payloads of one dataset, by id, in any order and as often as asked.

    Parameters
    ----------
    spec
        The dataset's specification.
    unique
        How many payloads are asked for: ids run from 0 to ``unique - 1``.
        Different ids have different contents, which share no chunk.
    """

    def __init__(self, spec: DatasetSpec, unique: int) -> None:
        self.spec = spec
        self.unique = unique
        self.object_bytes = spec.object_bytes

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
