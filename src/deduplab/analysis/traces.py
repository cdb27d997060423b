"""The traces of a run: which of them stand for their systems, and what is drawn of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from deduplab.analysis.calibration import HARNESS, REFERENCES
from deduplab.analysis.trace_account import TraceAccount, account_of
from deduplab.analysis.trace_rates import Curve, cores, seconds, thinned, window_s
from deduplab.analysis.trace_spans import Span, spans
from deduplab.cell import Cell, CellResult, shown_system
from deduplab.errors import StoreError
from deduplab.store import Run
from deduplab.trace import CLIENT_PREFIX, FILES_COLUMN, SYSTEM_PREFIX, VOLUME_COLUMN, Trace

MOST_DRAWN: Final = 12
LEAST_SAMPLES: Final = 4
"""A trace of fewer makes no line."""
_NOT_SAID: Final = "it is not said why"
_NOT_ASKED: Final = "none was asked for (trace_hz = 0, or a deduplab that took none)"


@dataclass(frozen=True, slots=True)
class Picture:
    """What a figure draws of one trace; a curve is None where nothing of it was seen.

    Sizes are in multiples of ``logical_bytes``, those of bulk; CPU is in cores, smoothed over
    ``window_s``.
    """

    begin_s: float
    end_s: float
    spans: tuple[Span, ...]
    logical_bytes: int
    files: Curve | None
    volume: Curve | None
    system_cores: Curve | None
    client_cores: Curve | None
    window_s: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """The cell that stands for its system: the whole account, and a picture unless too short.

    ``damaged`` says why the trace could not be read; then there is neither.
    """

    cell: Cell
    outcome: str
    account: TraceAccount | None
    picture: Picture | None
    damaged: str = ""


@dataclass(frozen=True, slots=True)
class SystemTraces:
    """The traces of one variant of a system on one kind of volume.

    ``missing`` are the reasons why cells have none, with their number. ``chosen`` is None
    where there is none, or where the system is not among those that are drawn.
    """

    name: str
    cells: int
    traced: int
    missing: tuple[tuple[str, int], ...]
    chosen: Chosen | None


@dataclass(frozen=True, slots=True)
class RunTraces:
    """The traces of a run, by system."""

    systems: tuple[SystemTraces, ...]

    @property
    def traced(self) -> int:
        """How many cells have a trace."""
        return sum(system.traced for system in self.systems)

    @property
    def cells(self) -> int:
        """How many cells were to have one."""
        return sum(system.cells for system in self.systems)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The systems that have traces, none of which was looked at."""
        return tuple(one.name for one in self.systems if one.traced and not one.chosen)


class _Part(NamedTuple):
    """The cells of one system that have a trace, and why the others have none."""

    traced: list[CellResult]
    missing: Counter[str]


def traces_of(run: Run, results: Iterable[CellResult]) -> RunTraces | None:
    """Return the traces of a run; None where its plan asks for none.

    One is read of each system that is drawn; of the others it is only looked whether they are
    there.
    """
    traced_ids = run.traced_ids()
    parts: dict[tuple[str, str, str], _Part] = {}
    for result in results:
        cell = result.cell
        if cell.trace_hz:
            part = parts.setdefault((cell.system, cell.variant, cell.volume), _Part([], Counter()))
            if cell.cell_id in traced_ids:
                part.traced.append(result)
            else:
                part.missing[why_missing(result)] += 1
    if not parts:
        return None
    drawn = _drawn(system for system, part in parts.items() if part.traced)
    return RunTraces(
        tuple(
            SystemTraces(
                name=_name(*system),
                cells=len(parts[system].traced) + parts[system].missing.total(),
                traced=len(parts[system].traced),
                missing=tuple(parts[system].missing.most_common()),
                chosen=_chosen(run, parts[system].traced) if system in drawn else None,
            )
            for system in sorted(parts, key=_order)
        )
    )


def best(results: Sequence[CellResult]) -> CellResult:
    """Choose the cell that stands for others: of the largest grade, in the first repetition.

    One that went well before one that did not; where several are left, in blob and shuffled.
    """

    def place(result: CellResult) -> tuple[Any, ...]:
        cell = result.cell
        return (
            not result.outcome.ok,
            -cell.bulk.grade_percent,
            cell.repetition,
            cell.layout != "blob",
            cell.bulk.distance != "shuffled",
            cell.bulk.payload,
        )

    return min(results, key=place)


def picture_of(result: CellResult, trace: Trace) -> Picture | None:
    """Return what is drawn of a trace; None where it has too few samples for a line."""
    if len(trace.at_ns) < LEAST_SAMPLES:
        return None
    at_s = seconds(trace)
    manifest = result.bulk_manifest
    logical_bytes = manifest.logical_bytes if manifest else result.cell.bulk.logical_bytes
    window = window_s(trace)

    def size(column: str) -> Curve | None:
        values = trace.columns.get(column)
        return None if values is None else thinned(Curve(at_s, values / logical_bytes))

    def use(prefix: str) -> Curve | None:
        values = cores(trace, f"{prefix}cpu_ns", window)
        return None if values is None else thinned(Curve(at_s, values))

    return Picture(
        begin_s=float(at_s[0]),
        end_s=float(at_s[-1]),
        spans=spans(trace),
        logical_bytes=logical_bytes,
        files=size(FILES_COLUMN),
        volume=size(VOLUME_COLUMN),
        system_cores=use(SYSTEM_PREFIX),
        client_cores=use(CLIENT_PREFIX),
        window_s=window,
    )


def why_missing(result: CellResult) -> str:
    """Return why a cell has no trace."""
    return result.no_trace or (_NOT_SAID if result.cell.trace_hz else _NOT_ASKED)


def _name(system: str, variant: str, volume: str) -> str:
    """Return a system for people, with its variant and volume where they are unusual."""
    name = shown_system(system, variant)
    return name if volume == "none" else f"{name} on {volume}"


def _order(system: tuple[str, str, str]) -> tuple[Any, ...]:
    """Put stores with a known answer last, and the one that stores nothing behind them."""
    return system[0] == HARNESS, system[0] in REFERENCES, system


def _drawn(systems: Iterable[tuple[str, str, str]]) -> frozenset[tuple[str, str, str]]:
    """Choose whom there is room for: a variant of each system before a second of any."""
    seen: Counter[str] = Counter()
    places = []
    for system in sorted(systems, key=_order):
        places.append((system[0] in (*REFERENCES, HARNESS), seen[system[0]], _order(system)))
        seen[system[0]] += 1
    return frozenset(order[-1] for _, _, order in sorted(places)[:MOST_DRAWN])


def _chosen(run: Run, results: Sequence[CellResult]) -> Chosen:
    result = best(results)
    cell = result.cell
    outcome = "" if result.outcome.ok else result.outcome.kind.value
    try:
        trace = run.trace(cell.cell_id)
    except StoreError as error:
        return Chosen(cell, outcome, None, None, str(error))
    if trace is None:  # it was removed meanwhile
        return Chosen(cell, outcome, None, None, "it is not there any more")
    account = account_of(trace, has_volume=cell.volume != "none")
    return Chosen(cell, outcome, account, picture_of(result, trace))
