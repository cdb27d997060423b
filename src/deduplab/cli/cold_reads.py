"""Cold reads on the console: beside warm ones, with what was in the page cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from deduplab.analysis.row import Row
from deduplab.analysis.series import ColdRead, cold_reads
from deduplab.analysis.tables import Header, Table
from deduplab.report.wording import value

_LEGEND: Final = (
    "The instance was restarted and the page cache let go of its files. In the page cache: before "
    "that, after it, and when the reads began, which is what the system's own start has read. "
    "Latencies of one object, the first of all, then cold and warm."
)
_TITLES: Final = (
    *("restart", "cached", "dropped to", "at read", "first"),
    *("p50 cold", "p50 warm", "p99 cold", "p99 warm"),
)


def cold_read_table(rows: Iterable[Row]) -> Table:
    """Return cold reads as a table of text, at the lowest grade of each system."""
    headers = (
        *(Header(title) for title in ("system", "payload", "grade")),
        *(Header(title, "right") for title in _TITLES),
    )
    lines = tuple(
        (found.subject.name, found.subject.data, found.grade, *map(value, _shown(found)))
        for found in cold_reads(rows)
    )
    return Table("Cold reads", headers, lines, _LEGEND)


def _shown(found: ColdRead) -> tuple[Row | None, ...]:
    cold, warm = found.cold, found.warm
    return (
        *(found.restart_s, found.before_bytes, found.after_bytes, found.at_read_bytes),
        *(found.first, cold.p50, warm.p50 if warm else None),
        *(cold.p99, warm.p99 if warm else None),
    )
