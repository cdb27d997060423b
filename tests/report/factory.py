"""Cells whose answers are known by construction, and runs made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deduplab.cell import Cell, CellResult, RestSettings
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.model import (
    OK,
    Footprint,
    Identity,
    Layer,
    Measurement,
    Missing,
    Moment,
    Outcome,
    OutcomeKind,
    Reading,
    Rest,
    Ruler,
    Stage,
)
from deduplab.store import Run, RunHeader

OBJECT_BYTES = 65_536
OBJECTS = 1000
BASE_BYTES = 40_000
CHAIN = (
    Stage.BULK,
    Stage.READ,
    Stage.RECLAIM,
    Stage.INSERT,
    Stage.DELETE,
    Stage.RECLAIM,
    Stage.REFILL,
)
Three = tuple[float, float, float]
Distance = str | int | tuple[int, ...]


@dataclass(frozen=True)
class Behaviour:
    """How a made-up system behaves: u, eta at flush, rest and reclaim, and what comes back.

    ``back`` is the share reclaimed after delete and after each mode. ``step_bytes`` are
    those of one block, where its files grow by whole blocks; ``apart`` is eta of copies an
    exact distance apart, where that is not eta of shuffled ones.
    """

    system: str
    variant: str = "default"
    unique_cost: float = 1.0
    adjacent: Three = (0.0, 0.0, 0.0)
    shuffled: Three = (0.0, 0.0, 0.0)
    modes: tuple[str, ...] = ("compact",)
    back: tuple[float, ...] = (0.0, 1.0)
    noise: float = 0.0
    version: str = "1.0"
    censored: str = ""
    stages: tuple[Stage, ...] = CHAIN
    step_bytes: int = 1
    apart: Three | None = None

    def eta(self, distance: Distance) -> Three:
        if isinstance(distance, int) and self.apart is not None:
            return self.apart
        return self.adjacent if distance == "adjacent" else self.shuffled


@dataclass
class Clock:
    """Footprints of one cell, with the noise of its repetition."""

    behaviour: Behaviour
    distance: Distance
    factor: float
    wal_bytes: int = 4096
    waits: list[Rest] = field(default_factory=list)

    def moment(self, name: str, data_bytes: float, place: str) -> Moment:
        step = self.behaviour.step_bytes
        data = -(-round(data_bytes * self.factor) // step) * step
        parts = {"data": data, "wal": self.wal_bytes + BASE_BYTES}
        apparent = {name_: value + 100 for name_, value in parts.items()}
        footprint = Footprint(
            (
                _reading(Layer.FILES, Ruler.ALLOCATED, parts),
                _reading(Layer.FILES, Ruler.APPARENT, apparent),
                _reading(Layer.ENGINE, Ruler.REPORTED, {"data": data}),
                _reading(Layer.CLIENT, Ruler.REPORTED, {}),
            ),
            (Missing(Layer.VOLUME, "no file system of its own"),),
        )
        if name == "flush":
            return Moment(name, footprint)
        settled = self.behaviour.censored != place
        curve = ((10, data + 5000), (300_000_000, data), (1_200_000_000, data))
        busy = {} if settled else {"merges": 2}
        return Moment(name, footprint, Rest(settled, 1_300_000_000, curve, busy))


def _reading(layer: Layer, ruler: Ruler, parts: dict[str, int]) -> Reading:
    return Reading(layer, ruler, sum(parts.values()), "factory", 0, dict(parts))


def spec(payload: str, grade: int, distance: Distance, objects: int = OBJECTS) -> DatasetSpec:
    return DatasetSpec(
        payload=payload,
        logical_bytes=objects * OBJECT_BYTES,
        object_bytes=OBJECT_BYTES,
        grade_percent=grade,
        distance=distance if grade else "none",
    )


def manifest(dataset: DatasetSpec) -> Manifest:
    objects = dataset.logical_bytes // OBJECT_BYTES
    unique = objects - objects * dataset.grade_percent // 100
    unique_bytes = unique * OBJECT_BYTES
    return Manifest(
        spec=dataset,
        objects=objects,
        logical_bytes=dataset.logical_bytes,
        unique_objects=unique,
        unique_bytes=unique_bytes,
        grain_unique_bytes={"cdc-4096": unique_bytes, "fixed-4096": unique_bytes},
        distance_bytes=(0, 0, 0) if dataset.grade_percent else None,
        digest=f"{dataset}",
    )


def cell_of(
    behaviour: Behaviour, payload: str, grade: int, distance: Distance, repetition: int = 1
) -> Cell:
    bulk = spec(payload, grade, distance)
    return Cell(
        system=behaviour.system,
        variant=behaviour.variant,
        layout="blob",
        durability="fsync",
        stages=behaviour.stages,
        bulk=bulk,
        insert=replace(bulk, logical_bytes=100 * OBJECT_BYTES, key_prefix="i"),
        repetition=repetition,
        batch_bytes=1 << 20,
        read_objects=200,
        delete_mode="rowwise",
        reclaim_modes=behaviour.modes,
        cache="warm",
        rest=RestSettings(),
    )


def result_of(
    behaviour: Behaviour, payload: str, grade: int, distance: Distance, repetition: int = 1
) -> CellResult:
    """Build the result that the lifecycle would give for this behaviour."""
    cell = cell_of(behaviour, payload, grade, distance, repetition)
    assert cell.insert is not None
    clock = Clock(behaviour, distance, 1 + behaviour.noise * (repetition - 2))
    bulk, insert = manifest(cell.bulk), manifest(cell.insert)
    builder = _Builder(behaviour, clock, bulk, insert, distance)
    return CellResult(
        cell=cell,
        outcome=OK,
        identity=Identity("product", behaviour.version, f"instance {repetition}"),
        bulk_manifest=bulk,
        insert_manifest=insert,
        baseline=clock.moment("baseline", 0, "baseline"),
        measurements=tuple(builder.measurements()),
        started_unix_ns=1,
        finished_unix_ns=2,
    )


class _Builder:
    def __init__(
        self,
        behaviour: Behaviour,
        clock: Clock,
        bulk: Manifest,
        insert: Manifest,
        distance: Distance,
    ) -> None:
        self.behaviour, self.clock, self.bulk, self.insert = behaviour, clock, bulk, insert
        self.etas = behaviour.eta(distance)
        self.data = 0.0
        self.filled = 0.0
        self.done: list[Measurement] = []

    def stored(self, part: Manifest, eta: float) -> float:
        return self.behaviour.unique_cost * (part.unique_bytes + (1 - eta) * part.duplicate_bytes)

    def measurements(self) -> list[Measurement]:
        for stage in self.behaviour.stages:
            {
                Stage.BULK: self.load,
                Stage.REFILL: self.load,
                Stage.INSERT: self.load,
                Stage.READ: self.read,
                Stage.RECLAIM: self.reclaim,
                Stage.DELETE: self.delete,
            }[stage](stage)
        return self.done

    def add(
        self, stage: Stage, part: Manifest | None, moments: list[Moment], **more: object
    ) -> None:
        operations = {Stage.BULK: 63, Stage.REFILL: 63, Stage.READ: 200, Stage.INSERT: 100}
        base = Measurement(
            stage=stage,
            position=len(self.done),
            mode="",
            filled=bool(self.filled) and stage is not Stage.BULK,
            objects=part.objects if part else 0,
            acknowledged=part.objects if part else 0,
            logical_bytes=part.logical_bytes if part else 0,
            unique_bytes=part.unique_bytes if part else 0,
            operations=operations.get(stage, 1),
            duration_ns=500_000_000,
            flush_ns=20_000_000,
            storage_write_bytes=2 * part.logical_bytes if part else None,
            moments=tuple(moments),
        )
        self.done.append(replace(base, **more))  # type: ignore[arg-type]

    def load(self, stage: Stage) -> None:
        part = self.insert if stage is Stage.INSERT else self.bulk
        before = 0.0 if stage is Stage.REFILL else self.data
        moments = []
        for name, eta in zip(("flush", "rest"), self.etas, strict=False):
            self.data = before + self.stored(part, eta)
            moments.append(self.clock.moment(name, self.data, f"{stage}"))
        self.filled = self.data
        self.add(stage, part, moments)

    def read(self, stage: Stage) -> None:
        part = replace(self.bulk, objects=200, logical_bytes=200 * OBJECT_BYTES)
        self.add(stage, part, [])

    def delete(self, stage: Stage) -> None:
        self.filled = self.data
        self.data = self.filled * (1 - self.behaviour.back[0])
        moments = [self.clock.moment(name, self.data, "delete") for name in ("flush", "rest")]
        self.add(stage, self.bulk, moments, mode="rowwise", filled=True)

    def reclaim(self, stage: Stage) -> None:
        emptied = any(entry.stage is Stage.DELETE for entry in self.done)
        if not self.behaviour.modes:
            nothing = Outcome(OutcomeKind.UNSUPPORTED, "it has no explicit maintenance")
            self.add(stage, None, [], outcome=nothing, filled=not emptied, operations=0)
        elif not emptied:
            self.data = self.stored(self.bulk, self.etas[2])
            moment = self.clock.moment("reclaim", self.data, "reclaim")
            self.add(stage, None, [moment], mode=self.behaviour.modes[-1], filled=True)
        else:
            for mode, share in zip(self.behaviour.modes, self.behaviour.back[1:], strict=True):
                self.data = self.filled * (1 - share)
                moment = self.clock.moment("reclaim", self.data, mode)
                self.add(stage, None, [moment], mode=mode, filled=False)


def latencies_of(result: CellResult) -> dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Give each measurement 1000, 2000, ... ns, shifted by the repetition."""
    return {
        entry.position: (np.arange(1, entry.operations + 1, dtype=np.int64) * 1000)
        + result.cell.repetition
        for entry in result.measurements
        if entry.operations
    }


