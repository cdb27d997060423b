"""The tables of a paper: one kind a section of the report, from what analysis derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from deduplab.analysis.calibration import Calibration
from deduplab.analysis.coverage import Trouble
from deduplab.analysis.known_answer import Check
from deduplab.analysis.lookup import MOMENTS
from deduplab.analysis.replicas import ReplicasFinding
from deduplab.analysis.row import Row
from deduplab.analysis.series import StageTiming, Timings
from deduplab.analysis.tables import Costs, Finding
from deduplab.model import OutcomeKind
from deduplab.report.latex.tabular import Block, Column, Entry, Tabular, counts, figure_column

_Of = Callable[[StageTiming], Row | None]
_Figures = tuple[tuple[str, _Of], ...]
_SPEEDS: Final[_Figures] = (
    ("objects/s", lambda one: one.objects_per_s),
    ("MB/s", lambda one: one.bytes_per_s),
    ("written / $L$", lambda one: one.write_amplification),
)
_LATENCIES: Final[_Figures] = (
    ("p50 ($\\mu$s)", lambda one: one.p50),
    ("p99 ($\\mu$s)", lambda one: one.p99),
)
_OPEN: Final[_Figures] = (
    ("service p50 ($\\mu$s)", lambda one: one.service_p50),
    ("service p99 ($\\mu$s)", lambda one: one.service_p99),
    ("backlog (s)", lambda one: one.backlog_s),
)


def costs(findings: Iterable[Finding]) -> Tabular:
    """Return u, c and eta by distance and moment; of one without copies u alone."""
    columns = (
        Column("distance"),
        Column("moment"),
        Column("$n$", "r"),
        figure_column("$u$"),
        figure_column("$c$"),
        figure_column("$\\eta$"),
    )
    return Tabular(columns, tuple(Block(_heading(one), _cost_lines(one)) for one in findings))


def mechanisms(findings: Iterable[Finding]) -> Tabular:
    """Return by which mechanisms bytes were saved, and on what that rests."""
    columns = (
        Column("mechanism", wide_ratio=0.22),
        Column("what is seen", wide_ratio=0.72),
    )
    blocks = tuple(
        Block(
            f"{_heading(one)}, {one.subject.data}",
            ((one.attribution.verdict, _words(one)),),
        )
        for one in findings
    )
    return Tabular(columns, blocks)


def deletion(findings: Iterable[Finding]) -> Tabular:
    """Return what came back after delete and each maintenance, and what a refill grew to."""
    columns = (
        Column("step"),
        Column("$n$", "r"),
        figure_column("reclaimed"),
        figure_column("time (s)"),
        figure_column("refill growth"),
    )
    blocks = []
    for one in findings:
        lines = list(_step_lines(one))
        if one.refill_growth is not None:
            lines.append(("refill", counts([one.refill_growth]), "", "", one.refill_growth))
        if lines:
            blocks.append(Block(_deleted(one), tuple(lines)))
    return Tabular(columns, tuple(blocks))


def replicas(findings: Iterable[ReplicasFinding]) -> Tabular:
    """Return what replicated systems kept, and what each copy saves; no blocks without any."""
    columns = (
        Column("moment"),
        Column("$n$", "r"),
        figure_column("copies"),
        figure_column("EDR, first"),
        figure_column("EDR, all"),
        figure_column("EDR a copy"),
        figure_column("$\\eta$, all"),
    )
    blocks = []
    for one in findings:
        distance = "" if one.distance == "none" else f" {one.distance}"
        lines = tuple(
            (entry.moment, counts(figures), *figures)
            for entry in one.moments
            for figures in [
                (entry.copies, entry.edr_first, entry.edr_all, entry.edr_each, entry.efficiency)
            ]
        )
        heading = f"{one.subject.name}, {one.subject.data}, {one.grade}{distance}"
        blocks.append(Block(heading, lines))
    return Tabular(columns, tuple(blocks))


def throughput(timings: Iterable[Timings]) -> Tabular:
    """Return objects and bytes a second, and what was written for a logical byte."""
    return _timed(timings, _SPEEDS, lambda one: True)


def latency(timings: Iterable[Timings]) -> Tabular:
    """Return percentiles of one operation: a batch in bulk and refill, else one object."""
    return _timed(timings, _LATENCIES, lambda one: True)


def open_loops(timings: Iterable[Timings]) -> Tabular:
    """Return service times and backlog of what was done at a rate; no blocks without any."""
    return _timed(timings, _OPEN, lambda one: one.offered_per_s is not None)


def calibration(found: Calibration) -> Tabular:
    """Return every known answer with what came out; what has no answer is *reported*."""
    columns = (
        Column("known answer"),
        Column("payload"),
        Column("expected", "r"),
        Column("measured", "r"),
        Column("within", "r"),
        Column("verdict"),
        Column("cases, the worst, or why", wide_ratio=0.2),
    )
    stores = dict.fromkeys(check.store for check in found.checks)
    blocks = tuple(
        Block(store, tuple(_check(one) for one in found.checks if one.store == store))
        for store in stores
    )
    return Tabular(columns, blocks)


def excluded(troubles: Iterable[Trouble]) -> Tabular:
    """Return all that does not count, with the reason."""
    columns = (
        Column("outcome"),
        Column("stage"),
        Column("cells", "r"),
        Column("reason", wide_ratio=0.6),
    )
    by_system: dict[str, list[tuple[Entry, ...]]] = {}
    for one in troubles:
        line = (one.kind, one.stage, str(len(one.cells)), one.reason)
        by_system.setdefault(one.system, []).append(line)
    return Tabular(columns, tuple(Block(name, tuple(lines)) for name, lines in by_system.items()))


def _heading(finding: Finding) -> str:
    return finding.name + (f", {finding.grade}" if finding.grade else ", U0")


def _deleted(finding: Finding) -> str:
    grade = finding.reclaim_steps[0].grade_asked if finding.reclaim_steps else ""
    return ", ".join(filter(None, (finding.name, finding.subject.data, grade)))


def _words(finding: Finding) -> str:
    told = (finding.attribution.words, finding.attribution.deletion_words)
    return " ".join(filter(None, told))


def _cost_lines(finding: Finding) -> tuple[tuple[Entry, ...], ...]:
    if not finding.costs:
        return tuple(
            ("no copies", moment, counts([row]), row, "", "")
            for moment, row in zip(MOMENTS, finding.unique_costs, strict=True)
        )
    return tuple(_cost_line(cost) for cost in finding.costs)


def _cost_line(cost: Costs) -> tuple[Entry, ...]:
    figures = (cost.unique_cost, cost.duplicate_cost, cost.dedup_efficiency)
    first = str(cost.distance) if cost.moment == MOMENTS[0] else ""
    return (first, cost.moment, counts(figures), *figures)


def _step_lines(finding: Finding) -> Iterator[tuple[Entry, ...]]:
    for step in finding.reclaim_steps:
        name = "delete" if step.stage == "delete" else step.mode or "maintenance"
        took = finding.time_of(step)
        if step.outcome == OutcomeKind.UNSUPPORTED.value:
            yield (name, "–", step, "", "")
        else:
            yield (name, counts([step, took]), step, took, "")


def _timed(
    timings: Iterable[Timings],
    figures: _Figures,
    shown: Callable[[StageTiming], bool],
) -> Tabular:
    columns = (
        Column("stage"),
        Column("loop"),
        Column("$n$", "r"),
        *(figure_column(title) for title, _ in figures),
    )
    blocks = []
    for timing in timings:
        lines = tuple(
            (one.stage, _loop(one), counts(rows), *rows)
            for one in timing.stages
            if shown(one)
            for rows in [tuple(of(one) for _, of in figures)]
        )
        if lines:
            blocks.append(Block(f"{timing.subject.name}, {timing.grade}", lines))
    return Tabular(columns, tuple(blocks), "not defined for this stage")


def _loop(stage: StageTiming) -> str:
    return f"{stage.loop}, saturated" if stage.is_saturated else stage.loop


def _check(check: Check) -> tuple[Entry, ...]:
    digits = ((check.expected, ".4f"), (check.measured, ".4f"), (check.tolerance, "g"))
    numbers = (
        "–" if value is None else f"{value:{digit}}".replace("-", "−") for value, digit in digits
    )
    what = check.what if check.unit == "ratio" else f"{check.what} ({check.unit})"
    cases = f"{check.cases}: {check.detail}" if check.cases else check.detail
    return (what, check.payload, *numbers, check.status, cases)
