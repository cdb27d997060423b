"""The present state of a run as metrics of Prometheus: what the last messages say.

Names and units follow its conventions: seconds and bytes, and ``_total`` for what only grows. What
a cell's tracer saw is there while that cell runs; what was measured stays, the last repetition
of each that counts. What can't be read now is no metric, never an older value.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from deduplab.sinks.message import Message
from deduplab.trace import ENGINE_PREFIX

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_PREFIX: Final = "deduplab_"
_CELL: Final = ("cell", "system", "variant")
_NAME: Final = (
    *("system", "variant", "layout", "payload", "grade", "distance", "volume", "rate", "clients"),
    *("replicas", "settings"),
)
_STAGE: Final = (*_NAME, "stage", "mode", "filled")
_RUN: Final = ("run",)

# labels, help
_FAMILIES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "run_info": ((*_RUN, "plan"), "The run, with its plan."),
    "run_running": (_RUN, "1 while the run goes through its cells, else 0."),
    "run_cells": (_RUN, "Cells of the run."),
    "run_cells_done": (_RUN, "Cells that are committed."),
    "run_cells_ended": ((*_RUN, "outcome"), "Cells that ended in this call, by outcome."),
    "run_cells_not_run": (_RUN, "Cells that are not run now."),
    "last_event_timestamp_seconds": (_RUN, "When something was told last."),
    "cell_info": (
        (*_RUN, "cell", *_NAME, "repetition"),
        "The cell that runs now: what the label cell stands for.",
    ),
    "cell_phase": (
        (*_RUN, "cell", "stage", "phase"),
        "1 for the stage that runs now, and what is done in it.",
    ),
    "engine": ((*_RUN, *_CELL, "counter"), "What the system tells of itself now, as it counts."),
    "stage_duration_seconds": ((*_RUN, *_STAGE), "Sum of the timed regions of a stage."),
    "stage_flush_seconds": ((*_RUN, *_STAGE), "What the flush after them took."),
    "stage_objects": ((*_RUN, *_STAGE), "Objects of a stage."),
    "stage_logical_bytes": ((*_RUN, *_STAGE), "Logical bytes of a stage."),
    "stage_unique_bytes": ((*_RUN, *_STAGE), "Unique bytes among them, by whole objects."),
    "stage_ok": ((*_RUN, *_STAGE), "1 if the measurement counts, else 0."),
    "moment_bytes": (
        (*_RUN, *_STAGE, "moment", "layer", "ruler"),
        "Settled bytes of a layer at a moment; P(0) is the moment baseline, of no stage.",
    ),
}

_SEEN: Final = {
    "files_allocated_bytes": "Allocated bytes of the system's files now, of its first member.",
    "replicas_allocated_bytes": "Allocated bytes of the files of all members now.",
    "volume_used_bytes": "Used bytes of the instance's own file system now.",
    "cpu_seconds_total": "CPU time.",
    "rss_bytes": "Resident memory now.",
    "read_bytes_total": "Bytes read from storage.",
    "write_bytes_total": "Bytes caused to be written to storage.",
}
"""Help for what a tracer sees, by the end of the metric's name."""

# Not shown, since each would be a series for every stage of a campaign; the store has them.
_UNSETTLED: Final = "flush"
_SECOND_RULER: Final = "apparent"

_NOW_NS: Final = 5_000_000_000
"""So long a value is shown as that of now: what is dear to read is not read at every tick."""

Labels = tuple[str, ...]


