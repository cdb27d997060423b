"""One cell, from an empty instance to its result.

Every stage that changes the store goes the same way: the operations under the
clock, flush, footprint, rest, footprint, and then the proof that what was
acknowledged is what is there. What fails the proof is INVALID, what the system
refused is FAILED; both end the chain, since later stages would inherit them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.bench.cause import causes_told
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.on_disk import read_on_disk
from deduplab.bench.proof import InvalidError, Part, Proof, prove_object
from deduplab.bench.rig import Rig, bring_up
from deduplab.bench.stage_record import StageRecord
from deduplab.datasets import StreamDigest, build_dataset
from deduplab.errors import DeduplabError, SystemUnavailable, Unsupported
from deduplab.model import (
    DEDUPE,
    DEDUPE_MODES,
    OK,
    Cell,
    CellResult,
    DatasetSpec,
    Identity,
    Measurement,
    Moment,
    Outcome,
    OutcomeKind,
    Stage,
)
from deduplab.record import RecordType

KEYS_AT_ONCE: Final = 10_000  # of one request to delete; every system here takes that many

Notify = Callable[[int, Stage], None]
BringUp = Callable[[Cell, Path, RecordType | None], AbstractContextManager[Rig]]
Latencies = dict[int, npt.NDArray[np.int64]]


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
    except Exception as error:
        if outcome.ok:  # else the instance of a cell that failed resists to be taken down
            outcome = _outcome_of(error)
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


def _outcome_of(error: Exception) -> Outcome:
    """Return the outcome of a cell that an error ended; raise what is none."""
    if isinstance(error, Unsupported):
        return Outcome(OutcomeKind.UNSUPPORTED, str(error))
    if isinstance(error, SystemUnavailable) or not isinstance(error, DeduplabError):
        raise error
    return Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")


class _Chain:
    """The chain of stages of one cell, and what has come of it so far."""

    def __init__(self, cell: Cell, notify: Notify) -> None:
        self.cell = cell
        self.bulk: Part | None = None
        self.insert: Part | None = None
        self.identity: Identity | None = None
        self.baseline: Moment | None = None
        self.measurements: list[Measurement] = []
        self.latencies_ns: Latencies = {}
        self._notify = notify
        self._live: list[Part] = []
        self._proof = Proof(cell.cell_id)

    def prepare(self, manifests: ManifestCache) -> None:
        """Build the datasets and prove their manifests, before anything is brought up."""

        def part(spec: DatasetSpec) -> Part:
            dataset = build_dataset(spec)
            return Part(dataset, manifests.manifest(dataset))

        self.bulk = part(self.cell.bulk)
        self.insert = part(self.cell.insert) if self.cell.insert else None

    @property
    def record_type(self) -> RecordType | None:
        """What the native layout takes payloads apart with."""
        return self.bulk.dataset.record_type if self.bulk else None

    def run(self, rig: Rig) -> Outcome:
        """Run all stages on an empty instance; the first one that does not count ends the chain."""
        with causes_told(rig.server, "the baseline"):
            self.identity = rig.adapter.identity()
            rig.adapter.flush()
            for mode in self.cell.volume_modes:
                # What the product lays down twice in an empty instance is no saving of copies.
                if rig.can_dedupe(mode):
                    rig.dedupe(mode, self.cell.deadline_s)
            self.baseline = rig.settled("baseline", self.cell.rest, 0)
            left = rig.adapter.count()
        if left:
            return Outcome(OutcomeKind.INVALID, "the fresh container is not empty")
        for stage in self.cell.stages:
            for record in self._records(stage):
                self._notify(record.position, stage)
                outcome = self._measure(rig, record)
                if outcome.kind in (OutcomeKind.INVALID, OutcomeKind.FAILED):
                    return Outcome(outcome.kind, f"{stage}: {outcome.reason}")
        with causes_told(rig.server, "the last look"):
            identity = rig.adapter.identity()
        if identity != self.identity:
            return Outcome(
                OutcomeKind.INVALID,
                "another instance or configuration answers at the end than at the start",
            )
        return OK

    def _records(self, stage: Stage) -> Iterator[StageRecord]:
        """Yield a fresh record per measurement: one a stage, one a mode of reclaim after delete."""
        modes: tuple[str, ...] = ("",)
        if stage is Stage.DELETE:
            modes = (self.cell.delete_mode,)
        elif stage is Stage.RECLAIM:
            modes = self.cell.own_reclaim_modes or ("",)
            if self._live:  # of an emptied container there is nothing to share
                modes = (*modes[-1:], *self.cell.volume_modes)
        for mode in modes:
            yield StageRecord(stage, len(self.measurements), bool(self._live), mode)

    def _measure(self, rig: Rig, record: StageRecord) -> Outcome:
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
            with causes_told(rig.server, f"the stage {record.stage}"):
                stage_body(rig, record)
        except InvalidError as error:
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

    def _bulk(self, rig: Rig, record: StageRecord) -> None:
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

    def _insert(self, rig: Rig, record: StageRecord) -> None:
        assert self.insert is not None
        native = self.cell.layout == "native"

        def put_each(batch: Batch) -> None:
            payloads = batch.records if native else batch.payloads
            record.timing.each_put(rig.adapter.put, batch.keys, payloads)

        self._load(rig, record, self.insert, put_each)

    def _load(self, rig: Rig, record: StageRecord, part: Part, store: Callable[..., None]) -> None:
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
            raise InvalidError("the data that was handed over is not that of the manifest")
        if record.timing.acknowledged != part.manifest.objects:
            raise InvalidError(
                f"{record.timing.acknowledged} of {part.manifest.objects} objects acknowledged"
            )
        self._proof.content(rig, self._live)

    def _read(self, rig: Rig, record: StageRecord) -> None:
        """Read a seeded choice of bulk's objects by key; verify outside the clock."""
        assert self.bulk is not None
        if not rig.capabilities.stores_data:
            raise Unsupported("it discards what it gets")
        dataset = self.bulk.dataset
        record.objects = min(self.cell.read_objects, dataset.objects)
        chosen = self._proof.choose(dataset, record.objects)
        mean_bytes = max(1, dataset.logical_bytes // dataset.objects)
        at_once = max(1, self.cell.batch_bytes // mean_bytes)
        for start in range(0, len(chosen), at_once):
            ordinals = chosen[start : start + at_once]
            found = record.timing.each_get(
                rig.adapter.get, [dataset.key(ordinal) for ordinal in ordinals]
            )
            for ordinal, payload in zip(ordinals, found, strict=True):
                record.logical_bytes += prove_object(dataset, ordinal, payload)
            record.timing.acknowledged += len(ordinals)

    def _delete(self, rig: Rig, record: StageRecord) -> None:
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
        self._proof.nothing_left(rig, deleted)
        if record.timing.acknowledged != record.objects:
            raise InvalidError(
                f"the deletion of {record.timing.acknowledged} of {record.objects} "
                "objects was acknowledged"
            )

    def _reclaim(self, rig: Rig, record: StageRecord) -> None:
        """Run explicit maintenance, the system's or the volume's; prove that it lost nothing."""
        if not record.mode:
            raise Unsupported("it has no explicit maintenance")
        written_before = rig.storage_write_bytes()
        volumes_own = record.mode in DEDUPE_MODES

        def reclaimed() -> int:
            if volumes_own:
                rig.dedupe(record.mode, self.cell.deadline_s)
            else:
                rig.adapter.reclaim(record.mode)
            return 0

        record.timing.batch(reclaimed)
        record.flush_ns = _timed(rig.adapter.flush)
        name = DEDUPE if volumes_own else "reclaim"
        record.moments.append(rig.settled(name, self.cell.rest, self._live_bytes()))
        record.storage_write_bytes = _difference(written_before, rig.storage_write_bytes())
        self._proof.content(rig, self._live)

    # What the stages share

    def _settle(self, rig: Rig, record: StageRecord, written_before: int | None) -> None:
        """Flush, read, come to rest, read again: the moments of a stage that changed the store."""
        record.flush_ns = _timed(rig.adapter.flush)
        live_bytes = self._live_bytes()
        record.moments.append(Moment("flush", rig.footprint(live_bytes)))
        record.moments.append(rig.settled("rest", self.cell.rest, live_bytes))
        record.storage_write_bytes = _difference(written_before, rig.storage_write_bytes())

    def _live_bytes(self) -> int:
        return sum(part.manifest.logical_bytes for part in self._live)


def _timed(action: Callable[[], None]) -> int:
    begin = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - begin


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)
