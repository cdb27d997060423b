"""The section of the report about traces: its figures, captions and words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from deduplab.analysis.traces import LEAST_SAMPLES, Chosen, RunTraces, SystemTraces, traces_of
from deduplab.cell import CellResult
from deduplab.report import trace_figures
from deduplab.report.page import Drawing
from deduplab.store import Run

_ABSENT: Final = "–"
_KEY: Final = (
    ("files", trace_figures.FILES_COLOUR),
    ("volume", trace_figures.VOLUME_COLOUR),
    *trace_figures.PART_COLOURS.items(),
    ("CPU of the system", trace_figures.SYSTEM_COLOUR),
    ("of the client", trace_figures.CLIENT_COLOUR),
)


def content(run: Run, results: Iterable[CellResult]) -> dict[str, Any]:
    """Return what the template of the section is filled with."""
    found = traces_of(run, results)
    return {
        "traces": found,
        "trace_key": [
            (name, colour)
            for name, colour in _KEY
            if name != "volume" or any(map(_has_volume, found.systems if found else ()))
        ],
        "trace_figures": [
            Drawing(
                _caption(system.name, system.chosen),
                trace_figures.trace(
                    system.chosen.picture, f"trace-{number}", f"Trace of {system.name} over seconds"
                ),
            )
            for number, system in enumerate(found.systems if found else ())
            if system.chosen and system.chosen.picture
        ],
    }


def rate(value: float | None) -> str:
    """Write how often a second; nothing where that can't be told."""
    return _ABSENT if value is None else f"{value:.1f}"


def percent(share: float | None) -> str:
    """Write a share in percent, to one digit."""
    return _ABSENT if share is None else f"{100 * share:.1f}"


def lacking(system: SystemTraces) -> str:
    """Write what is missing in the trace of a system, and of which cells there is none."""
    parts = []
    if system.missing:
        parts.append(f"no trace of {_reasons(system.missing)}")
    chosen = system.chosen
    if chosen is None:
        return "; ".join(parts or ["not drawn"])
    if chosen.damaged:
        parts.append(chosen.damaged)
    if chosen.account:
        parts += [lack.words for lack in chosen.account.lacks]
        if chosen.account.kept_of > 1:
            parts.append(f"one of {chosen.account.kept_of} samples was kept")
        if not chosen.picture:
            parts.append(f"fewer than {LEAST_SAMPLES} samples, too few to draw")
    return "; ".join(parts)


def no_traces(traces: RunTraces) -> str:
    """Write why no cell of a run has a trace."""
    counts: dict[str, int] = {}
    for system in traces.systems:
        for reason, cells in system.missing:
            counts[reason] = counts.get(reason, 0) + cells
    return _reasons(counts.items())


def _has_volume(system: SystemTraces) -> bool:
    picture = system.chosen.picture if system.chosen else None
    return picture is not None and picture.volume is not None


def _caption(name: str, chosen: Chosen) -> str:
    cell = chosen.cell
    spec = cell.bulk
    distance = f" {spec.distance_name}" if spec.grade_percent else ""
    words = f"{name}, {spec.payload}, U{spec.grade_percent}{distance}"
    words += f", {cell.layout}" if cell.layout != "blob" else ""
    return f"{words} ({chosen.outcome})" if chosen.outcome else words


def _reasons(counted: Iterable[tuple[str, int]]) -> str:
    return ", ".join(
        f"{cells} cell{'s' if cells > 1 else ''} ({reason})" for reason, cells in counted
    )