def failed(result: CellResult, kind: OutcomeKind, reason: str) -> CellResult:
    """Make a cell one that does not count."""
    return replace(result, outcome=Outcome(kind, reason))


def without_files(result: CellResult) -> CellResult:
    """Make a cell one of a server that runs already: its files are out of reach."""

    def read(moment: Moment) -> Moment:
        kept = tuple(one for one in moment.footprint.readings if one.layer is not Layer.FILES)
        missing = (*moment.footprint.missing, Missing(Layer.FILES, "a server that runs already"))
        return replace(moment, footprint=Footprint(kept, missing))

    assert result.baseline is not None
    return replace(
        result,
        baseline=read(result.baseline),
        measurements=tuple(
            replace(entry, moments=tuple(read(moment) for moment in entry.moments))
            for entry in result.measurements
        ),
    )


def matrix(
    behaviours: Iterable[Behaviour],
    payloads: Iterable[str] = ("random_binary",),
    grades: Iterable[int] = (0, 50, 90),
    distances: Iterable[Distance] = ("adjacent", "shuffled"),
    repetitions: int = 1,
) -> list[CellResult]:
    """Unfold behaviours into cells, as a plan would."""
    return [
        result_of(behaviour, payload, grade, distance, repetition)
        for behaviour in behaviours
        for payload in payloads
        for grade in grades
        for distance in (distances if grade else ("none",))
        for repetition in range(1, repetitions + 1)
    ]


