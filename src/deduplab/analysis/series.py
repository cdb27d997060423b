"""Series: the numbers that figures draw, taken from rows and scaled, so that figures only draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from deduplab.analysis.lookup import DISTANCES, Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.model import DEDUPE, Stage
from deduplab.units import format_rate

COLD_READ: Final = Stage.COLD_READ.value
_TIMED: Final = ("bulk", "insert", "read", COLD_READ, "delete", "refill")
_COLD: Final = (
    "latency_first_ns",
    "restart_s",
    "cold_file_bytes",
    "resident_before_bytes",
    "resident_after_bytes",
    "resident_at_read_bytes",
)


@dataclass(slots=True)
class Bar:
    """The footprint at one point of the chain, by component, in multiples of bulk's logical bytes.

    ``parts`` is empty where the footprint does not count; ``reason`` says why.
    """

    label: str
    parts: dict[str, float] = field(default_factory=dict)
    total_ratio: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """The footprints of one subject over the chain, settled ones only, as ``layer`` counts them."""

    subject: Subject
    grade: str
    distance: str | int
    layer: str
    logical_bytes: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Throughput and latency rows of one stage; None where there is no such figure.

    The last seven are those of an open loop: the rate that was offered, service times, how late
    the last operation began, and whether that was more than the system could do (1) or not (0);
    and of several clients: how many, and the share of their time in which they waited for the last.
    """

    stage: str
    objects_per_s: Row | None
    bytes_per_s: Row | None
    p50: Row | None
    p99: Row | None
    write_amplification: Row | None
    offered_per_s: Row | None = None
    service_p50: Row | None = None
    service_p99: Row | None = None
    backlog_s: Row | None = None
    saturated: Row | None = None
    clients: Row | None = None
    clients_idle_ratio: Row | None = None

    @property
    def loop(self) -> str:
        """``closed``, or the rate that was offered; with the clients where there were several."""
        offered = self.offered_per_s.value if self.offered_per_s else None
        loop = "closed" if offered is None else f"open, {format_rate(offered)}"
        clients = self.clients.value if self.clients else None
        return loop if clients is None else f"{loop}, {clients:.0f} clients"

    @property
    def is_saturated(self) -> bool:
        """Whether more was offered, in any repetition, than the system could do."""
        return bool(self.saturated and self.saturated.value)


@dataclass(frozen=True, slots=True)
class ColdRead:
    """What a cold read of one subject took, at its lowest grade, with the warm one beside it.

    ``warm`` is None where the plan reads cold alone; of the others those are None that have no
    figure.
    """

    subject: Subject
    grade: str
    cold: StageTiming
    warm: StageTiming | None
    first: Row | None
    restart_s: Row | None
    file_bytes: Row | None
    before_bytes: Row | None
    after_bytes: Row | None
    at_read_bytes: Row | None


@dataclass(frozen=True, slots=True)
class Timings:
    """What the stages of one subject took, at its lowest grade."""

    subject: Subject
    grade: str
    stages: tuple[StageTiming, ...]


def footprint_bars(rows: Iterable[Row]) -> list[Bars]:
    """Return, for each subject, the chain's footprints at its highest grade (shuffled if there)."""
    found = list(rows)
    lookup = Lookup(found)
    chosen = {subject: _chosen(lookup, subject) for subject in lookup.subjects()}
    bars: dict[Subject, dict[str, Bar]] = {subject: {} for subject in chosen}
    for row in found:
        subject = Subject.of(row)
        name, _, component = row.metric.partition(":")
        if (
            name in ("footprint_bytes", "baseline_bytes")
            and (row.layer, row.ruler) == lookup.gauge(subject)
            and (row.grade_asked, row.distance) == chosen[subject]
            and row.moment != "flush"
        ):
            bar = bars[subject].setdefault(_label(row), Bar(_label(row)))
            logical_bytes = _logical_bytes(lookup, subject, chosen[subject])
            if row.value is None:
                bar.reason = row.reason
            elif component and logical_bytes:
                bar.parts[component] = row.value / logical_bytes
            elif logical_bytes:
                bar.total_ratio = row.value / logical_bytes
    return [
        Bars(subject, *chosen[subject], lookup.gauge(subject)[0],
             _logical_bytes(lookup, subject, chosen[subject]),
             tuple(parts.values()))
        for subject, parts in bars.items()
        if parts
    ]  # fmt: skip


