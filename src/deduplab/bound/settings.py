"""What a scan is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deduplab.bound.grains import ALL_GRAINS
from deduplab.errors import PlanError, unknown_name

LEAST_SAMPLE = 2.0**-40


@dataclass(frozen=True, slots=True)
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

    grains: tuple[str, ...] = ALL_GRAINS
    sample: float | None = None
    compress: bool = True

    def __post_init__(self) -> None:
        for name in self.grains:
            if name not in ALL_GRAINS:
                raise PlanError(unknown_name("grain", name, ALL_GRAINS))
        if not self.grains:
            raise PlanError(f"no grain to scan at; name some of: {', '.join(ALL_GRAINS)}")
        ordered = tuple(name for name in ALL_GRAINS if name in self.grains)
        object.__setattr__(self, "grains", ordered)
        if self.sample is not None:
            self._check_sample(self.sample)

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
