"""Traces on the console and as JSON: all of a run, and one stage by stage."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deduplab.analysis.trace_account import TraceAccount, account_of, sources_of
from deduplab.analysis.trace_rates import window_s
from deduplab.analysis.trace_stages import StageSeen, stages_seen
from deduplab.analysis.traces import why_missing
from deduplab.cell import Cell, CellResult
from deduplab.cli.whole_tables import print_whole
from deduplab.errors import StoreError
from deduplab.store import Run
from deduplab.trace import Trace
from deduplab.units import format_bytes, format_seconds

_ABSENT: Final = "–"
_LEAST_DIGITS: Final = 8
_NO_TERMINAL_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class ListedTrace:
    """One trace of a run, without its samples."""

    cell_id: str
    label: str
    account: TraceAccount
    sources: dict[str, int]
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """The traces of a run, which cells have none (id, label, reason), and what is damaged."""

    traces: tuple[ListedTrace, ...]
    missing: tuple[tuple[str, str, str], ...]
    damaged: tuple[str, ...]


def listed(run: Run) -> Listed:
    """Look through all cells of a run, by system; each trace is read and let go again."""
    traces, missing, damaged = [], [], []
    for result in sorted(run.cells(), key=lambda result: result.cell.label):
        cell = result.cell
        cell_id, label = cell.cell_id, label_of(cell)
        try:
            trace = run.trace(cell_id)
        except StoreError as error:
            damaged.append(str(error))
            continue
        if trace is not None:
            account = account_of(trace, has_volume=cell.volume != "none")
            columns = list(trace.columns)
            traces.append(ListedTrace(cell_id, label, account, sources_of(trace), columns))
        elif cell.trace_hz:
            missing.append((cell_id, label, why_missing(result)))
    return Listed(tuple(traces), tuple(missing), tuple(damaged))


def label_of(cell: Cell) -> str:
    """Return the label of a cell, with its layout where that is not the usual one."""
    return cell.label if cell.layout == "blob" else f"{cell.label} {cell.layout}"


def listing(run: Run, found: Listed) -> dict[str, Any]:
    """Return all traces of a run, for JSON."""
    return {
        "run": run.header.run_id,
        "traces": [
            {
                "cell": one.cell_id,
                "label": one.label,
                **dataclasses.asdict(one.account),
                "columns": one.columns,
            }
            for one in found.traces
        ],
        "missing": [
            {"cell": cell_id, "label": label, "reason": reason}
            for cell_id, label, reason in found.missing
        ],
    }


def print_listed(run: Run, found: Listed, console: Console) -> None:
    """Print the traces as a table, and why others are missing."""
    if found.traces:
        print_whole(console, _listed_table(found))
    elif not found.missing and not found.damaged:
        console.print(
            f"no traces in {run.header.run_id}: its cells were measured without (trace_hz = 0, or "
            "a deduplab that took none)",
            soft_wrap=True,
            highlight=False,
        )
    for reason, cells in Counter(reason for _, _, reason in found.missing).most_common():
        words = f"no trace of {cells} cell{'s' if cells > 1 else ''}: {reason}"
        console.print(words, soft_wrap=True, highlight=False, markup=False)


def document(result: CellResult, trace: Trace) -> dict[str, Any]:
    """Return one trace without its samples, for JSON; null is missing."""
    return {
        "cell": result.cell.cell_id,
        "label": label_of(result.cell),
        "began_unix_ns": trace.began_unix_ns,
        **dataclasses.asdict(account_of(trace, has_volume=result.cell.volume != "none")),
        "columns": list(trace.columns),
        "cpu_window_s": window_s(trace),
        "stages": [
            {"mode": _mode(result, stage), **dataclasses.asdict(stage)}
            for stage in stages_seen(trace)
        ],
    }


def print_trace(result: CellResult, trace: Trace, console: Console) -> None:
    """Print one trace: its stages, and below what it is worth."""
    account = account_of(trace, has_volume=result.cell.volume != "none")
    title = f"{label_of(result.cell)}, cell {result.cell.cell_id}"
    console.print(title, soft_wrap=True, highlight=False, markup=False)
    print_whole(console, _stages_table(result, trace))
    for line in (_worth(account), *(lack.words for lack in account.lacks)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def wide_console() -> Console:
    """Return the console; where nothing sets a width, a line of a table has room."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=_NO_TERMINAL_WIDTH)


def _worth(account: TraceAccount) -> str:
    words = f"{account.samples} samples in {account.duration_s:.1f} s"
    if account.attained_hz is not None:
        words += f", {account.attained_hz:.1f} a second"
    words += f"; missed ticks: {account.missed_ticks}"
    if account.kept_of > 1:
        words += f"; one of {account.kept_of} samples was kept"
    if account.tracer_cores is not None:
        words += f"; the tracer took {100 * account.tracer_cores:.1f} % of a core"
    return words


def _listed_table(found: Listed) -> Table:
    digits = _digits([one.cell_id for one in found.traces])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("cell", no_wrap=True)
    table.add_column("label", no_wrap=True)
    for heading in ("seconds", "samples", "missed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("columns", no_wrap=True)
    for one in found.traces:
        account = one.account
        columns = ", ".join(
            source if count == 1 else f"{source} {count}" for source, count in one.sources.items()
        )
        numbers = (f"{account.duration_s:.1f}", f"{account.samples}", f"{account.missed_ticks}")
        table.add_row(one.cell_id[:digits], one.label, *numbers, columns)
    return table


def _digits(cell_ids: list[str]) -> int:
    """Return how many digits tell ids apart."""
    longest = max(map(len, cell_ids))
    return next(
        digits
        for digits in range(_LEAST_DIGITS, longest + 1)
        if digits == longest or len({name[:digits] for name in cell_ids}) == len(cell_ids)
    )


def _stages_table(result: CellResult, trace: Trace) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        caption=f"files: allocated bytes before and after; cores: the system's, most over "
        f"{window_s(trace):.2g} s",
        caption_justify="left",
    )
    table.add_column("stage", overflow="fold")
    for heading in ("begins", "lasts", "files", "after", "cores", "most", "written"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in stages_seen(trace):
        mode = _mode(result, stage)
        table.add_row(
            f"{stage.stage} {mode}" if mode else stage.stage,
            *map(_seconds, (stage.begin_s, stage.length_s)),
            *map(_bytes, (stage.files_begin_bytes, stage.files_end_bytes)),
            *map(_cores, (stage.cpu_mean_cores, stage.cpu_most_cores)),
            _bytes(stage.written_bytes),
        )
    return table


def _mode(result: CellResult, stage: StageSeen) -> str:
    """Return the mode of a stage, of which a trace knows only the position."""
    measured = result.measurements
    return measured[stage.position].mode if 0 <= stage.position < len(measured) else ""


def _seconds(duration_s: float) -> str:
    return f"{duration_s:.2f} s" if duration_s < 10 else format_seconds(duration_s)


def _bytes(count: float | None) -> str:
    return _ABSENT if count is None else format_bytes(count)


def _cores(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.2f}"
