"""Rates of a trace: what its counters grew by in a time, and sizes at a moment.

A counter knows what happened while nobody looked, so that it is divided by the time between two
looks, however far they lie apart. A size that was not read is not known.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deduplab.trace import Trace

NS_PER_S: Final = 1_000_000_000
FRESH_S: Final = 0.5
"""How old the last sample may be that tells what holds at a moment."""
LEAST_SPAN_S: Final = 0.05
"""The shortest time that CPU is divided by: five of the kernel's ticks."""
_LEAST_WINDOW_S: Final = 0.5  # fifty ticks: one more or less is 0.02 cores
_LEAST_PERIODS: Final = 4
_MOST_WINDOWS: Final = 120  # in one trace: a finer line can't be seen in a figure
_LEAST_SHARE: Final = 1 / 3  # of a window that samples must span
_MOST_POINTS: Final = 300

Values = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """What one line of a figure goes through; NaN is a gap."""

    at_s: Values
    values: Values


def seconds(trace: Trace) -> Values:
    """Return when each sample was taken, in seconds since the trace began."""
    return trace.at_ns / NS_PER_S


def duration_s(trace: Trace) -> float:
    """Return the time from the first sample to the last; 0 where there are not two."""
    return float(trace.at_ns[-1] - trace.at_ns[0]) / NS_PER_S if len(trace.at_ns) else 0.0


def window_s(trace: Trace) -> float:
    """Return over which time CPU use is smoothed: half a second, more in long or coarse traces."""
    period_s = trace.period_ns * trace.kept_of / NS_PER_S
    return max(_LEAST_WINDOW_S, _LEAST_PERIODS * period_s, duration_s(trace) / _MOST_WINDOWS)


def cores(trace: Trace, column: str, window: float) -> Values | None:
    """Return how many cores were used about each sample, from a counter of CPU nanoseconds.

    The growth between the first and the last value in a window of so many seconds about the
    sample, by the time between them. NaN where they span less than a third of the window, or
    the counter fell, since a process went and took its count with it. None without the counter.
    """
    if column not in trace.columns:
        return None
    at_ns, counted = _known(trace, column)
    if not len(counted):
        return np.full(len(trace.at_ns), np.nan)
    half_ns = round(window * NS_PER_S / 2)
    first = np.searchsorted(at_ns, trace.at_ns - half_ns, side="left")
    last = np.searchsorted(at_ns, trace.at_ns + half_ns, side="right") - 1
    first = np.minimum(first, len(at_ns) - 1)
    spanned_ns = (at_ns[last] - at_ns[first]).astype(np.float64)
    falls = np.concatenate(([0], np.cumsum(np.diff(counted) < 0)))
    sound = (spanned_ns >= window * NS_PER_S * _LEAST_SHARE) & (falls[last] == falls[first])
    spanned_ns[~sound] = np.nan
    return np.asarray((counted[last] - counted[first]) / spanned_ns)


def value_at(trace: Trace, column: str, at_ns: int) -> float | None:
    """Return the last value at or before a moment; None where that is older than half a second."""
    found = _last_before(trace, column, at_ns)
    return found[1] if found else None


def growth(trace: Trace, column: str, begin_ns: int, end_ns: int) -> tuple[float, float] | None:
    """Return by how much a counter grew between two moments, and in how many seconds.

    Between the last values before either. None where one is missing, where it is the same for
    both, or where the counter fell between them.
    """
    begin, end = (_last_before(trace, column, at_ns) for at_ns in (begin_ns, end_ns))
    if begin is None or end is None or begin[0] == end[0]:
        return None
    at_ns, counted = _known(trace, column)
    between = counted[(at_ns >= begin[0]) & (at_ns <= end[0])]
    if (np.diff(between) < 0).any():
        return None
    return end[1] - begin[1], (end[0] - begin[0]) / NS_PER_S


def thinned(curve: Curve, most: int = _MOST_POINTS) -> Curve:
    """Return a curve of fewer points that looks the same: of each of equal parts both extremes.

    A part that knows no value stays a gap; a gap within a part is too short to be seen.
    """
    if len(curve.values) <= most:
        return curve
    kept: list[int] = []
    for part in np.array_split(np.arange(len(curve.values)), most // 2):
        known = part[~np.isnan(curve.values[part])]
        if not len(known):
            kept.append(int(part[0]))
            continue
        values = curve.values[known]
        kept += sorted({int(known[values.argmin()]), int(known[values.argmax()])})
    return Curve(curve.at_s[kept], curve.values[kept])


def _known(trace: Trace, column: str) -> tuple[npt.NDArray[np.int64], Values]:
    """Return the values of a column that are not missing, with their times."""
    values = trace.columns[column]
    known = ~np.isnan(values)
    return trace.at_ns[known], values[known]


def _last_before(trace: Trace, column: str, at_ns: int) -> tuple[int, float] | None:
    if column not in trace.columns:
        return None
    times_ns, values = _known(trace, column)
    number = int(np.searchsorted(times_ns, at_ns, side="right")) - 1
    if number < 0 or at_ns - times_ns[number] > FRESH_S * NS_PER_S:
        return None
    return int(times_ns[number]), float(values[number])
