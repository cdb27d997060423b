"""What a scan is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deduplab.bound.grains import ALL_GRAINS
from deduplab.errors import PlanError, unknown_name

LEAST_SAMPLE = 2.0**-40


class ScanSettings:
    """What a scan is asked for.

    Parameters
    ----------
    grains
        Names out of :data:`deduplab.bound.grains.ALL_GRAINS`; kept in the order of that.
    sample
        None for exact figures, or the share of fingerprints to begin with: a
        power of two, 1 to 2^-40. It is halved as often as the state needs it.
    compress
        Whether to find out what compressors make of a sample of the chunks.

    Raises
    ------
    PlanError
        If a grain is unknown or none is given, or if ``sample`` is not such a number.
    """

    __slots__ = ("compress", "grains", "sample")

    def __init__(
        self,
        grains: Sequence[str] = ALL_GRAINS,
        sample: float | None = None,
        compress: bool = True,
    ) -> None:
        for name in grains:
            if name not in ALL_GRAINS:
                raise PlanError(unknown_name("grain", name, ALL_GRAINS))
        if not grains:
            raise PlanError(f"no grain to scan at; name some of: {', '.join(ALL_GRAINS)}")
        if sample is not None:
            self._check_sample(sample)
        self.grains = tuple(name for name in ALL_GRAINS if name in grains)
        self.sample = sample
        self.compress = compress

    @staticmethod
    def _check_sample(sample: float) -> None:
        in_range = LEAST_SAMPLE <= sample <= 1
        if not in_range or math.frexp(sample)[0] != 0.5:
            raise PlanError(
                f"a sample of {sample:g} can't be taken: the share must be a power of two "
                "such as 1/64, from 1 down to 2^-40"
            )

    @property
    def halvings(self) -> int | None:
        """K of p = 2^-k that a sampled scan begins with; None for an exact one."""
        return None if self.sample is None else 1 - math.frexp(self.sample)[1]
