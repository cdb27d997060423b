"""The HTML report: one file that needs nothing else, made offline from a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

import deduplab
from deduplab.analysis.attribution import THRESHOLDS, window_words
from deduplab.analysis.calibration import HARNESS, REFERENCES
from deduplab.analysis.coverage import Trouble, coverage
from deduplab.analysis.figures import Figures
from deduplab.analysis.known_answer import Check
from deduplab.analysis.lookup import DISTANCES, FILES, MOMENTS
from deduplab.analysis.replicas import replicas_findings
from deduplab.analysis.row import Row
from deduplab.analysis.series import cold_reads, footprint_bars, timings
from deduplab.analysis.statistics import LEAST_REPETITIONS, RESAMPLES
from deduplab.analysis.storage_layer import volume_findings
from deduplab.analysis.tables import Finding, findings_of, findings_table
from deduplab.errors import unwritten
from deduplab.report import figures, trace_section, wording
from deduplab.report.identity import identity_of
from deduplab.report.page import Drawing, page_environment
from deduplab.store import Run

_KNOWN = frozenset((*REFERENCES, HARNESS))


@dataclass(frozen=True, slots=True)
class Overview:
    """Which answer, by its number, stands at which system (row) and data (column)."""

    systems: tuple[str, ...]
    data: tuple[str, ...]
    places: dict[tuple[str, str], int]


def write(run: Run, target: Path, known: Figures | None = None) -> Path:
    """Write the report of a run into one HTML file and return its path.

    ``known`` are the figures of the same run, for a caller that has them; they are
    derived otherwise.

    Works for runs that are not finished and for runs in which nothing counts.

    Raises
    ------
    StoreError
        If the run can't be read or the file can't be written.
    """
    page = render(run, known)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritten(f"the report can't be written to {target}", error) from error
    return target


def render(run: Run, known: Figures | None = None) -> str:
    """Return the report of a run as HTML; ``known`` as in :func:`write`."""
    environment = page_environment()
    environment.filters |= {
        "value": wording.value,
        "interval": wording.interval,
        "span": wording.span,
        "count": wording.count,
        "remark": wording.remark,
        "repetitions": wording.repetitions,
        "rate": trace_section.rate,
        "percent": trace_section.percent,
        "lacking": trace_section.lacking,
        "no_traces": trace_section.no_traces,
    }
    content = _content(run, known or Figures.of(run))
    return environment.get_template("report.html.j2").render(content)


def _content(run: Run, given: Figures) -> dict[str, Any]:
    header, results, rows = run.header, given.cells, given.rows
    found = coverage(header, results)
    answers = findings_of(rows, found.rest_windows_s)
    tested = [entry for entry in answers if entry.subject.system not in _KNOWN]
    calibration = given.calibration
    known = [entry for entry in answers if entry.subject.system in _KNOWN]
    answers = [*tested, *known]
    timed = [
        entry
        for references in (False, True)
        for entry in timings(_of_systems(rows, known=references))
    ]
    return {
        "version": deduplab.__version__,
        "header": header,
        "identity": identity_of(header),
        "created": datetime.fromtimestamp(header.created_unix_ns / 1e9, UTC),
        "plan_text": run.plan_text,
        "calibration": calibration,
        "harness": [check for check in calibration.checks if _is_harness(check)],
        "coverage": found,
        "census": given.census,
        "environment": _flat(header.environment),
        "reference_overview": findings_table(known),
        "answers": tested,
        "overview": _overview(tested),
        "moments": MOMENTS,
        "distances": _distances(tested),
        "etas": _efficiencies(answers),
        "footprints": [
            Drawing(
                f"{bars.subject.name}, {bars.subject.data}, {bars.grade} {bars.distance}"
                + ("" if bars.layer == FILES[0] else f", layer {bars.layer}"),
                figures.footprints(bars, f"footprint-{number}"),
            )
            for number, bars in enumerate(footprint_bars(_of_systems(rows, known=False)))
        ],
        "volumes": volume_findings(rows),
        "replicas": replicas_findings(rows),
        "timings": timed,
        "cold_reads": cold_reads(rows),
        "several_clients": any(stage.clients for entry in timed for stage in entry.stages),
        "open_loops": any(stage.offered_per_s for entry in timed for stage in entry.stages),
        **trace_section.content(run, results),
        "speeds": _speeds(entry for entry in timed if entry.subject.system != HARNESS),
        "deletions": [entry for entry in answers if entry.reclaim_steps or entry.refill_growth],
        "troubles": [
            (trouble, _curve(trouble, number)) for number, trouble in enumerate(found.troubles)
        ],
        "gaps": _gaps(rows),
        "thresholds": THRESHOLDS,
        "window": window_words(found.rest_windows_s),
        "command": header.command(Path("plan.toml")),
        "resamples": RESAMPLES,
        "least_repetitions": LEAST_REPETITIONS,
    }


def _overview(answers: Sequence[Finding]) -> Overview | None:
    """Return answers by system and data; None where there is but one of either to choose from."""
    systems = tuple(dict.fromkeys(entry.subject.name for entry in answers))
    data = tuple(dict.fromkeys(entry.subject.data for entry in answers))
    if len(systems) < 2 or len(data) < 2:
        return None
    places = {
        (entry.subject.name, entry.subject.data): number for number, entry in enumerate(answers)
    }
    return Overview(systems, tuple(sorted(data)), places)


def _distances(answers: Iterable[Finding]) -> tuple[str, ...]:
    """Return those of adjacent and shuffled that the plan has, both if it has neither."""
    found = {cost.distance for entry in answers for cost in entry.costs}
    return tuple(name for name in DISTANCES if name in found) or DISTANCES


def _of_systems(rows: Iterable[Row], *, known: bool) -> list[Row]:
    """Return the rows of stores with a known answer, or of all others."""
    return [row for row in rows if (row.system in _KNOWN) is known]


def _is_harness(check: Check) -> bool:
    return check.store == HARNESS and check.status == "reported"


def _efficiencies(answers: Iterable[Finding]) -> list[Drawing]:
    drawings = []
    for payload, part in _by_payload(answers, lambda entry: entry.subject.data).items():
        drawing = figures.efficiency(part, f"eta-{payload}")
        if drawing is not None:
            drawings.append(Drawing(payload, drawing))
    return drawings


def _speeds(timed: Iterable[Any]) -> list[Drawing]:
    drawings = []
    for payload, part in _by_payload(timed, lambda entry: entry.subject.data).items():
        for what, draw in (("throughput", figures.throughput), ("latency", figures.latency)):
            drawing = draw(part, f"{what}-{payload}")
            if drawing is not None:
                drawings.append(Drawing(f"{payload}: {what}", drawing))
    return drawings


def _by_payload(entries: Iterable[Any], payload_of: Any) -> dict[str, list[Any]]:
    parts: dict[str, list[Any]] = {}
    for entry in entries:
        parts.setdefault(payload_of(entry), []).append(entry)
    return parts


def _curve(trouble: Trouble, number: int) -> Markup | None:
    return figures.curve(trouble, f"curve-{number}")


def _gaps(rows: Iterable[Row]) -> list[Row]:
    """Return the rulers' gap of every U0 group after bulk."""
    return [
        row
        for row in rows
        if row.metric == "apparent_per_allocated"
        and (row.grade_asked, row.stage, row.moment) == ("U0", "bulk", "rest")
    ]


def _flat(environment: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested names and values as one list of text pairs."""
    pairs: list[tuple[str, str]] = []
    for name, entry in environment.items():
        if isinstance(entry, dict):
            pairs += _flat(entry, f"{prefix}{name} ")
        elif entry is not None:
            words = ", ".join(map(str, entry)) if isinstance(entry, list) else str(entry)
            pairs.append((f"{prefix}{name}", words))
    return pairs
