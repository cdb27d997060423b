"""Sizes: how long the payload with a given id is, without a table.

Fixed, uniform between two limits, or log-normal around a median and cut off at
two limits. Each length is drawn from the id and the seed alone.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from deduplab.dataset_spec import DatasetSpec
from deduplab.errors import PlanError, unknown_name

# What the lengths of a proof hold, 32 bits.
GREATEST_OBJECT_BYTES: Final = (1 << 32) - 1

KINDS: Final = ("fixed", "uniform", "lognormal", "natural")

# Log-normal lengths are taken from so many quantiles: steps far finer than a sample can show.
_QUANTILES: Final = 4096


class Sizes:
    """The lengths in bytes of all payloads of a dataset, by id.

    Attributes
    ----------
    fixed_bytes
        The one length of all payloads, None if lengths differ.
    least_bytes, greatest_bytes
        The limits of lengths.

    Raises
    ------
    PlanError
        If the sizes are impossible; it says what to change.
    """

    def __init__(self, spec: DatasetSpec) -> None:
        _check(spec)
        fixed = spec.sizes.kind in ("fixed", "natural")
        self.fixed_bytes = spec.object_bytes if fixed else None
        self.least_bytes = spec.object_bytes if fixed else spec.sizes.least_bytes
        self.greatest_bytes = spec.object_bytes if fixed else spec.sizes.greatest_bytes
        self._spec = spec
        self._key = np.uint64(
            int.from_bytes(blake3(f"deduplab sizes {spec.seed}".encode()).digest(8))
        )
        sizes = spec.sizes
        self._table = (
            _lognormal(spec.object_bytes, sizes.sigma, sizes.least_bytes, sizes.greatest_bytes)
            if sizes.kind == "lognormal"
            else np.empty(0, dtype=np.int64)
        )

    def lengths(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the length of the payload with each id; int64, same shape."""
        if self.fixed_bytes is not None:
            return np.full(ids.shape, self.fixed_bytes, dtype=np.int64)
        draws = _mixed(ids.astype(np.uint64), self._key)
        if self._spec.sizes.kind == "lognormal":
            return np.take(self._table, draws % np.uint64(_QUANTILES))
        least, greatest = self._spec.sizes.least_bytes, self._spec.sizes.greatest_bytes
        return (draws % np.uint64(greatest - least + 1)).astype(np.int64) + least


def _check(spec: DatasetSpec) -> None:
    sizes = spec.sizes
    if not 1 <= spec.object_bytes <= GREATEST_OBJECT_BYTES:
        raise PlanError(
            f"object_bytes is {spec.object_bytes}; an object has 1 to {GREATEST_OBJECT_BYTES} bytes"
        )
    if sizes.kind in ("fixed", "natural"):
        return
    if sizes.kind not in ("uniform", "lognormal"):
        raise PlanError(unknown_name("sizes", sizes.kind, KINDS))
    if not 1 <= sizes.least_bytes <= sizes.greatest_bytes <= GREATEST_OBJECT_BYTES:
        raise PlanError(
            f"sizes from {sizes.least_bytes} to {sizes.greatest_bytes} bytes are impossible; "
            f"an object has 1 to {GREATEST_OBJECT_BYTES} bytes"
        )
    if sizes.kind == "lognormal" and not 0 < sizes.sigma <= 4:
        raise PlanError(f"sigma is {sizes.sigma}; take a number above 0, at most 4")


@cache
def _lognormal(median: int, sigma: float, least: int, greatest: int) -> npt.NDArray[np.int64]:
    normal = NormalDist()
    drawn = (
        median * math.exp(sigma * normal.inv_cdf((place + 0.5) / _QUANTILES))
        for place in range(_QUANTILES)
    )
    return np.array([min(max(round(one), least), greatest) for one in drawn], dtype=np.int64)


def _mixed(values: npt.NDArray[np.uint64], key: np.uint64) -> npt.NDArray[np.uint64]:
    """Spread every bit over 64 bits (the finaliser of SplitMix64, S. Vigna, public domain)."""
    mixed = values * np.uint64(0x9E3779B97F4A7C15) + key
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
