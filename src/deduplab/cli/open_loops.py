"""Open loops on the console: what was offered, what was attained, and how late operations were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from deduplab.analysis.row import Row
from deduplab.analysis.series import StageTiming, timings
from deduplab.analysis.tables import Header, Table
from deduplab.report.wording import value

_LEGEND: Final = (
    "Latency: from when an operation was due, waiting for others included. Service: from when it "
    "began. Backlog: how late the last one began. Saturated: it did not keep up, so latencies grow "
    "with the length of the stage."
)


def open_loops(rows: Iterable[Row]) -> Table:
    """Return what open loops gave as a table of text, at the lowest grade of each system."""
    titles = ("offered/s", "attained/s", "p50", "p99", "service p50", "service p99", "backlog")
    headers = (
        *(Header(title) for title in ("system", "payload", "grade", "stage")),
        *(Header(title, "right") for title in titles),
        Header("kept up"),
    )
    lines = tuple(
        (found.subject.name, found.subject.data, found.grade, stage.stage, *_numbers(stage))
        for found in timings(rows)
        for stage in found.stages
        if stage.offered_per_s is not None
    )
    return Table("Open loops", headers, lines, _LEGEND)


def _numbers(stage: StageTiming) -> tuple[str, ...]:
    rows = (
        *(stage.offered_per_s, stage.objects_per_s, stage.p50, stage.p99),
        *(stage.service_p50, stage.service_p99, stage.backlog_s),
    )
    return (*map(value, rows), "saturated" if stage.is_saturated else "yes")
