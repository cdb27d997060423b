"""The stages: what is done to one instance in each, and which data it holds by now.

Every stage that changes the store goes the same way: the operations under the
clock, flush, footprint, rest, footprint, and then the proof that what was
acknowledged is what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from deduplab.batch import Batch
from deduplab.bench.cold import made_cold, require_dropped, require_possible
from deduplab.bench.on_disk import read_on_disk
from deduplab.bench.proof import InvalidError, Part, Proof, prove_object
from deduplab.bench.rig import Rig
from deduplab.bench.stage_record import StageRecord
from deduplab.cell import Cell
from deduplab.datasets import StreamDigest
from deduplab.errors import Unsupported
from deduplab.model import DEDUPE, DEDUPE_MODES, Identity, Moment, Stage

KEYS_AT_ONCE: Final = 10_000  # of one request to delete; every system here takes that many


class Stages:
    """The stages of one cell on its instance, which is empty at first.

    Parameters
    ----------
    bulk
        What bulk and refill store.
    insert
        What insert stores; None for a chain without it.
    identity
        Which run of which instance this is.
    mark
        Called when something begins within a stage, with its record and a name: ``restart``,
        ``operations`` after it, ``flush``, ``rest`` or ``proof``. Never under the clock.

    Attributes
    ----------
    identity
        The same by now: a planned restart begins another run of the instance.
    """

    def __init__(
        self,
        cell: Cell,
        rig: Rig,
        bulk: Part,
        insert: Part | None,
        identity: Identity,
        mark: Callable[[StageRecord, str], None] = lambda record, name: None,
    ) -> None:
        self.rig = rig
        self.identity = identity
        self._mark = mark
        self._cell = cell
        self._bulk_part = bulk
        self._insert_part = insert
        self._live: list[Part] = []
        self._proof = Proof(cell.cell_id)

    @property
    def filled(self) -> bool:
        """Whether the container holds data."""
        return bool(self._live)

    def run(self, record: StageRecord) -> None:
        """Do what the record's stage is, and enter it there.

        Raises
        ------
        InvalidError
            If the stage fails its proof.
        Unsupported
            If the system does not offer it.
        DeduplabError
            If the system refuses or can't be reached.
        """
        {
            Stage.BULK: self._bulk,
            Stage.INSERT: self._insert,
            Stage.READ: self._read,
            Stage.COLD_READ: self._cold_read,
            Stage.DELETE: self._delete,
            Stage.RECLAIM: self._reclaim,
            Stage.REFILL: self._bulk,
        }[record.stage](record)

    def _bulk(self, record: StageRecord) -> None:
        part = self._bulk_part
        self._load(
            record,
            part,
            lambda batch: record.timing.batch(lambda: self.rig.adapter.put_many(batch)),
        )
        if self._cell.on_disk and self.rig.files is not None and record.stage is Stage.BULK:
            record.on_disk = read_on_disk(self.rig.files.directory, part.dataset)

    def _insert(self, record: StageRecord) -> None:
        assert self._insert_part is not None
        native = self._cell.layout == "native"

        def put_each(batch: Batch) -> None:
            payloads = batch.records if native else batch.payloads
            record.timing.each_put(self.rig.adapter.put, batch.keys, payloads)

        self._load(record, self._insert_part, put_each)

    def _load(self, record: StageRecord, part: Part, store: Callable[..., None]) -> None:
        """Hand a dataset over, batch by batch, and prove that it arrived."""
        record.objects = part.manifest.objects
        record.logical_bytes = part.manifest.logical_bytes
        record.unique_bytes = part.manifest.unique_bytes
        digest = StreamDigest()
        written_before = self.rig.storage_write_bytes()
        for batch in part.dataset.batches(self._cell.batch_bytes):
            digest.update(batch)
            # Made here, so that neither copies nor parsing fall under the clock.
            _ = batch.columns if self._cell.layout == "native" else batch.payloads
            store(batch)
        self._live.append(part)
        self._settle(record, written_before)
        if digest.hexdigest() != part.manifest.digest:
            raise InvalidError("the data that was handed over is not that of the manifest")
        if record.timing.acknowledged != part.manifest.objects:
            raise InvalidError(
                f"{record.timing.acknowledged} of {part.manifest.objects} objects acknowledged"
            )
        self._mark(record, "proof")
        self._proof.content(self.rig, self._live)

    def _cold_read(self, record: StageRecord) -> None:
        """Restart the instance with its pages dropped, and read as :meth:`_read` does."""
        self._require_data()
        require_possible(self.rig)
        with self.rig.direct_reads():
            self._mark(record, "restart")
            record.cold, self.identity = made_cold(self.rig, self.identity, record.timing.reopened)
            require_dropped(record.cold)
            self._mark(record, "operations")
            self._read(record)
        self._mark(record, "proof")
        self._proof.content(self.rig, self._live)

    def _require_data(self) -> None:
        if not self.rig.capabilities.stores_data:
            raise Unsupported("it discards what it gets")

    def _read(self, record: StageRecord) -> None:
        """Read a seeded choice of bulk's objects by key; verify outside the clock."""
        self._require_data()
        dataset = self._bulk_part.dataset
        record.objects = min(self._cell.read_objects, dataset.objects)
        chosen = self._proof.choose(dataset, record.objects)
        mean_bytes = max(1, dataset.logical_bytes // dataset.objects)
        at_once = max(1, self._cell.batch_bytes // mean_bytes)
        for start in range(0, len(chosen), at_once):
            ordinals = chosen[start : start + at_once]
            found = record.timing.each_get(
                self.rig.adapter.get, [dataset.key(ordinal) for ordinal in ordinals]
            )
            for ordinal, payload in zip(ordinals, found, strict=True):
                record.logical_bytes += prove_object(dataset, ordinal, payload)
            record.timing.acknowledged += len(ordinals)

    def _delete(self, record: StageRecord) -> None:
        """Delete everything that is stored, and prove that nothing is left."""
        record.objects = sum(part.manifest.objects for part in self._live)
        record.logical_bytes = sum(part.manifest.logical_bytes for part in self._live)
        record.unique_bytes = sum(part.manifest.unique_bytes for part in self._live)
        written_before = self.rig.storage_write_bytes()
        if record.mode == "rowwise":
            for part in self._live:
                for start in range(0, part.dataset.objects, KEYS_AT_ONCE):
                    stop = min(start + KEYS_AT_ONCE, part.dataset.objects)
                    keys = part.dataset.keys(start, stop)
                    record.timing.delete(self.rig.adapter.delete, keys)
        else:

            def emptied() -> int:
                self.rig.adapter.empty(record.mode)
                return record.objects

            record.timing.batch(emptied)
        deleted, self._live = self._live, []
        self._settle(record, written_before)
        self._mark(record, "proof")
        self._proof.nothing_left(self.rig, deleted)
        if record.timing.acknowledged != record.objects:
            raise InvalidError(
                f"the deletion of {record.timing.acknowledged} of {record.objects} "
                "objects was acknowledged"
            )

    def _reclaim(self, record: StageRecord) -> None:
        """Run explicit maintenance, the system's or the volume's; prove that it lost nothing."""
        if not record.mode:
            raise Unsupported("it has no explicit maintenance")
        written_before = self.rig.storage_write_bytes()
        volumes_own = record.mode in DEDUPE_MODES

        def reclaimed() -> int:
            if volumes_own:
                self.rig.dedupe(record.mode, self._cell.deadline_s)
            else:
                self.rig.adapter.reclaim(record.mode)
            return 0

        record.timing.batch(reclaimed)
        self._flush(record)
        self._rest(record, DEDUPE if volumes_own else "reclaim")
        record.storage_write_bytes = _difference(written_before, self.rig.storage_write_bytes())
        self._mark(record, "proof")
        self._proof.content(self.rig, self._live)

    # What the stages share

    def _settle(self, record: StageRecord, written_before: int | None) -> None:
        """Flush, read, come to rest, read again: the moments of a stage that changed the store."""
        record.timing.ended()
        self._flush(record)
        record.moments.append(Moment("flush", self.rig.footprint(self._live_bytes())))
        self._rest(record, "rest")
        record.storage_write_bytes = _difference(written_before, self.rig.storage_write_bytes())

    def _flush(self, record: StageRecord) -> None:
        self._mark(record, "flush")
        begin = time.perf_counter_ns()
        self.rig.adapter.flush()
        record.flush_ns = time.perf_counter_ns() - begin

    def _rest(self, record: StageRecord, moment: str) -> None:
        """Come to rest, and enter the footprint under the name of that moment."""
        self._mark(record, "rest")
        record.moments.append(self.rig.settled(moment, self._cell.rest, self._live_bytes()))

    def _live_bytes(self) -> int:
        return sum(part.manifest.logical_bytes for part in self._live)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)