def timings(rows: Iterable[Row]) -> list[Timings]:
    """Return what the stages took for each subject, at its lowest grade: U0 where it counts."""
    lookup = Lookup(rows)
    return [Timings(subject, grade, stages) for subject, grade, _, stages in _lowest_grades(lookup)]


def cold_reads(rows: Iterable[Row]) -> list[ColdRead]:
    """Return the cold reads of each subject, at its lowest grade."""
    lookup = Lookup(rows)
    found = []
    for subject, grade, distance, stages in _lowest_grades(lookup):
        by_name = {one.stage: one for one in stages}
        cold = by_name.get(COLD_READ)
        if cold is None or cold.objects_per_s is None or cold.objects_per_s.value is None:
            continue
        told = (lookup.row(subject, grade, distance, name, COLD_READ) for name in _COLD)
        found.append(ColdRead(subject, grade, cold, by_name.get("read"), *told))
    return found


def _lowest_grades(
    lookup: Lookup,
) -> Iterator[tuple[Subject, str, str | int, tuple[StageTiming, ...]]]:
    """Yield, for each subject, the lowest grade that has timings, its distance, and its stages."""
    for subject in lookup.subjects():
        for grade in reversed(lookup.grades(subject)):
            distance = "none" if grade == "U0" else _far(lookup, subject, grade)
            stages = [_stage(lookup, subject, grade, distance, stage) for stage in _TIMED]
            timed = tuple(entry for entry in stages if entry.objects_per_s is not None)
            if timed:
                yield subject, grade, distance, timed
                break


def _stage(
    lookup: Lookup, subject: Subject, grade: str, distance: str | int, stage: str
) -> StageTiming:
    metrics = (
        "objects_per_s",
        "bytes_per_s",
        "latency_p50_ns",
        "latency_p99_ns",
        "write_amplification",
        "offered_per_s",
        "service_p50_ns",
        "service_p99_ns",
        "backlog_s",
        "saturated",
        "clients",
        "clients_idle_ratio",
    )
    return StageTiming(
        stage, *(lookup.row(subject, grade, distance, metric, stage) for metric in metrics)
    )


def _chosen(lookup: Lookup, subject: Subject) -> tuple[str, str | int]:
    """Choose the highest grade with a footprint; without copies that is U0."""
    for grade in lookup.grades(subject):
        distance = "none" if grade == "U0" else _far(lookup, subject, grade)
        if lookup.row(subject, grade, distance, "footprint_bytes", "bulk", "rest"):
            return grade, distance
    return "U0", "none"


def _far(lookup: Lookup, subject: Subject, grade: str) -> str | int:
    """Return the distance that nearness helps least: shuffled, else what there is."""
    distances = lookup.distances(subject, grade)
    return "shuffled" if "shuffled" in distances else next(iter(distances), DISTANCES[-1])


def _logical_bytes(lookup: Lookup, subject: Subject, chosen: tuple[str, str | int]) -> float:
    row = lookup.row(subject, *chosen, "logical_bytes", "bulk", layer="CLIENT")
    return row.value if row is not None and row.value is not None else 0.0


def _label(row: Row) -> str:
    if row.stage is None:
        return "empty"
    if row.moment in ("reclaim", DEDUPE):
        return f"{'after ' if row.stage == 'reclaim' else f'{row.stage}, '}{row.mode or 'reclaim'}"
    return row.stage
