"""What is told of a run while it happens: to sinks, which pass it on.

The store has all of it, and more; an event that gets lost costs whoever watches, and no result.
Times are nanoseconds since 1970, by the clock of the host that runs the cells.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import msgspec

from deduplab.cell import Cell

_OWN: Final = ("cell", "grade_percent", "distance", "repetition")


class CellName(msgspec.Struct, frozen=True):
    """What a cell is, for whoever sees only its events; ``rate_per_s`` is None in closed loops.

    ``clients`` do at once what goes object by object, ``replicas`` are kept. ``settings`` tell it
    from cells of its run that have the same name: ``placement=across``; empty where there are none.
    """

    cell: str
    system: str
    variant: str
    layout: str
    payload: str
    grade_percent: int
    distance: str
    volume: str
    rate_per_s: float | None
    clients: int
    replicas: int
    repetition: int
    settings: str = ""

    @classmethod
    def of(cls, cell: Cell, settings: str = "") -> CellName:
        """Return that of a cell."""
        spec = cell.bulk
        return cls(
            cell=cell.cell_id,
            system=cell.system,
            variant=cell.variant,
            layout=cell.layout,
            payload=spec.payload,
            grade_percent=spec.grade_percent,
            distance=spec.distance_name if spec.grade_percent else "unique",
            volume=cell.volume,
            rate_per_s=cell.rate_per_s,
            clients=cell.clients,
            replicas=cell.replicas,
            repetition=cell.repetition,
            settings=settings,
        )


def name_told(cell: Cell) -> tuple[Hashable, ...]:
    """Return what a cell has in common with those that :class:`CellName` does not tell apart.

    Grades and distances aside, and repetitions: those are told, and no settings.
    """
    told = CellName.of(cell)
    return tuple(getattr(told, key) for key in CellName.__struct_fields__ if key not in _OWN)


class _Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=False):
    at_unix_ns: int


class RunBegan(_Event, frozen=True, tag="run_began"):
    """A run begins, or is gone on with: ``done`` of its ``cells`` are committed already."""

    run: str
    plan: str
    cells: int
    done: int


class CellBegan(_Event, frozen=True, tag="cell_began"):
    """A cell begins; ``attempt`` counts from 1."""

    name: CellName
    attempt: int


class Marked(_Event, frozen=True, tag="marked"):
    """Something begins within a cell: a stage, or what is done in it; see ``trace.Mark``."""

    cell: str
    position: int
    name: str


class Sampled(_Event, frozen=True, tag="sampled"):
    """What the tracer saw at a tick, by the columns of a trace; ``number`` counts from 0."""

    cell: str
    number: int
    values: dict[str, float]


class Size(msgspec.Struct, frozen=True):
    """The bytes of a layer by a ruler, at a moment."""

    moment: str
    layer: str
    ruler: str
    size_bytes: int


class Measured(_Event, frozen=True, tag="measured"):
    """One measurement of a committed cell, as it is in the store; raw latencies are only there."""

    name: CellName
    position: int
    stage: str
    mode: str
    filled: bool
    outcome: str
    reason: str
    objects: int
    logical_bytes: int
    unique_bytes: int
    operations: int
    duration_ns: int
    flush_ns: int
    sizes: tuple[Size, ...]


class CellEnded(_Event, frozen=True, tag="cell_ended"):
    """A cell is committed; ``done`` of ``total`` are. ``baseline`` is P(0), where it was read."""

    name: CellName
    outcome: str
    reason: str
    done: int
    total: int
    baseline: tuple[Size, ...]


class NotRun(_Event, frozen=True, tag="not_run"):
    """These cells are not run now."""

    cells: tuple[str, ...]
    reason: str


class RunEnded(_Event, frozen=True, tag="run_ended"):
    """The run is over for now; ``why`` is empty if it went through all of its cells."""

    why: str


Event = RunBegan | CellBegan | Marked | Sampled | Measured | CellEnded | NotRun | RunEnded

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Event)


def encoded(event: Event) -> bytes:
    """Return an event as JSON."""
    return _ENCODER.encode(event)


def decoded(content: bytes) -> Event:
    """Return the event that :func:`encoded` wrote.

    Raises
    ------
    msgspec.DecodeError
        If it is none.
    """
    event: Event = _DECODER.decode(content)
    return event
