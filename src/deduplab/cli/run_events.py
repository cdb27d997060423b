"""A run and its cells as events, from what the store has of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deduplab.cell import CellResult
from deduplab.event import (
    CellBegan,
    CellEnded,
    CellName,
    Event,
    Marked,
    Measured,
    RunBegan,
    RunEnded,
    Sampled,
    Size,
)
from deduplab.model import Moment
from deduplab.store import Run
from deduplab.trace import Trace


def run_began(run: Run, done: int, at_unix_ns: int) -> RunBegan:
    """Return that a run began, with so many of its cells committed already."""
    header = run.header
    return RunBegan(at_unix_ns, header.run_id, header.plan_name, len(header.cell_ids), done)


def cell_results(
    result: CellResult, name: CellName, done: int, total: int, at_unix_ns: int
) -> Iterator[Event]:
    """Yield what a committed cell measured, and that it ended; ``done`` of ``total`` have."""
    for one in result.measurements:
        yield Measured(
            at_unix_ns=at_unix_ns,
            name=name,
            position=one.position,
            stage=one.stage.value,
            mode=one.mode,
            filled=one.filled,
            outcome=one.outcome.kind.value,
            reason=one.outcome.reason,
            objects=one.objects,
            logical_bytes=one.logical_bytes,
            unique_bytes=one.unique_bytes,
            operations=one.operations,
            duration_ns=one.duration_ns,
            flush_ns=one.flush_ns,
            sizes=_sizes(one.moments),
        )
    outcome = result.outcome
    baseline = _sizes((result.baseline,) if result.baseline else ())
    yield CellEnded(at_unix_ns, name, outcome.kind.value, outcome.reason, done, total, baseline)


def as_it_was(run: Run) -> Iterator[Event]:
    """Yield all events of a run that lies in the store, cell by cell in order of time.

    Raises
    ------
    StoreError
        If a cell or a trace is damaged.
    """
    results = sorted(run.cells(), key=lambda result: result.started_unix_ns)
    settings = run.header.settings()
    yield run_began(run, 0, run.header.created_unix_ns)
    for done, result in enumerate(results, start=1):
        name = CellName.of(result.cell, settings.get(result.cell.cell_id, ""))
        yield CellBegan(result.started_unix_ns, name, result.attempts)
        trace = run.trace(result.cell.cell_id)
        if trace is not None:
            yield from _told(result.cell.cell_id, trace)
        yield from cell_results(result, name, done, len(results), result.finished_unix_ns)
    ended = [result.finished_unix_ns for result in results]
    yield RunEnded(max(ended, default=run.header.created_unix_ns), "")


def _told(cell_id: str, trace: Trace) -> Iterator[Event]:
    """Yield the marks and samples of a trace in order of time."""
    began = trace.began_unix_ns
    marks: list[Event] = [
        Marked(began + mark.at_ns, cell_id, mark.position, mark.name) for mark in trace.marks
    ]
    samples: list[Event] = [
        Sampled(began + at_ns, cell_id, number, values)
        for number, (at_ns, values) in enumerate(trace.samples())
    ]
    yield from sorted(marks + samples, key=lambda event: event.at_unix_ns)


def _sizes(moments: Iterable[Moment]) -> tuple[Size, ...]:
    return tuple(
        Size(moment.name, reading.layer.value, reading.ruler.value, reading.total_bytes)
        for moment in moments
        for reading in moment.footprint.readings
    )
