"""The reference stores: their known answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from deduplab.adapter import Adapter
from deduplab.adapters import _packs
from deduplab.adapters.chunked import AVERAGE_CHUNK_BYTES, ChunkedAdapter
from deduplab.adapters.compressed import CompressedAdapter
from deduplab.adapters.null import NullAdapter
from deduplab.adapters.plain import PlainAdapter
from deduplab.adapters.single_instance import SingleInstanceAdapter
from deduplab.bound.chunkers import cut_points
from deduplab.testing import batch_of, random_payload
from tests.unit.reference_stores import (
    FILE_STORES,
    INDEXED,
    UNIQUE,
    Make,
    allocated,
    copies,
    reopen,
    text_objects,
)


@pytest.mark.parametrize("grade_percent", [0, 50, 90])
@pytest.mark.parametrize("kind", FILE_STORES)
def test_what_random_copies_cost(
    make: Make, tmp_path: Path, kind: type[Adapter], grade_percent: int
) -> None:
    adapter = make(kind)
    baseline = allocated(adapter, tmp_path)
    objects = copies(grade_percent)
    logical_bytes = sum(map(len, objects.values()))
    adapter.put_many(batch_of(objects))
    adapter.flush()
    found = allocated(adapter, tmp_path)
    shares = kind in (SingleInstanceAdapter, ChunkedAdapter)
    expected = sum(map(len, set(objects.values()))) if shares else logical_bytes
    assert found["data"] - baseline.get("data", 0) == pytest.approx(expected, rel=0.01)
    assert found["directories"] == baseline["directories"]


def test_compressed_is_smaller_for_text_and_copies_cost_the_same(
    make: Make, tmp_path: Path
) -> None:
    adapter = make(CompressedAdapter)
    text = next(iter(text_objects(1).values()))
    adapter.put("first", text)
    once = allocated(adapter, tmp_path)["data"]
    assert 0 < once <= len(text) // 2
    adapter.put_many(batch_of({f"copy-{number}": text for number in range(9)}))
    assert allocated(adapter, tmp_path)["data"] == 10 * once


def test_near_duplicates_share_chunks(make: Make, tmp_path: Path) -> None:
    adapter = make(ChunkedAdapter)
    original = random_payload(256 * 1024, 1)
    edited = original[:100_000] + b"inserted" + original[100_000:]
    adapter.put("original", original)
    adapter.put("edited", edited)
    reading = adapter.engine_reading()
    assert reading.components["data"] <= len(original) + 4 * 4 * AVERAGE_CHUNK_BYTES
    assert adapter.get("edited") == edited


def test_chunked_data_is_exactly_its_bound(make: Make) -> None:
    adapter = make(ChunkedAdapter)
    objects = copies(50) | {
        f"{key}.edited": payload[:4000] + b"!" + payload[4001:] for key, payload in UNIQUE.items()
    }
    adapter.put_many(batch_of(objects))
    chunks = set()
    for payload in objects.values():
        start = 0
        for end in cut_points(payload, AVERAGE_CHUNK_BYTES):
            chunks.add(payload[start:end])
            start = end
    assert adapter.engine_reading().components["data"] == sum(map(len, chunks))
    assert adapter.engine_reading().components["dead"] == 0


def test_the_index_is_small(make: Make) -> None:
    for kind, limit in ((SingleInstanceAdapter, 64), (ChunkedAdapter, 160)):
        adapter = make(kind)
        adapter.put_many(batch_of(UNIQUE))
        assert 0 < adapter.engine_reading().components["index"] <= limit * len(UNIQUE)
        adapter.close()


def test_null_counts_and_keeps_nothing(make: Make, tmp_path: Path) -> None:
    adapter = make(NullAdapter)
    baseline = allocated(adapter, tmp_path)
    adapter.put("one", b"payload")
    assert adapter.put_many(batch_of(UNIQUE)) == len(UNIQUE)
    assert adapter.count() == len(UNIQUE) + 1
    assert adapter.get("one") is None
    assert allocated(adapter, tmp_path) == baseline
    assert adapter.delete(list(UNIQUE)) == len(UNIQUE)
    assert adapter.delete(["one", "too many"]) == 1
    assert adapter.count() == 0


# -- deleting and reclaiming ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [PlainAdapter, CompressedAdapter, SingleInstanceAdapter])
def test_deleted_is_reclaimed_at_once(make: Make, tmp_path: Path, kind: type[Adapter]) -> None:
    adapter = make(kind)
    before = allocated(adapter, tmp_path).get("data", 0)
    adapter.put_many(batch_of(UNIQUE))
    adapter.delete(list(UNIQUE))
    assert allocated(adapter, tmp_path).get("data", 0) == before


def test_a_payload_goes_with_its_last_reference(make: Make, tmp_path: Path) -> None:
    adapter = make(SingleInstanceAdapter)
    payload = random_payload(8192, 1)
    adapter.put_many(batch_of({"a": payload, "b": payload, "c": payload}))
    assert adapter.delete(["a", "b", "a"]) == 2
    assert allocated(adapter, tmp_path)["data"] == 8192
    assert adapter.get("c") == payload
    assert adapter.delete(["c"]) == 1
    assert allocated(adapter, tmp_path).get("data", 0) == 0


def test_chunks_stay_until_repack_and_are_used_again(make: Make) -> None:
    adapter = make(ChunkedAdapter)
    adapter.put_many(batch_of(UNIQUE))
    filled = adapter.engine_reading().components
    adapter.delete(list(UNIQUE))
    deleted = adapter.engine_reading().components
    assert (deleted["data"], deleted["dead"]) == (0, filled["data"])
    adapter.put_many(batch_of({f"{key}.again": payload for key, payload in UNIQUE.items()}))
    refilled = adapter.engine_reading().components
    assert (refilled["data"], refilled["dead"]) == (filled["data"], 0)
    adapter.delete([f"{key}.again" for key in UNIQUE])
    adapter.reclaim("repack")
    assert adapter.engine_reading().total_bytes == 0


@pytest.mark.parametrize("kind", INDEXED)
def test_the_index_is_compacted(make: Make, tmp_path: Path, kind: type[Adapter]) -> None:
    adapter = make(kind)
    adapter.put("stays", b"payload")
    before = adapter.engine_reading().components["index"]
    adapter.put_many(batch_of(UNIQUE))
    adapter.delete(list(UNIQUE))
    assert adapter.engine_reading().components["index"] > 4 * before
    (mode,) = adapter.capabilities.reclaim_modes
    adapter.reclaim(mode)
    assert adapter.engine_reading().components["index"] == before
    reopen(adapter, tmp_path)
    assert adapter.count() == 1
    assert adapter.get("stays") == b"payload"


def test_repack_rewrites_only_packs_with_dead_chunks(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_packs, "PACK_BYTES", 10 * 8192)
    adapter = make(ChunkedAdapter)
    adapter.put_many(batch_of(UNIQUE))
    packs = tmp_path / "store" / "packs"
    before = {path.name: path.stat().st_size for path in packs.iterdir()}
    assert len(before) >= 4
    assert all(size <= 10 * 8192 for size in before.values())
    gone = next(iter(UNIQUE))
    adapter.delete([gone])
    adapter.reclaim("repack")
    after = {path.name: path.stat().st_size for path in packs.iterdir()}
    assert set(before) - set(after) == {"000001.pack"}
    assert sum(before.values()) - sum(after.values()) == 8192
    reopen(adapter, tmp_path)
    left = {key: payload for key, payload in UNIQUE.items() if key != gone}
    assert adapter.count() == len(left)
    assert all(adapter.get(key) == payload for key, payload in left.items())
