"""One cell, from an empty instance to its result.

Every stage that changes the store goes the same way: the operations under the
clock, flush, footprint, rest, footprint, and then the proof that what was
acknowledged is what is there. What fails the proof is INVALID, what the system
refused is FAILED; both end the chain, since later stages would inherit them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.bench.clock import Timing
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.on_disk import read_on_disk
from deduplab.bench.rig import Rig, bring_up
from deduplab.datasets import Dataset, StreamDigest, build_dataset
from deduplab.errors import DeduplabError, SystemUnavailable, Unsupported
from deduplab.model import (
    OK,
    Cell,
    CellResult,
    DatasetSpec,
    Identity,
    Manifest,
    Measurement,
    Moment,
    OnDiskReading,
    Outcome,
    OutcomeKind,
    Stage,
)
from deduplab.record import RecordType, Stored

KEYS_AT_ONCE: Final = 10_000  # of one request to delete; every system here takes that many
SAMPLE_OBJECTS: Final = 16  # read back after each change, outside the clock

Notify = Callable[[int, Stage], None]
BringUp = Callable[[Cell, Path, RecordType | None], AbstractContextManager[Rig]]
Latencies = dict[int, npt.NDArray[np.int64]]


class _InvalidError(Exception):
    """A measurement failed its proof; the message is the reason."""


@dataclass(slots=True)
class _Record:
    """A measurement in the making."""

    stage: Stage
    position: int
    filled: bool
    mode: str = ""
    objects: int = 0
    logical_bytes: int = 0
    unique_bytes: int = 0
    flush_ns: int = 0
    storage_write_bytes: int | None = None
    timing: Timing = field(default_factory=Timing)
    moments: list[Moment] = field(default_factory=list)
    on_disk: OnDiskReading | None = None

    def frozen(self, outcome: Outcome) -> Measurement:
        return Measurement(
            stage=self.stage,
            position=self.position,
            mode=self.mode,
            filled=self.filled,
            objects=self.objects,
            acknowledged=self.timing.acknowledged,
            logical_bytes=self.logical_bytes,
            unique_bytes=self.unique_bytes,
            operations=len(self.timing.latencies_ns),
            duration_ns=self.timing.duration_ns,
            flush_ns=self.flush_ns,
            storage_write_bytes=self.storage_write_bytes,
            moments=tuple(self.moments),
            outcome=outcome,
            on_disk=self.on_disk,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """A dataset with its manifest: what bulk and refill store, or what insert stores."""

    dataset: Dataset
    manifest: Manifest


def run_cell(
    cell: Cell,
    workspace: Path,
    manifests: ManifestCache,
    notify: Notify = lambda position, stage: None,
    bring_up: BringUp = bring_up,
) -> tuple[CellResult, Latencies]:
    """Run one cell on a fresh instance and return its result with raw latencies.

    Parameters
    ----------
    workspace
        An empty directory of ours for the instance.
    notify
        Called when a stage begins, with its position in the chain.
    bring_up
        How the instance comes up; replaced in tests to inject faults.

    Raises
    ------
    SystemUnavailable
        If the system can't be reached; the cell may be tried again.
    """
    started = time.time_ns()
    chain = _Chain(cell, notify)
    outcome = OK
    try:
        chain.prepare(manifests)
        with bring_up(cell, workspace, chain.record_type) as rig:
            outcome = chain.run(rig)
    except SystemUnavailable:
        raise
    except Unsupported as error:
        outcome = Outcome(OutcomeKind.UNSUPPORTED, str(error))
    except DeduplabError as error:
        if outcome.ok:
            outcome = Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")
    result = CellResult(
        cell=cell,
        outcome=outcome,
        identity=chain.identity,
        bulk_manifest=chain.bulk.manifest if chain.bulk else None,
        insert_manifest=chain.insert.manifest if chain.insert else None,
        baseline=chain.baseline,
        measurements=tuple(chain.measurements),
        started_unix_ns=started,
        finished_unix_ns=time.time_ns(),
    )
    return result, chain.latencies_ns


class _Chain:
    """The chain of stages of one cell, and what has come of it so far."""

    def __init__(self, cell: Cell, notify: Notify) -> None:
        self.cell = cell
        self.bulk: _Part | None = None
        self.insert: _Part | None = None
        self.identity: Identity | None = None
        self.baseline: Moment | None = None
        self.measurements: list[Measurement] = []
        self.latencies_ns: Latencies = {}
        self._notify = notify
        self._live: list[_Part] = []
        self._random = random.Random(cell.cell_id)  # noqa: S311  (which objects are sampled)

    def prepare(self, manifests: ManifestCache) -> None:
        """Build the datasets and prove their manifests, before anything is brought up."""

        def part(spec: DatasetSpec) -> _Part:
            dataset = build_dataset(spec)
            return _Part(dataset, manifests.manifest(dataset))

        self.bulk = part(self.cell.bulk)
        self.insert = part(self.cell.insert) if self.cell.insert else None

    @property
    def record_type(self) -> RecordType | None:
        """What the native layout takes payloads apart with."""
        return self.bulk.dataset.record_type if self.bulk else None

    def run(self, rig: Rig) -> Outcome:
        """Run all stages on an empty instance; the first one that does not count ends the chain."""
        self.identity = rig.adapter.identity()
        rig.adapter.flush()
        self.baseline = rig.settled("baseline", self.cell.rest, 0)
        if rig.adapter.count() != 0:
            return Outcome(OutcomeKind.INVALID, "the fresh container is not empty")
        for stage in self.cell.stages:
            for record in self._records(stage):
                self._notify(record.position, stage)
                outcome = self._measure(rig, record)
                if outcome.kind in (OutcomeKind.INVALID, OutcomeKind.FAILED):
                    return Outcome(outcome.kind, f"{stage}: {outcome.reason}")
        if rig.adapter.identity() != self.identity:
            return Outcome(
                OutcomeKind.INVALID,
                "another instance or configuration answers at the end than at the start",
            )
        return OK

    def _records(self, stage: Stage) -> Iterator[_Record]:
        """Yield a fresh record per measurement: one a stage, one a mode of reclaim after delete."""
        modes: tuple[str, ...] = ("",)
        if stage is Stage.DELETE:
            modes = (self.cell.delete_mode,)
        elif stage is Stage.RECLAIM:
            modes = self.cell.reclaim_modes or ("",)
            if self._live:
                modes = modes[-1:]
        for mode in modes:
            yield _Record(stage, len(self.measurements), bool(self._live), mode)

    def _measure(self, rig: Rig, record: _Record) -> Outcome:
        stage_body = {
            Stage.BULK: self._bulk,
            Stage.INSERT: self._insert,
            Stage.READ: self._read,
            Stage.DELETE: self._delete,
            Stage.RECLAIM: self._reclaim,
            Stage.REFILL: self._bulk,
        }[record.stage]
        outcome = OK
        try:
            stage_body(rig, record)
        except _InvalidError as error:
            outcome = Outcome(OutcomeKind.INVALID, str(error))
        except Unsupported as error:
            outcome = Outcome(OutcomeKind.UNSUPPORTED, str(error))
        except SystemUnavailable:
            raise
        except DeduplabError as error:
            outcome = Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")
        self.measurements.append(record.frozen(outcome))
        self.latencies_ns[record.position] = np.asarray(record.timing.latencies_ns, dtype=np.int64)
        return outcome

    # The stages

    def _bulk(self, rig: Rig, record: _Record) -> None:
        assert self.bulk is not None
        part = self.bulk
        self._load(
            rig,
            record,
            part,
            lambda batch: record.timing.batch(lambda: rig.adapter.put_many(batch)),
        )
        if self.cell.on_disk and rig.files is not None and record.stage is Stage.BULK:
            record.on_disk = read_on_disk(rig.files.directory, part.dataset)

    def _insert(self, rig: Rig, record: _Record) -> None:
        assert self.insert is not None
        native = self.cell.layout == "native"

        def put_each(batch: Batch) -> None:
            payloads = batch.records if native else batch.payloads
            record.timing.each_put(rig.adapter.put, batch.keys, payloads)

        self._load(rig, record, self.insert, put_each)

    def _load(self, rig: Rig, record: _Record, part: _Part, store: Callable[..., None]) -> None:
        """Hand a dataset over, batch by batch, and prove that it arrived."""
        record.objects = part.manifest.objects
        record.logical_bytes = part.manifest.logical_bytes
        record.unique_bytes = part.manifest.unique_bytes
        digest = StreamDigest()
        written_before = rig.storage_write_bytes()
        for batch in part.dataset.batches(self.cell.batch_bytes):
            digest.update(batch)
            # Made here, so that neither copies nor parsing fall under the clock.
            _ = batch.columns if self.cell.layout == "native" else batch.payloads
            store(batch)
        self._live.append(part)
        self._settle(rig, record, written_before)
        if digest.hexdigest() != part.manifest.digest:
            raise _InvalidError("the data that was handed over is not that of the manifest")
        if record.timing.acknowledged != part.manifest.objects:
            raise _InvalidError(
                f"{record.timing.acknowledged} of {part.manifest.objects} objects acknowledged"
            )
        self._prove_content(rig)

    def _read(self, rig: Rig, record: _Record) -> None:
        """Read a seeded choice of bulk's objects by key; verify outside the clock."""
        assert self.bulk is not None
        if not rig.capabilities.stores_data:
            raise Unsupported("it discards what it gets")
        dataset = self.bulk.dataset
        record.objects = min(self.cell.read_objects, dataset.objects)
        chosen = self._random.sample(range(dataset.objects), record.objects)
        mean_bytes = max(1, dataset.logical_bytes // dataset.objects)
        at_once = max(1, self.cell.batch_bytes // mean_bytes)
        for start in range(0, len(chosen), at_once):
            ordinals = chosen[start : start + at_once]
            found = record.timing.each_get(
                rig.adapter.get, [dataset.key(ordinal) for ordinal in ordinals]
            )
            for ordinal, payload in zip(ordinals, found, strict=True):
                record.logical_bytes += _prove_object(dataset, ordinal, payload)
            record.timing.acknowledged += len(ordinals)

    def _delete(self, rig: Rig, record: _Record) -> None:
        """Delete everything that is stored, and prove that nothing is left."""
        record.objects = sum(part.manifest.objects for part in self._live)
        record.logical_bytes = sum(part.manifest.logical_bytes for part in self._live)
        record.unique_bytes = sum(part.manifest.unique_bytes for part in self._live)
        written_before = rig.storage_write_bytes()
        if record.mode == "rowwise":
            for part in self._live:
                for start in range(0, part.dataset.objects, KEYS_AT_ONCE):
                    stop = min(start + KEYS_AT_ONCE, part.dataset.objects)
                    keys = part.dataset.keys(start, stop)
                    record.timing.batch(lambda keys=keys: rig.adapter.delete(keys))  # type: ignore[misc]
        else:

            def emptied() -> int:
                rig.adapter.empty(record.mode)
                return record.objects

            record.timing.batch(emptied)
        deleted, self._live = self._live, []
        self._settle(rig, record, written_before)
        left = rig.adapter.count()
        if left:
            raise _InvalidError(f"{left} objects are left after everything was deleted")
        for part in deleted:
            for ordinal in self._sample(part.dataset):
                if rig.adapter.get(part.dataset.key(ordinal)) is not None:
                    raise _InvalidError("an object that was deleted can still be read")
        if record.timing.acknowledged != record.objects:
            raise _InvalidError(
                f"the deletion of {record.timing.acknowledged} of {record.objects} "
                "objects was acknowledged"
            )

    def _reclaim(self, rig: Rig, record: _Record) -> None:
        """Run explicit maintenance, and prove that it lost nothing."""
        if not record.mode:
            raise Unsupported("it has no explicit maintenance")
        written_before = rig.storage_write_bytes()

        def reclaimed() -> int:
            rig.adapter.reclaim(record.mode)
            return 0

        record.timing.batch(reclaimed)
        record.flush_ns = _timed(rig.adapter.flush)
        record.moments.append(rig.settled("reclaim", self.cell.rest, self._live_bytes()))
        record.storage_write_bytes = _difference(written_before, rig.storage_write_bytes())
        self._prove_content(rig)

    # What the stages share

    def _settle(self, rig: Rig, record: _Record, written_before: int | None) -> None:
        """Flush, read, come to rest, read again: the moments of a stage that changed the store."""
        record.flush_ns = _timed(rig.adapter.flush)
        live_bytes = self._live_bytes()
        record.moments.append(Moment("flush", rig.footprint(live_bytes)))
        record.moments.append(rig.settled("rest", self.cell.rest, live_bytes))
        record.storage_write_bytes = _difference(written_before, rig.storage_write_bytes())

    def _live_bytes(self) -> int:
        return sum(part.manifest.logical_bytes for part in self._live)

    def _prove_content(self, rig: Rig) -> None:
        """Prove that the store holds what it should, by its own count and by a read-back."""
        expected = sum(part.manifest.objects for part in self._live)
        counted = rig.adapter.count()
        if counted != expected:
            raise _InvalidError(f"the system counts {counted} objects, {expected} were stored")
        if not rig.capabilities.stores_data:
            return
        for part in self._live:
            for ordinal in self._sample(part.dataset):
                _prove_object(part.dataset, ordinal, rig.adapter.get(part.dataset.key(ordinal)))

    def _sample(self, dataset: Dataset) -> list[int]:
        """Choose objects to read back: first, last, and a seeded choice of the others."""
        chosen = self._random.sample(range(dataset.objects), min(SAMPLE_OBJECTS, dataset.objects))
        return sorted({0, dataset.objects - 1, *chosen})


def _prove_object(dataset: Dataset, ordinal: int, stored: Stored | None) -> int:
    """Compare an object that was read with what it must be; return its length in bytes."""
    key = dataset.key(ordinal)
    if stored is None:
        raise _InvalidError(f"object {key} was acknowledged and is not there")
    expected = dataset.payload(ordinal)
    found = stored
    if isinstance(stored, tuple):
        assert dataset.record_type is not None
        found = dataset.record_type.canonical(stored)
    if found != expected:
        raise _InvalidError(
            f"object {key} reads back as other bytes ({len(found)} of {len(expected)})"
        )
    return len(expected)


def _timed(action: Callable[[], None]) -> int:
    begin = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - begin


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)
