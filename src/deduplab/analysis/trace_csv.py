"""A trace as CSV: a line a sample, empty where something is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deduplab.analysis.trace_spans import places
from deduplab.trace import Trace


def csv_lines(trace: Trace) -> Iterator[str]:
    """Yield the heading and the samples: when, in which stage, doing what, then the columns.

    No value needs quotes: names are words, and all else is numbers.
    """
    yield ",".join(["at_s", "stage", "within", *trace.columns])
    columns = [values.tolist() for values in trace.columns.values()]
    for number, (at_ns, place) in enumerate(zip(trace.at_ns.tolist(), places(trace), strict=True)):
        values = (_value(column[number]) for column in columns)
        yield ",".join([f"{at_ns / 1e9:.6f}", *place, *values])


def _value(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value.is_integer() else repr(value)
