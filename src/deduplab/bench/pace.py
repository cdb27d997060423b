"""Pace: when the operations of an open loop are due, and how that moment is waited for."""

from __future__ import annotations

import time
from typing import Final, Protocol

import numpy as np

SPIN_NS: Final = 200_000
"""So long before an operation is due it is slept, then looked at the clock again and again.

A sleep ends later than asked for, by 0.1 ms at the median and 0.2 ms at the 99th percentile
(50 µs are the kernel's timer slack, which stays as it is: an engine's threads would inherit
another). docs/open-loop.md has the figures.
"""


class Due(Protocol):
    """Whatever says when operations are due."""

    rate_per_s: float

    def take(self, count: int) -> list[int]:
        """Return when the next ones are due, and the one behind them; see :class:`Pace`."""
        ...


class Dealt:
    """What is due of a pace by one of several clients, dealt out to it for each region.

    Attributes
    ----------
    rate_per_s
        Operations a second of all clients together.
    due_ns
        When its own are due in the next region, and the one behind that region.
    """

    def __init__(self, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.due_ns: list[int] = []

    def take(self, count: int) -> list[int]:
        """Return what was dealt out; it is the region's."""
        return self.due_ns


class Pace:
    """When the operations of one stage are due.

    Parameters
    ----------
    rate_per_s
        Operations a second.
    arrivals
        ``constant``: they are equally far apart. ``poisson``: gaps are exponentially distributed,
        as those of many clients that know nothing of each other.
    seed
        One seed gives the same gaps.
    """

    def __init__(self, rate_per_s: float, arrivals: str, seed: int) -> None:
        self.rate_per_s = rate_per_s
        self._random = np.random.default_rng(seed) if arrivals == "poisson" else None
        self._taken = 0

    def take(self, count: int) -> list[int]:
        """Return when the next ``count`` operations are due, and the one behind them.

        Returns
        -------
        list of int
            ``count + 1`` nanoseconds since the first of them is due, so it begins with 0.
        """
        gap_ns = 1e9 / self.rate_per_s
        if self._random is not None:
            gaps_ns = np.rint(self._random.exponential(gap_ns, count)).astype(np.int64)
            return [0, *np.cumsum(gaps_ns).tolist()]
        # Counted from the stage's first one, so that rounding does not add up.
        numbers = np.arange(self._taken, self._taken + count + 1)
        self._taken += count
        due_ns = np.rint(numbers * gap_ns).astype(np.int64)
        return list((due_ns - due_ns[0]).tolist())


def wait_until(due_ns: int) -> None:
    """Return as soon as the performance counter has come to this moment, never before."""
    clock = time.perf_counter_ns
    left_ns = due_ns - clock()
    if left_ns > SPIN_NS:
        time.sleep((left_ns - SPIN_NS) / 1e9)
    while clock() < due_ns:
        pass