def run_of(
    root: Path, results: Iterable[CellResult], planned: Callable[[list[str]], list[str]] = list
) -> Run:
    """Write cells into the store, as a run would."""
    found = list(results)
    ids = planned([result.cell.cell_id for result in found])
    environment = {
        "cpu": "Example CPU 3.0 GHz",
        "cpus usable": "2",
        "memory": "8.00 GiB",
        "kernel": "6.1.0",
        "workspace file system": "ext4 (rw,relatime)",
        "python": "CPython 3.11.2",
        "packages": {"numpy": "2.4", "duckdb": "1.4"},
    }
    header = RunHeader("2026-11-23-quick", "quick", "d" * 64, 1, 1_700_000_000 * 10**9, tuple(ids),
                       environment)  # fmt: skip
    run = Run.create(root / "run", header, 'name = "quick"\n[matrix]\ngrades = ["U0", "U90"]\n')
    for result in found:
        run.commit(result, latencies_of(result))
    return run


PLAIN = Behaviour("plain", modes=(), back=(1.0,))
SINGLE = Behaviour("single_instance", adjacent=(1, 1, 1), shuffled=(1, 1, 1), modes=(), back=(1.0,))
CHUNKED = Behaviour("chunked", adjacent=(1, 1, 1), shuffled=(1, 1, 1))
COMPRESSED = Behaviour("compressed", modes=(), back=(1.0,))
REFERENCES = (PLAIN, SINGLE, CHUNKED, COMPRESSED)
SQLITE = Behaviour("sqlite", unique_cost=1.02, modes=("vacuum",))
DUCKDB = Behaviour(
    "duckdb", unique_cost=1.05, adjacent=(0.96, 0.97, 0.97), shuffled=(0.01, 0.02, 0.02),
    modes=("checkpoint",),
)  # fmt: skip
REPLACING = Behaviour(
    "clickhouse", "replacing-by-hash", 1.01, (0.97, 0.97, 0.99), (0.35, 0.36, 0.99),
    ("optimize-final",),
)  # fmt: skip
POSTGRES = Behaviour(
    "postgresql", "default", 1.1, modes=("vacuum", "vacuum-full"), back=(0.02, 0.05, 0.98)
)
SYSTEMS = (SQLITE, DUCKDB, REPLACING, POSTGRES)
