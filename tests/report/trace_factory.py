"""Traces made by hand, whose figures are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from deduplab.cell import CellResult
from deduplab.store import Run
from deduplab.trace import FILES_COLUMN, Mark, Trace
from tests.report.factory import latencies_of, run_of

NAN = math.nan
MS = 1_000_000
MIB = 1 << 20
MARKS = (
    Mark(250 * MS, -1, "baseline"),
    Mark(1000 * MS, 0, "bulk"),
    Mark(2000 * MS, 0, "flush"),
    Mark(2200 * MS, 0, "rest"),
    Mark(2500 * MS, 0, "proof"),
    Mark(2600 * MS, 1, "reclaim"),
    Mark(2650 * MS, 1, "rest"),
    Mark(2700 * MS, 2, "reclaim"),
    Mark(3010 * MS, -1, "end"),
)


def trace_of(
    columns: Mapping[str, Iterable[float]],
    at_ms: Iterable[int] | None = None,
    marks: tuple[Mark, ...] = MARKS,
    reasons: Mapping[str, str] | None = None,
    missed_ticks: int = 0,
    kept_of: int = 1,
) -> Trace:
    """Make a trace of columns, ten samples a second from 200 ms on unless times are given."""
    made = {name: np.array(list(values), dtype=np.float64) for name, values in columns.items()}
    length = len(next(iter(made.values()), ()))
    times = list(at_ms) if at_ms is not None else [200 + 100 * n for n in range(length)]
    return Trace(
        began_unix_ns=1_700_000_000 * 10**9,
        period_ns=100 * MS,
        at_ns=np.array(times, dtype=np.int64) * MS,
        columns=made,
        marks=marks,
        missed_ticks=missed_ticks,
        kept_of=kept_of,
        reasons=reasons or {},
        tracer_cpu_ns=58 * MS,
    )


def usual_trace(missed_ticks: int = 0) -> Trace:
    """Make one of 30 samples in 2.9 s: files grow in bulk, half a core from 1 s on."""
    files = [4 * MIB] * 8 + [(4 + 6 * n) * MIB for n in range(10)] + [60 * MIB] * 12
    cpu_ns = [0] * 8 + [50 * MS * n for n in range(22)]
    return trace_of(
        {
            FILES_COLUMN: files,
            "system_cpu_ns": cpu_ns,
            "system_write_bytes": [MIB * n for n in range(30)],
            "client_cpu_ns": [NAN] * 2 + [10 * MS * n for n in range(28)],
        },
        missed_ticks=missed_ticks,
    )


def asking(result: CellResult, no_trace: str = "") -> CellResult:
    """Make a cell one that a trace was asked of."""
    return replace(result, cell=replace(result.cell, trace_hz=10.0), no_trace=no_trace)


def traced_run(
    root: Path, traced: Iterable[tuple[CellResult, Trace | None]], others: Iterable[CellResult] = ()
) -> Run:
    """Write cells with their traces into the store."""
    pairs = [*traced, *((result, None) for result in others)]
    run = run_of(root, [], planned=lambda ids: [result.cell.cell_id for result, _ in pairs])
    for result, trace in pairs:
        run.commit(result, latencies_of(result), trace)
    return run
