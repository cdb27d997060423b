"""One cell, from an empty instance to its result.

What is done in each stage is told in ``stages``. What fails its proof is INVALID,
what the system refused is FAILED; both end the chain, since later stages would
inherit them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deduplab.bench.cause import causes_told
from deduplab.bench.clients import Clients
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.open_loop import timing_of
from deduplab.bench.proof import InvalidError, Part
from deduplab.bench.rig import Rig, bring_up
from deduplab.bench.shared_timing import SharedTiming
from deduplab.bench.stage_record import StageRecord
from deduplab.bench.stages import Stages
from deduplab.bench.tracer import Tracer
from deduplab.cell import Cell, CellResult
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset
from deduplab.errors import DeduplabError, StoreError, SystemUnavailable, Unsupported
from deduplab.model import OK, Identity, Measurement, Moment, Outcome, OutcomeKind, Stage, is_paced
from deduplab.record import RecordType

Notify = Callable[[int, Stage], None]
BringUp = Callable[[Cell, Path, RecordType | None], AbstractContextManager[Rig]]
Latencies = dict[int, npt.NDArray[np.int64]]


def run_cell(
    cell: Cell,
    workspace: Path,
    manifests: ManifestCache,
    notify: Notify = lambda position, stage: None,
    bring_up: BringUp = bring_up,
    tracer: Tracer | None = None,
    clients: Clients | None = None,
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
    tracer
        What looks at the instance meanwhile; it has the trace afterwards.
    clients
        The clients of a cell that has several; who began them ends them.

    Raises
    ------
    SystemUnavailable
        If the system can't be reached; the cell may be tried again.
    """
    assert (clients is None) is (cell.clients == 1)
    started = time.time_ns()
    chain = _Chain(cell, notify, tracer, clients)
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
        no_trace=tracer.missing if tracer else "",
    )
    return result, chain.latencies_ns


def _outcome_of(error: Exception) -> Outcome:
    """Return the outcome of a cell that an error ended; raise what is none."""
    if isinstance(error, Unsupported):
        return Outcome(OutcomeKind.UNSUPPORTED, str(error))
    # Results that can't be read or written are no fault of the system either.
    none = isinstance(error, SystemUnavailable | StoreError)
    if none or not isinstance(error, DeduplabError):
        raise error
    return Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")


class _Chain:
    """The chain of stages of one cell, and what has come of it so far."""

    def __init__(
        self, cell: Cell, notify: Notify, tracer: Tracer | None, clients: Clients | None
    ) -> None:
        self.cell = cell
        self._tracer = tracer
        self._clients = clients
        self.bulk: Part | None = None
        self.insert: Part | None = None
        self.identity: Identity | None = None
        self.baseline: Moment | None = None
        self.measurements: list[Measurement] = []
        self.latencies_ns: Latencies = {}
        self._notify = notify

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
        if self._clients is not None:
            self._clients.join(rig)
            rig = dataclasses.replace(rig, clients=self._clients.process_ids)
        if self._tracer is None:
            return self._run(rig)
        self._tracer.watch(rig.watched())
        try:
            return self._run(rig)
        finally:
            self._tracer.finish()

    def _run(self, rig: Rig) -> Outcome:
        self._mark(-1, "baseline")
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
        assert self.bulk is not None
        stages = Stages(
            self.cell,
            rig,
            self.bulk,
            self.insert,
            self.identity,
            lambda record, name: self._mark(record.position, name),
        )
        for stage in self.cell.stages:
            for record in self._records(stage, stages):
                self._notify(record.position, stage)
                self._mark(record.position, stage.value)
                outcome = self._measure(stages, record)
                if outcome.kind in (OutcomeKind.INVALID, OutcomeKind.FAILED):
                    return Outcome(outcome.kind, f"{stage}: {outcome.reason}")
        with causes_told(rig.server, "the last look"):
            identity = rig.adapter.identity()
        if identity != stages.identity:
            return Outcome(
                OutcomeKind.INVALID,
                "another instance or configuration answers at the end than at the start",
            )
        return OK

    def _mark(self, position: int, name: str) -> None:
        if self._tracer is not None:
            self._tracer.mark(position, name)

    def _records(self, stage: Stage, stages: Stages) -> Iterator[StageRecord]:
        """Yield a fresh record per measurement: one a stage, one a mode of reclaim after delete."""
        modes: tuple[str, ...] = ("",)
        if stage is Stage.DELETE:
            modes = (self.cell.delete_mode,)
        elif stage is Stage.RECLAIM:
            modes = self.cell.own_reclaim_modes or ("",)
            if stages.filled:  # of an emptied container there is nothing to share
                modes = (*modes[-1:], *self.cell.volume_modes)
        for mode in modes:
            position = len(self.measurements)
            timing = timing_of(self.cell, stage, mode, position)
            if self._clients is not None and is_paced(stage, mode):
                timing = SharedTiming.of(timing, self._clients)
            yield StageRecord(stage, position, stages.filled, mode, timing=timing)

    def _measure(self, stages: Stages, record: StageRecord) -> Outcome:
        outcome = OK
        try:
            with causes_told(stages.rig.server, f"the stage {record.stage}"):
                stages.run(record)
        except InvalidError as error:
            outcome = Outcome(OutcomeKind.INVALID, str(error))
        except Unsupported as error:
            outcome = Outcome(OutcomeKind.UNSUPPORTED, str(error))
        except SystemUnavailable:
            raise
        except DeduplabError as error:
            outcome = Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")
        self.measurements.append(record.frozen(outcome))
        self.latencies_ns[record.position] = record.timing.raw_ns()
        return outcome
