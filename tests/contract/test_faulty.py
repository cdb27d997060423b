"""Each fault of the FaultyAdapter does what its name says, and nothing else.

What the bench makes of each fault is tested where the bench is tested; and
here the contract itself is shown to catch the faults that it is there for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deduplab.adapters.plain import PlainAdapter
from deduplab.adapters.sqlite import SqliteAdapter
from deduplab.errors import OperationFailed, PlanError, ProbeError, SystemUnavailable
from deduplab.server import Endpoint
from deduplab.testing import (
    FAULTS,
    SAMPLE_RECORDS,
    AdapterContract,
    FaultyAdapter,
    batch_of,
    distinct_objects,
    distinct_records,
    faulty_class,
)

OBJECTS = distinct_objects(10, length_bytes=100)
KEYS = list(OBJECTS)
HIT = KEYS[6]


class Bench:
    """A faulty adapter over SQLite, with the objects put in two batches and one by one."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = Endpoint(directory=directory)
        self.opened: list[FaultyAdapter] = []

    def adapter(self, fault: str, at: int = 6) -> FaultyAdapter:
        adapter = FaultyAdapter(SqliteAdapter(), fault, at=at)
        adapter.open(self.endpoint)
        adapter.create("faulty", layout="blob", variant="default", durability="fsync")
        self.opened.append(adapter)
        return adapter

    @staticmethod
    def fill(adapter: FaultyAdapter) -> int:
        """Put everything, the object that is hit in the second batch; return the acknowledged."""
        pairs = list(OBJECTS.items())
        acknowledged = adapter.put_many(batch_of(pairs[:4])) + adapter.put_many(
            batch_of(pairs[4:8])
        )
        for key, payload in pairs[8:]:
            adapter.put(key, payload)
            acknowledged += 1
        return acknowledged


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for adapter in bench.opened:
        adapter.close()
        adapter.close()


def stored(adapter: FaultyAdapter) -> dict[str, bytes]:
    """What the inner adapter really holds."""
    found = {key: adapter.inner.get(key) for key in KEYS}
    return {key: payload for key, payload in found.items() if isinstance(payload, bytes)}


STORE_FAULTS: dict[str, Any] = {
    # acknowledged, and what is really stored under the key that is hit
    "refuse": (9, None),
    "queued_only": (10, None),
    "short": (10, OBJECTS[HIT][:50]),
    "swapped": (10, OBJECTS[KEYS[5]]),
    "boast": (11, OBJECTS[HIT]),
    "twice": (10, OBJECTS[HIT]),
}


@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_store_faults(bench: Bench, fault: str) -> None:
    acknowledged, payload = STORE_FAULTS[fault]
    adapter = bench.adapter(fault)
    assert bench.fill(adapter) == acknowledged
    found = stored(adapter)
    assert found.pop(HIT, None) == payload
    assert found == {key: value for key, value in OBJECTS.items() if key != HIT}
    assert adapter.inner.count() == len(OBJECTS) + (fault == "twice") - (payload is None)


def test_corrupt_flips_one_bit(bench: Bench) -> None:
    adapter = bench.adapter("corrupt")
    assert bench.fill(adapter) == 10
    found = adapter.get(HIT)
    assert isinstance(found, bytes)
    assert len(found) == len(OBJECTS[HIT])
    differing = [a ^ b for a, b in zip(found, OBJECTS[HIT], strict=True) if a != b]
    assert differing == [1]


@pytest.mark.parametrize(
    ("fault", "error"), [("fail", OperationFailed), ("unavailable", SystemUnavailable)]
)
def test_a_failing_batch_stores_nothing(bench: Bench, fault: str, error: type[Exception]) -> None:
    adapter = bench.adapter(fault)
    with pytest.raises(error, match="injected fault"):
        bench.fill(adapter)
    assert set(stored(adapter)) == set(KEYS[:4])


@pytest.mark.parametrize("fault", ["fail", "refuse", "unavailable"])
def test_a_failing_put_stores_nothing(bench: Bench, fault: str) -> None:
    adapter = bench.adapter(fault, at=9)
    with pytest.raises((OperationFailed, SystemUnavailable), match="injected fault"):
        bench.fill(adapter)
    assert set(stored(adapter)) == set(KEYS[:9])


@pytest.mark.parametrize("fault", ["queued_only", "short", "corrupt", "swapped"])
def test_a_single_put_is_hit_as_well(bench: Bench, fault: str) -> None:
    adapter = bench.adapter(fault, at=9)
    assert bench.fill(adapter) == 10
    assert adapter.get(KEYS[9]) != OBJECTS[KEYS[9]]
    assert stored(adapter).items() >= dict(list(OBJECTS.items())[:9]).items()


@pytest.mark.parametrize("at", [2, 4])
@pytest.mark.parametrize("fault", ["short", "corrupt", "swapped", "queued_only", "wrong_read"])
def test_a_record_is_hit_as_a_payload_is(bench: Bench, fault: str, at: int) -> None:
    records = distinct_records(5)
    adapter = FaultyAdapter(SqliteAdapter(), fault, at=at)
    bench.opened.append(adapter)
    adapter.open(bench.endpoint)
    adapter.create(
        "records",
        layout="native",
        variant="default",
        durability="fsync",
        record_type=SAMPLE_RECORDS,
    )
    *bulk, alone = records.items()
    assert adapter.put_many(batch_of(bulk, SAMPLE_RECORDS)) == 4
    adapter.put(*alone)
    wrong = [key for key, record in records.items() if adapter.get(key) != record]
    assert wrong == [list(records)[at]]