class Metrics:
    """Collects what messages say; a collector of ``prometheus_client``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in _FAMILIES}
        self._seen: dict[str, dict[Labels, float]] = {}
        self._read_ns: dict[str, int] = {}

    def take(self, message: Message) -> None:
        """Note what a message says."""
        with self._lock:
            getattr(self, f"_{message['type']}", self._nothing)(message, (message["run"],))
            seconds = message["at_unix_ns"] / 1e9
            self._values["last_event_timestamp_seconds"] = {(message["run"],): seconds}

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have a value now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            families = {name: dict(values) for name, values in self._values.items()}
            seen = {name: dict(values) for name, values in self._seen.items()}
        for name, values in families.items():
            labels, words = _FAMILIES[name]
            if values:
                yield _filled(GaugeMetricFamily(_PREFIX + name, words, labels=labels), values)
        for name, values in sorted(seen.items()):
            words = next((words for end, words in _SEEN.items() if name.endswith(end)), name)
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield _filled(kind(_PREFIX + name, words, labels=(*_RUN, *_CELL)), values)

    def _nothing(self, message: Message, run: Labels) -> None:
        """Take a message that changes no metric."""

    def _run_began(self, message: Message, run: Labels) -> None:
        for values in self._values.values():
            values.clear()
        self._clear_cell()
        self._values["run_info"] = {(*run, message["plan"]): 1}
        self._values["run_running"] = {run: 1}
        self._values["run_cells"] = {run: message["cells"]}
        self._values["run_cells_done"] = {run: message["done"]}

    def _run_ended(self, message: Message, run: Labels) -> None:
        self._clear_cell()
        self._values["run_running"] = {run: 0}

    def _cell_began(self, message: Message, run: Labels) -> None:
        self._clear_cell()
        labels = (*run, message["cell"], *_name(message), str(message["repetition"]))
        self._values["cell_info"] = {labels: 1}

    def _marked(self, message: Message, run: Labels) -> None:
        labels = (*run, message["cell"], message["stage"], message["phase"])
        self._values["cell_phase"] = {labels: 1}

    def _sampled(self, message: Message, run: Labels) -> None:
        cell = (*run, *(message.get(key, "") for key in _CELL))
        now_ns = message["at_unix_ns"]
        for column in [one for one, at in self._read_ns.items() if now_ns - at > _NOW_NS]:
            del self._read_ns[column]
            if column.startswith(ENGINE_PREFIX):
                self._values["engine"].pop((*cell, column.removeprefix(ENGINE_PREFIX)), None)
            else:
                self._seen.pop(_conventional(column, 0)[0], None)
        for column, value in message["values"].items():
            self._read_ns[column] = now_ns
            if column.startswith(ENGINE_PREFIX):
                self._values["engine"][*cell, column.removeprefix(ENGINE_PREFIX)] = value
            else:
                name, value = _conventional(column, value)
                self._seen[name] = {cell: value}

    def _cell_ended(self, message: Message, run: Labels) -> None:
        self._clear_cell()
        self._values["run_cells_done"] = {run: message["done"]}
        ended = self._values["run_cells_ended"]
        outcome = (*run, message["outcome"])
        ended[outcome] = ended.get(outcome, 0) + 1
        self._note_sizes(message["baseline"], (*run, *_name(message), "", "", ""))

    def _measured(self, message: Message, run: Labels) -> None:
        filled = str(message["filled"]).lower()
        labels = (*run, *_name(message), message["stage"], message["mode"], filled)
        values = self._values
        values["stage_ok"][labels] = message["outcome"] == "OK"
        if message["outcome"] != "OK":
            return  # what does not count is in no figure
        values["stage_duration_seconds"][labels] = message["duration_ns"] / 1e9
        values["stage_flush_seconds"][labels] = message["flush_ns"] / 1e9
        for name in ("objects", "logical_bytes", "unique_bytes"):
            values[f"stage_{name}"][labels] = message[name]
        self._note_sizes(message["sizes"], labels)

    def _not_run(self, message: Message, run: Labels) -> None:
        values = self._values["run_cells_not_run"]
        values[run] = values.get(run, 0) + len(message["cells"])

    def _note_sizes(self, sizes: list[Mapping[str, Any]], labels: Labels) -> None:
        for size in sizes:
            if size["moment"] == _UNSETTLED or size["ruler"] == _SECOND_RULER:
                continue
            key = (*labels, size["moment"], size["layer"], size["ruler"])
            self._values["moment_bytes"][key] = size["size_bytes"]

    def _clear_cell(self) -> None:
        for name in ("cell_info", "cell_phase", "engine"):
            self._values[name].clear()
        self._seen.clear()
        self._read_ns.clear()


def _filled(family: Any, values: Mapping[Labels, float]) -> Any:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _name(message: Message) -> Labels:
    rate = message["rate_per_s"]
    shown = {
        "grade": f"U{message['grade_percent']}",
        "rate": "" if rate is None else f"{rate:g}",
    }
    return tuple(shown[key] if key in shown else str(message[key]) for key in _NAME)


def _conventional(column: str, value: float) -> tuple[str, float]:
    """Return the name and value of a trace's column by Prometheus' conventions."""
    if column.endswith("cpu_ns"):
        return column.removesuffix("ns") + "seconds_total", value / 1e9
    if column.endswith(("_read_bytes", "_write_bytes")):
        return f"{column}_total", value
    return column, value
