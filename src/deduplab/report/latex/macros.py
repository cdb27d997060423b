r"""Macros: each figure of a run under a name of its own, so that a text cites it by name.

A name is made of what the figure belongs to, in this order, each part with a capital and each
digit as a word: system, variant (but for ``default``), payload, layout (but for ``blob``),
placement (but for ``within``), rate, clients, replicas, grade, distance, stage, moment, maintenance
mode, and the figure: ``\dlSqliteRandomBinaryUNineZeroShuffledBulkRestEta``. It depends on nothing
else, so the same plan gives the same names in every run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from deduplab.analysis.lookup import REPLICAS, Lookup, Subject
from deduplab.analysis.replicas import COPIES, EDR_REPLICA
from deduplab.analysis.row import Row
from deduplab.model import Ruler
from deduplab.report.latex.escape import escape
from deduplab.report.latex.numerals import numeral
from deduplab.units import format_rate

FIGURES: Final = {
    "edr": "Edr",
    "unique_cost": "UniqueCost",
    "duplicate_cost": "DuplicateCost",
    "dedup_efficiency": "Eta",
    "reclaimed": "Reclaimed",
    "time_to_reclaim": "TimeToReclaim",
    "refill_growth": "RefillGrowth",
    "edr_replica": "EdrReplica",
    "physical_copies": "PhysicalCopies",
    "objects_per_s": "ObjectsPerSecond",
    "bytes_per_s": "MegabytesPerSecond",
    "latency_p50_ns": "LatencyMedian",
    "latency_p99_ns": "LatencyNinetyNine",
    "service_p50_ns": "ServiceMedian",
    "service_p99_ns": "ServiceNinetyNine",
    "offered_per_s": "OfferedPerSecond",
    "backlog_s": "Backlog",
    "write_amplification": "WriteAmplification",
}
"""Metrics of rows that have macros, and what their names end with."""

_OF_REPLICAS: Final = (EDR_REPLICA, COPIES)
_ALL_MEMBERS: Final = (REPLICAS, Ruler.ALLOCATED.value)

_DIGITS: Final = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_WORDS: Final = re.compile(r"[A-Za-z]+|[0-9]")


def macro_name(row: Row) -> str:
    """Return the name of a row's macro, without its backslash."""
    usual = (("default", row.variant), ("blob", row.layout), ("within", row.placement))
    variant, layout, placement = ("" if given == value else given for value, given in usual)
    parts = [
        *(row.system, variant, row.payload, layout, placement),
        "" if row.rate_per_s is None else f"at {format_rate(row.rate_per_s)}",
        "" if row.clients == 1 else f"by {row.clients} clients",
        "" if row.replicas == 1 else f"with {row.replicas} replicas",
        row.grade_asked,
        "" if row.distance == "none" else str(row.distance),
        row.stage or "",
        row.moment or "",
        (row.mode or "") if row.stage == "reclaim" else "",
    ]
    return "dl" + "".join(_capitals(part) for part in parts) + FIGURES[row.metric]


def macros(rows: Iterable[Row]) -> list[tuple[str, Row]]:
    """Return the figures that have macros, with their names.

    Byte figures are those of one layer a subject: FILES allocated, or ENGINE where the files are
    out of reach; those of replicas are of REPLICAS allocated. Figures whose names would be the same
    are told apart by a number.
    """
    found = list(rows)
    lookup = Lookup(found)
    named: dict[str, Row] = {}
    for row in found:
        gauge = _ALL_MEMBERS if row.metric in _OF_REPLICAS else lookup.gauge(Subject.of(row))
        if row.metric not in FIGURES or (row.layer, row.ruler) not in (gauge, (None, None)):
            continue
        name = macro_name(row)
        number = 2
        while name in named:
            name = macro_name(row) + _capitals(str(number))
            number += 1
        named[name] = row
    return list(named.items())


def definitions(named: Iterable[tuple[str, Row]]) -> Iterator[str]:
    """Yield the lines that define each figure: value, interval, n; or a dash, and why."""
    for name, row in named:
        if row.value is None:
            yield f"\\newcommand{{\\{name}}}{{\\dlMissing}}"
            yield f"\\newcommand{{\\{name}Why}}{{{escape(row.reason or row.outcome)}}}"
            continue
        values = {"": row.value, "Low": row.ci_low, "High": row.ci_high}
        for ending, value in values.items():
            shown = "\\dlMissing" if value is None else numeral(value, row.unit)
            yield f"\\newcommand{{\\{name}{ending}}}{{{shown}}}"
        yield f"\\newcommand{{\\{name}N}}{{{row.n}}}"
        if row.reason:
            yield f"\\newcommand{{\\{name}Remark}}{{{escape(row.reason)}}}"


def _capitals(text: str) -> str:
    """Return the letters and digits of a text, each word with a capital, digits as words."""
    plain = unicodedata.normalize("NFKD", text)
    words = _WORDS.findall(plain.encode("ascii", "ignore").decode())
    return "".join(
        _DIGITS[int(word)] if word.isdigit() else word[0].upper() + word[1:] for word in words
    )
