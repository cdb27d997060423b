"""What MergeTree tables do with copies, by the real engine in this process."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deduplab.adapters.clickhouse import ClickhouseAdapter
from deduplab.batch import Batch
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.record import Record
from deduplab.server import Endpoint
from deduplab.testing import SAMPLE_RECORDS, batch_of, distinct_records

pytest.importorskip("chdb")

_OBJECT_BYTES = 8192
_UNIQUE = 60
_COPIES = 10
_DEADLINE_S = 30.0


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[ClickhouseAdapter]:
    instance = ClickhouseAdapter()
    instance.open(Endpoint(directory=tmp_path / "data"))
    yield instance
    instance.close()


def _create(adapter: ClickhouseAdapter, variant: str, durability: str = "fsync") -> None:
    adapter.create("facts", layout="blob", variant=variant, durability=durability)


def _payloads(order: str) -> list[bytes]:
    generator = np.random.default_rng(5)
    unique = [generator.bytes(_OBJECT_BYTES) for _ in range(_UNIQUE)]
    copies = [payload for payload in unique for _ in range(_COPIES)]
    if order == "shuffled":
        random.Random(5).shuffle(copies)
    return copies


def _batch(payloads: list[bytes], first: int = 0) -> Batch:
    bounds = np.cumsum([0, *map(len, payloads)], dtype=np.int64)
    keys = [f"o{index:09d}" for index in range(first, first + len(payloads))]
    return Batch(keys, memoryview(b"".join(payloads)), bounds)


def _stored_ratio(adapter: ClickhouseAdapter) -> float:
    return adapter.engine_reading().total_bytes / (_UNIQUE * _COPIES * _OBJECT_BYTES)


@pytest.mark.parametrize("variant", ["mergetree", "replacing-by-key"])
def test_copies_vanish_in_a_block_and_not_afar(adapter: ClickhouseAdapter, variant: str) -> None:
    ratios = {}
    for order in ("adjacent", "shuffled"):
        _create(adapter, variant)
        payloads = _payloads(order)
        assert adapter.put_many(_batch(payloads)) == len(payloads)
        adapter.reclaim("optimize-final")
        assert adapter.count() == len(payloads)
        ratios[order] = _stored_ratio(adapter)
    assert ratios["adjacent"] < 0.2
    assert ratios["shuffled"] > 0.7


@pytest.mark.parametrize("order", ["adjacent", "shuffled"])
def test_by_hash_copies_in_one_block_are_refused_at_ingestion(
    adapter: ClickhouseAdapter, order: str
) -> None:
    _create(adapter, "replacing-by-hash")
    before = adapter.counters()
    payloads = _payloads(order)
    batch = _batch(payloads)
    assert adapter.put_many(batch) == len(payloads)
    after = adapter.counters()
    assert adapter.count() == len(payloads)
    # Every object has its key, and every payload one row.
    assert after["rows_inserted"] - before["rows_inserted"] == 2 * len(payloads)
    assert after["rows_persisted"] - before["rows_persisted"] == len(payloads) + _UNIQUE
    assert [adapter.get(key) for key in batch.keys] == payloads
    assert _stored_ratio(adapter) < 0.12


def test_by_hash_copies_in_two_blocks_need_a_merge(adapter: ClickhouseAdapter) -> None:
    _create(adapter, "replacing-by-hash")
    unique = _payloads("adjacent")[::_COPIES]
    assert adapter.put_many(_batch(unique)) == _UNIQUE
    assert adapter.put_many(_batch(unique, first=_UNIQUE)) == _UNIQUE
    before = _stored_ratio(adapter)
    adapter.reclaim("optimize-final")
    assert _stored_ratio(adapter) < 0.55 * before
    assert adapter.count() == 2 * _UNIQUE
    found = [adapter.get(f"o{index:09d}") for index in range(2 * _UNIQUE)]
    assert found == unique + unique


def test_by_hash_a_payload_goes_with_its_last_key_and_by_maintenance(
    adapter: ClickhouseAdapter,
) -> None:
    _create(adapter, "replacing-by-hash")
    batch = _batch(_payloads("adjacent"))
    adapter.put_many(batch)
    filled = _stored_ratio(adapter)
    kept = set(batch.keys[::_COPIES])
    adapter.delete([key for key in batch.keys if key not in kept])
    adapter.reclaim("optimize-final")
    assert adapter.count() == _UNIQUE
    assert _stored_ratio(adapter) > 0.95 * filled  # each payload has a key left
    adapter.delete(sorted(kept))
    assert adapter.count() == 0
    assert _stored_ratio(adapter) > 0.9 * filled
    adapter.reclaim("optimize-final")
    assert _stored_ratio(adapter) < 0.01


def test_deleted_is_not_reclaimed_until_a_merge(adapter: ClickhouseAdapter) -> None:
    _create(adapter, "mergetree")
    generator = np.random.default_rng(6)
    batch = _batch([generator.bytes(_OBJECT_BYTES) for _ in range(_UNIQUE * _COPIES)])
    adapter.put_many(batch)
    filled = adapter.engine_reading().components["data"]
    assert adapter.delete(batch.keys[::2]) == _UNIQUE * _COPIES // 2
    adapter.flush()
    assert adapter.count() == _UNIQUE * _COPIES // 2
    assert adapter.engine_reading().components["data"] >= filled
    adapter.reclaim("optimize-final")
    assert adapter.engine_reading().components["data"] < 0.51 * filled


def test_apply_deleted_mask_reclaims_too(adapter: ClickhouseAdapter) -> None:
    _create(adapter, "mergetree")
    generator = np.random.default_rng(6)
    batch = _batch([generator.bytes(_OBJECT_BYTES) for _ in range(100)])
    adapter.put_many(batch)
    filled = adapter.engine_reading().components["data"]
    adapter.delete(batch.keys[:80])
    adapter.reclaim("apply-deleted-mask")
    assert adapter.engine_reading().components["data"] < 0.21 * filled


def test_merged_away_parts_leave_the_disk(adapter: ClickhouseAdapter, tmp_path: Path) -> None:
    _create(adapter, "mergetree")
    for first in range(4):
        adapter.put_many(_batch([bytes([first]) * 100], first=first))
    adapter.reclaim("optimize-final")
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        parts = {path.parent.name for path in (tmp_path / "data/store").rglob("checksums.txt")}
        if len(parts) == 1 and not any(adapter.idle_signals().values()):
            break
        assert time.monotonic() < deadline, parts
    assert adapter.engine_reading().components["outdated"] == 0


def test_records_by_hash_are_copies_by_all_their_fields(adapter: ClickhouseAdapter) -> None:
    adapter.create(
        "facts",
        layout="native",
        variant="replacing-by-hash",
        durability="fsync",
        record_type=SAMPLE_RECORDS,
    )
    full, other = distinct_records(2).values()
    half = len(full) // 2
    nulls: Record = (*full[:half], *[None] * half)
    empty: Record = (*full[:half], "", *full[half + 1 :])
    kinds = [full, other, nulls, empty]
    copies = {f"copy-{number}-{at}": k for number in range(5) for at, k in enumerate(kinds)}
    assert adapter.put_many(batch_of(copies, SAMPLE_RECORDS)) == len(copies)
    for at, kind in enumerate(kinds):
        adapter.put(f"alone-{at}", kind)
    adapter.reclaim("optimize-final")
    assert adapter._engine.rows("SELECT count() FROM facts.payloads") == [[str(len(kinds))]]
    assert adapter.count() == len(copies) + len(kinds)
    assert all(adapter.get(key) == kind for key, kind in copies.items())
    assert [adapter.get(f"alone-{at}") for at in range(len(kinds))] == kinds


def test_durability_decides_whether_inserts_are_synced(adapter: ClickhouseAdapter) -> None:
    synced = {}
    for durability in ("fsync", "none"):
        _create(adapter, "mergetree", durability)
        before = adapter.counters()["file_syncs"]
        adapter.put("key", b"payload")
        synced[durability] = adapter.counters()["file_syncs"] - before
    assert synced["fsync"] > 0
    assert synced["none"] == 0


def test_an_insert_that_fails_is_an_error_and_stores_nothing(adapter: ClickhouseAdapter) -> None:
    with pytest.raises(OperationFailed, match="create"):
        adapter.put_many(_batch([b"x"]))
    _create(adapter, "mergetree")
    adapter._engine.run("ALTER TABLE facts.objects ADD CONSTRAINT small CHECK length(payload) < 10")
    with pytest.raises(OperationFailed, match="small"):
        adapter.put_many(_batch([b"x", b"y" * 100]))
    with pytest.raises(OperationFailed, match="small"):
        adapter.put("key", b"\xff\xfe" * 50)
    assert adapter.count() == 0


def test_a_batch_may_begin_anywhere_in_its_buffer(adapter: ClickhouseAdapter) -> None:
    _create(adapter, "mergetree")
    whole = _batch([b"zero", b"", b"\0two\xff", b"three"])
    part = Batch(whole.keys[1:3], whole.data, whole.offsets[1:4])
    assert adapter.put_many(part) == 2
    assert [adapter.get(key) for key in whole.keys] == [None, b"", b"\0two\xff", None]


def test_one_process_a_directory(adapter: ClickhouseAdapter, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from deduplab.adapters.clickhouse import ClickhouseAdapter\n"
        "from deduplab.errors import SystemUnavailable\n"
        "from deduplab.server import Endpoint\n"
        "try:\n"
        "    ClickhouseAdapter().open(Endpoint(directory=Path(sys.argv[1])))\n"
        "except SystemUnavailable:\n"
        "    sys.exit(3)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    assert subprocess.run(command, check=False, timeout=60).returncode == 3
    adapter.close()
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def test_one_directory_a_process(adapter: ClickhouseAdapter, tmp_path: Path) -> None:
    other = ClickhouseAdapter()
    with pytest.raises(SystemUnavailable, match="one directory a process"):
        other.open(Endpoint(directory=tmp_path / "other"))
    adapter.close()
    other.open(Endpoint(directory=tmp_path / "other"))
    other.close()