def test_lost_after_flush(bench: Bench) -> None:
    adapter = bench.adapter("lost_after_flush")
    bench.fill(adapter)
    assert stored(adapter) == OBJECTS
    adapter.flush()
    assert set(KEYS) - set(stored(adapter)) == {HIT}


def test_lost_in_reclaim(bench: Bench) -> None:
    adapter = bench.adapter("lost_in_reclaim")
    bench.fill(adapter)
    adapter.flush()
    assert stored(adapter) == OBJECTS
    adapter.reclaim("vacuum")
    assert set(KEYS) - set(stored(adapter)) == {HIT}


@pytest.mark.parametrize(("fault", "acknowledged"), [("undeleted", 10), ("underdeleted", 9)])
def test_undeleted(bench: Bench, fault: str, acknowledged: int) -> None:
    adapter = bench.adapter(fault)
    bench.fill(adapter)
    assert adapter.delete(KEYS) == acknowledged
    assert stored(adapter) == {HIT: OBJECTS[HIT]}
    adapter.empty("truncate")
    assert stored(adapter) == {HIT: OBJECTS[HIT]}


def test_undead(bench: Bench) -> None:
    adapter = bench.adapter("undead")
    bench.fill(adapter)
    assert adapter.delete(KEYS) == 10
    assert stored(adapter) == {}
    adapter.flush()
    assert stored(adapter) == {HIT: OBJECTS[HIT]}


def test_delete_fails(bench: Bench) -> None:
    adapter = bench.adapter("delete_fails")
    bench.fill(adapter)
    assert adapter.delete(KEYS[:2]) == 2
    with pytest.raises(OperationFailed, match="injected fault"):
        adapter.delete(KEYS[2:])
    with pytest.raises(OperationFailed, match="injected fault"):
        adapter.empty("drop")
    assert set(stored(adapter)) == set(KEYS[2:])


def test_wrong_read_and_unread(bench: Bench) -> None:
    for fault in ("wrong_read", "unread"):
        adapter = bench.adapter(fault)
        bench.fill(adapter)
        assert stored(adapter) == OBJECTS
        wrong = {key for key in KEYS if adapter.get(key) != OBJECTS[key]}
        assert wrong == {HIT}
        assert (adapter.get(HIT) is None) == (fault == "unread")
        adapter.close()


def test_faults_of_what_is_said(bench: Bench) -> None:
    honest = bench.adapter("miscount", at=1000)
    bench.fill(honest)
    assert honest.count() == 10
    honest.close()
    adapter = bench.adapter("miscount")
    bench.fill(adapter)
    assert adapter.count() == 11
    adapter.close()
    adapter = bench.adapter("restless")
    assert not any(adapter.idle_signals().values())
    bench.fill(adapter)
    assert any(adapter.idle_signals().values())
    adapter.close()
    adapter = bench.adapter("no_reading")
    with pytest.raises(ProbeError, match="injected fault"):
        adapter.engine_reading()
    adapter.close()
    adapter = bench.adapter("another_instance")
    before = adapter.identity()
    bench.fill(adapter)
    assert adapter.identity().instance != before.instance
    assert adapter.counters() == adapter.inner.counters()
    adapter.destroy()


def test_without_a_hit_it_is_the_inner_adapter(bench: Bench) -> None:
    for fault in sorted(set(FAULTS) - {"no_reading", "delete_fails"}):
        adapter = bench.adapter(fault, at=1000)
        assert bench.fill(adapter) == 10
        assert not adapter.hit
        assert stored(adapter) == OBJECTS
        adapter.flush()
        assert adapter.engine_reading().total_bytes > 0
        assert adapter.delete(KEYS) == 10
        adapter.reclaim("vacuum")
        adapter.flush()
        assert adapter.count() == 0
        adapter.close()


def test_every_fault_is_tested_here() -> None:
    text = Path(__file__).read_text()
    assert {fault for fault in FAULTS if f'"{fault}"' not in text} == set()


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(PlanError, match="did you mean 'corrupt'"):
        FaultyAdapter(PlainAdapter(), "corupt")


def test_a_faulty_class_stands_in_for_an_adapter_class() -> None:
    stand_in = faulty_class(PlainAdapter, "short", at=3)
    assert stand_in.capabilities is PlainAdapter.capabilities
    assert stand_in.file_components == PlainAdapter.file_components
    adapter = stand_in()
    assert isinstance(adapter, FaultyAdapter)
    assert isinstance(adapter.inner, PlainAdapter)
    assert adapter.fault == "short"


CAUGHT = {
    "queued_only": "test_put_many_and_get",
    "short": "test_put_and_get",
    "corrupt": "test_put_many_and_get",
    "refuse": "test_put_many_and_get",
    "boast": "test_put_many_and_get",
    "lost_after_flush": "test_put_many_and_get",
    "lost_in_reclaim": "test_reclaim_loses_nothing",
    "undeleted": "test_delete_row_by_row",
    "undead": "test_every_delete_mode_leaves_nothing_and_can_be_refilled",
    "miscount": "test_put_and_get",
}


@pytest.mark.parametrize("fault", CAUGHT)
def test_the_contract_catches(bench: Bench, fault: str) -> None:
    test = getattr(AdapterContract(), CAUGHT[fault])
    honest = bench.adapter(fault, at=1000)
    test(honest)
    honest.close()
    faulty = bench.adapter(fault, at=0)
    with pytest.raises((AssertionError, OperationFailed)):
        test(faulty)
