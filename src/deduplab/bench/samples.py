"""The samples of a trace while it is taken: columns that grow, within a bound."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import nan
from typing import Final

import numpy as np

from deduplab.trace import Mark, Trace

MOST_SAMPLES: Final = 72_000
"""Two hours at 10 Hz; of a longer trace every second sample is kept, then every fourth."""


class Samples:
    """Rows of numbers by column, each with its time.

    Parameters
    ----------
    period_ns
        Nanoseconds between two ticks.
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.missed_ticks = 0
        self._at_ns = array("q")
        self._columns: dict[str, array[float]] = {}
        self._kept_of = 1
        self._ticks = 0

    def add(self, at_ns: int, values: Mapping[str, float]) -> None:
        """Add what was seen at a time, in nanoseconds of the performance counter."""
        self._ticks += 1
        if (self._ticks - 1) % self._kept_of:
            return
        for name in values.keys() - self._columns.keys():
            self._columns[name] = array("d", [nan]) * len(self._at_ns)
        self._at_ns.append(at_ns)
        for name, column in self._columns.items():
            column.append(values.get(name, nan))
        if len(self._at_ns) > MOST_SAMPLES:
            self._at_ns = self._at_ns[::2]
            self._columns = {name: column[::2] for name, column in self._columns.items()}
            self._kept_of *= 2

    def trace(
        self,
        began_ns: int,
        began_unix_ns: int,
        marks: tuple[Mark, ...],
        reasons: Mapping[str, str],
        tracer_cpu_ns: int,
    ) -> Trace:
        """Return the trace; its time counts from a moment of the performance counter."""
        return Trace(
            began_unix_ns=began_unix_ns,
            period_ns=self.period_ns,
            at_ns=np.array(self._at_ns, dtype=np.int64) - began_ns,
            columns={name: np.array(self._columns[name]) for name in sorted(self._columns)},
            marks=marks,
            missed_ticks=self.missed_ticks,
            kept_of=self._kept_of,
            reasons=dict(reasons),
            tracer_cpu_ns=tracer_cpu_ns,
        )
