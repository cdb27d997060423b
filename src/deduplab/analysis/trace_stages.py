"""What a trace tells of each stage: its time, the files before and after, CPU, bytes written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from deduplab.analysis.trace_rates import (
    LEAST_SPAN_S,
    NS_PER_S,
    Values,
    cores,
    growth,
    value_at,
    window_s,
)
from deduplab.analysis.trace_spans import Span, spans
from deduplab.trace import FILES_COLUMN, SYSTEM_PREFIX, Trace

CPU: Final = f"{SYSTEM_PREFIX}cpu_ns"
WRITTEN: Final = f"{SYSTEM_PREFIX}write_bytes"


@dataclass(frozen=True, slots=True)
class StageSeen:
    """One stage as a trace saw it; None is missing.

    Attributes
    ----------
    files_begin_bytes, files_end_bytes
        Allocated bytes of the files, by the last sample before either end.
    cpu_mean_cores
        Of the system's processes, over the whole stage.
    cpu_most_cores
        The same where it was greatest, over a window; None in a stage shorter than that.
    written_bytes
        What the system's processes caused to be written to storage.
    """

    position: int
    stage: str
    begin_s: float
    length_s: float
    files_begin_bytes: int | None
    files_end_bytes: int | None
    cpu_mean_cores: float | None
    cpu_most_cores: float | None
    written_bytes: int | None


def stages_seen(trace: Trace) -> tuple[StageSeen, ...]:
    """Return what was seen of each stage, the baseline first."""
    window = window_s(trace)
    smooth = cores(trace, CPU, window)
    return tuple(_seen(trace, span, smooth, window) for span in spans(trace))


def _seen(trace: Trace, span: Span, smooth: Values | None, window: float) -> StageSeen:
    begin_ns, end_ns = span.begin_ns, span.end_ns
    length_s = (end_ns - begin_ns) / NS_PER_S
    used = growth(trace, CPU, begin_ns, end_ns)
    written = growth(trace, WRITTEN, begin_ns, end_ns)
    most = None
    if smooth is not None and length_s >= window:
        inside = smooth[(trace.at_ns >= begin_ns) & (trace.at_ns < end_ns)]
        known = inside[~np.isnan(inside)]
        most = float(known.max()) if len(known) else None
    return StageSeen(
        position=span.position,
        stage=span.name,
        begin_s=begin_ns / NS_PER_S,
        length_s=length_s,
        files_begin_bytes=_whole(value_at(trace, FILES_COLUMN, begin_ns)),
        files_end_bytes=_whole(value_at(trace, FILES_COLUMN, end_ns)),
        cpu_mean_cores=used[0] / NS_PER_S / used[1] if used and used[1] >= LEAST_SPAN_S else None,
        cpu_most_cores=most,
        written_bytes=_whole(written[0] if written else None),
    )


def _whole(count: float | None) -> int | None:
    return None if count is None else round(count)
