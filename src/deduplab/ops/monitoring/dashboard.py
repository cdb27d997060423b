"""The dashboard for Grafana: a run as it goes on, the cell in hand, and what was measured.

Written by the JSON model of dashboards (schema version 36, Grafana 9 and later). Its data source is
a variable, so that it can be imported anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

UID: Final = "deduplab-run"
TITLE: Final = "deduplab: a run"
_SCHEMA: Final = 36
_WIDTH: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_RUN: Final = 'run="$run"'
_SAME: Final = (
    "run,system,variant,layout,payload,grade,distance,volume,rate,clients,replicas,settings"
)
_RATE: Final = "[30s]"

# The settled bytes of a dataset, with those of the empty instance taken off.
_STORED: Final = (
    f'(deduplab_moment_bytes{{{_RUN},stage="bulk",moment="rest",layer="FILES"}}'
    f" - on ({_SAME}) group_left ()"
    f' deduplab_moment_bytes{{{_RUN},moment="baseline",layer="FILES"}})'
)
_LOGICAL: Final = f'deduplab_stage_logical_bytes{{{_RUN},stage="bulk"}}'
_NAMED: Final = "{{system}}/{{variant}} {{payload}} {{grade}} {{distance}} {{settings}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, and how.

    Attributes
    ----------
    kind
        Grafana's name of it.
    queries
        Pairs of an expression and its legend.
    unit
        Grafana's name of the unit.
    columns, rows
        How large it is; a dashboard has 24 columns.
    instant
        Whether the present value is shown, not a curve.
    options
        What the kind of panel takes besides.
    """

    title: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    columns: int = 8
    rows: int = 8
    instant: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    words: str = ""


def _of_cell(metric: str) -> str:
    return f"{metric}{{{_RUN}}}"


PANELS: Final = (
    Panel(
        "Cells done",
        "gauge",
        ((f"deduplab_run_cells_done{{{_RUN}}} / deduplab_run_cells{{{_RUN}}}", "done"),),
        unit="percentunit",
        columns=4,
        rows=6,
        instant=True,
        words="Committed cells of all cells of the run.",
    ),
    Panel(
        "Outcomes",
        "stat",
        (
            (f"deduplab_run_cells_ended{{{_RUN}}}", "{{outcome}}"),
            (f"deduplab_run_cells_not_run{{{_RUN}}}", "not run"),
        ),
        columns=5,
        rows=6,
        instant=True,
        words="Cells that ended since the run was begun or gone on with.",
    ),
    Panel(
        "Since something was told",
        "stat",
        ((f"time() - deduplab_last_event_timestamp_seconds{{{_RUN}}}", "ago"),),
        unit="s",
        columns=3,
        rows=6,
        instant=True,
        words="A run that is traced tells something ten times a second.",
    ),
    Panel(
        "The cell in hand",
        "table",
        ((f"deduplab_cell_info{{{_RUN}}}", ""),),
        columns=12,
        rows=6,
        instant=True,
    ),
    Panel(
        "Size of the system's files",
        "timeseries",
        (
            (_of_cell("deduplab_files_allocated_bytes"), "files, {{system}}/{{variant}}"),
            (_of_cell("deduplab_volume_used_bytes"), "volume, {{system}}/{{variant}}"),
        ),
        unit="bytes",
        columns=12,
        words="Allocated bytes now. They count when they have settled: see 'Bytes for a byte'.",
    ),
    Panel(
        "What is being done",
        "state-timeline",
        ((_of_cell("deduplab_cell_phase"), "{{stage}} {{phase}}"),),
        columns=12,
    ),
    Panel(
        "CPU of the system and of its client",
        "timeseries",
        (
            (f"rate({_of_cell('deduplab_system_cpu_seconds_total')}{_RATE})", "{{system}}"),
            (f"rate({_of_cell('deduplab_client_cpu_seconds_total')}{_RATE})", "client"),
        ),
        words="Cores. An embedded engine is its own client.",
    ),
    Panel(
        "Written to and read from storage",
        "timeseries",
        (
            (f"rate({_of_cell('deduplab_system_write_bytes_total')}{_RATE})", "written"),
            (f"rate({_of_cell('deduplab_system_read_bytes_total')}{_RATE})", "read"),
        ),
        unit="Bps",
    ),
    Panel(
        "Memory",
        "timeseries",
        (
            (_of_cell("deduplab_system_rss_bytes"), "{{system}}"),
            (_of_cell("deduplab_client_rss_bytes"), "client"),
        ),
        unit="bytes",
        words="Resident; pages that processes share count once for each.",
    ),
    Panel(
        "What the system tells of itself",
        "timeseries",
        ((_of_cell("deduplab_engine"), "{{counter}}"),),
        columns=24,
        words="The counters of the adapter, as they are: most only grow.",
    ),
    Panel(
        "Bytes for a byte: bulk, at rest",
        "bargauge",
        ((f"{_STORED} / on ({_SAME}) {_LOGICAL}", _NAMED),),
        columns=12,
        rows=10,
        instant=True,
        options={"orientation": "horizontal"},
        words="Bytes of files at rest, without those of the empty instance, for each logical byte.",
    ),
    Panel(
        "Bulk",
        "bargauge",
        ((f'{_LOGICAL} / deduplab_stage_duration_seconds{{{_RUN},stage="bulk"}}', _NAMED),),
        unit="Bps",
        columns=12,
        rows=10,
        instant=True,
        options={"orientation": "horizontal"},
        words="Logical bytes a second of the timed regions.",
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as a JSON object."""
    return {
        "uid": UID,
        "title": TITLE,
        "tags": ["deduplab"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {"list": [_data_source(), _run()]},
        "panels": _placed(),
    }


def _data_source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }


def _run() -> dict[str, Any]:
    query = "label_values(deduplab_run_info, run)"
    return {
        "name": "run",
        "label": "Run",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "runs"},
        "definition": query,
        "refresh": 2,  # at each change of the time range
        "sort": 2,  # the newest first: names end with the time
    }


def _placed() -> list[dict[str, Any]]:
    """Return the panels, one after the other in rows."""
    found = []
    x = y = tallest = 0
    for number, panel in enumerate(PANELS, start=1):
        if x + panel.columns > _WIDTH:
            x, y, tallest = 0, y + tallest, 0
        place = {"x": x, "y": y, "w": panel.columns, "h": panel.rows}
        found.append({"id": number, "gridPos": place, **_shown(panel)})
        x, tallest = x + panel.columns, max(tallest, panel.rows)
    return found


def _shown(panel: Panel) -> dict[str, Any]:
    form = "table" if panel.kind == "table" else "time_series"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "instant": panel.instant,
            "range": not panel.instant,
            "format": form,
        }
        for number, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "title": panel.title,
        "description": panel.words,
        "type": panel.kind,
        "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": panel.options,
    }
