"""LMDB is held to the contracts of adapters and servers, and to what it promises alone."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import lmdb
import pytest

from deduplab import registry
from deduplab.adapter import Adapter
from deduplab.adapters.lmdb import FILE_NAME, LmdbAdapter
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.probes.files import FilesProbe
from deduplab.server import Endpoint
from deduplab.testing import (
    AdapterContract,
    ServerContract,
    SystemUnderTest,
    batch_of,
    distinct_objects,
    random_payload,
)
from tests.contract.looks_lmdb import LmdbLook
from tests.required import Counted

MIB = 1 << 20

Open: TypeAlias = Callable[..., LmdbAdapter]


class _Fixtures(Counted):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(registry.system("lmdb"), LmdbLook())


class TestLmdbAdapter(_Fixtures, AdapterContract):
    pass


class TestLmdbServer(_Fixtures, ServerContract):
    pass


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens an adapter below ``tmp_path`` in an empty namespace."""
    adapters: list[LmdbAdapter] = []

    def build(variant: str = "default", durability: str = "fsync") -> LmdbAdapter:
        adapter = LmdbAdapter()
        adapters.append(adapter)
        adapter.open(Endpoint(directory=tmp_path))
        adapter.create("engine", layout="blob", variant=variant, durability=durability)
        return adapter

    yield build
    for adapter in adapters:
        adapter.close()


def components(directory: Path, *, apparent: bool = False) -> Mapping[str, int]:
    return FilesProbe(directory, LmdbAdapter.file_components).measure()[apparent].components


@pytest.mark.parametrize(
    ("variant", "durability", "expected"),
    [
        ("default", "fsync", {"sync": "true", "metasync": "true", "writemap": "false"}),
        ("default", "interval", {"sync": "true", "metasync": "false"}),
        ("default", "none", {"sync": "false"}),
        ("writemap", "fsync", {"sync": "true", "metasync": "true", "writemap": "true"}),
        ("writemap", "none", {"sync": "false", "writemap": "true"}),
    ],
)
def test_settings_are_read_back(
    opened: Open, variant: str, durability: str, expected: dict[str, str]
) -> None:
    found = opened(variant, durability).identity().configuration
    assert found.items() >= expected.items()
    assert (found["durability"], found["page_size"]) == (durability, "4096")


def test_a_batch_with_a_key_that_exists_stores_nothing(opened: Open) -> None:
    adapter = opened()
    adapter.put("there", b"first")
    with pytest.raises(OperationFailed, match="never replaced"):
        adapter.put_many(batch_of({"new": b"n", "there": b"second"}))
    assert (adapter.count(), adapter.get("new"), adapter.get("there")) == (1, None, b"first")
    with pytest.raises(OperationFailed, match="never replaced"):
        adapter.put_many(batch_of([("twice", b"1"), ("twice", b"2")]))
    assert adapter.count() == 1


def test_keys_that_lmdb_can_not_store_are_refused(opened: Open) -> None:
    adapter = opened()
    longest = "k" * 511
    adapter.put(longest, b"fits")
    assert adapter.get(longest) == b"fits"
    for key in ("", "k" * 512, "ä" * 256):
        with pytest.raises(OperationFailed, match="1 to 511 bytes"):
            adapter.put(key, b"payload")
        with pytest.raises(OperationFailed, match="1 to 511 bytes"):
            adapter.put_many(batch_of({"fine": b"x", key: b"payload"}))
        assert adapter.delete([key]) == 0
        assert adapter.get(key) is None
    assert adapter.count() == 1


@pytest.mark.parametrize("variant", ["default", "writemap"])
def test_the_map_grows_for_batches_and_for_single_objects(
    opened: Open, tmp_path: Path, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deduplab.adapters._lmdb_file.FIRST_MAP_BYTES", 1 * MIB)
    adapter: Any = opened(variant, "none")
    stored = distinct_objects(100, length_bytes=MIB // 16)
    for start in range(0, 100, 25):
        keys = list(stored)[start : start + 25]
        adapter.put_many(batch_of({key: stored[key] for key in keys}))
    large = random_payload(5 * MIB, 1)
    adapter.put("large", large)
    map_bytes = adapter._opened().map_bytes
    assert map_bytes >= 16 * MIB
    adapter.flush()
    adapter.close()
    adapter.open(Endpoint(directory=tmp_path))
    assert adapter.count() == 101
    assert adapter.get("large") == large
    assert all(adapter.get(key) == payload for key, payload in stored.items())
    reserved = components(tmp_path, apparent=True)["data"]
    assert (reserved == map_bytes) == (variant == "writemap")


def test_writemap_leaves_the_end_of_its_file_a_hole(opened: Open, tmp_path: Path) -> None:
    adapter = opened("writemap")
    adapter.put_many(batch_of(distinct_objects(10)))
    adapter.flush()
    assert components(tmp_path, apparent=True)["data"] == 64 * MIB
    assert components(tmp_path)["data"] < 1 * MIB


@pytest.mark.parametrize("order", ["adjacent", "shuffled"])
def test_a_copy_costs_what_the_first_cost(opened: Open, tmp_path: Path, order: str) -> None:
    adapter = opened()
    adapter.flush()
    before = components(tmp_path)["data"]
    unique = [random_payload(8000, number) for number in range(50)]
    payloads = [unique[number // 10] for number in range(500)]
    if order == "shuffled":
        random.Random(1).shuffle(payloads)
    adapter.put_many(batch_of((f"o{n:08d}", payload) for n, payload in enumerate(payloads)))
    adapter.flush()
    grown = components(tmp_path)["data"] - before
    assert grown >= 500 * 8192
    reading = adapter.engine_reading()
    assert reading.components["data"] >= 500 * 8192
    assert reading.total_bytes == before + grown


def test_deleted_pages_are_used_again_and_leave_with_compaction(
    opened: Open, tmp_path: Path
) -> None:
    adapter = opened()
    objects = distinct_objects(200)
    adapter.put_many(batch_of(objects))
    adapter.flush()
    filled = components(tmp_path)["data"]
    adapter.delete(list(objects)[::2])
    adapter.flush()
    assert components(tmp_path)["data"] >= filled
    assert adapter.engine_reading().components["free"] >= 0.4 * filled
    adapter.reclaim("compact")
    adapter.flush()
    assert components(tmp_path)["data"] <= 0.6 * filled
    assert (tmp_path / "engine" / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert adapter.count() == 100


def test_a_compaction_that_was_cut_off_is_done_anew(opened: Open, tmp_path: Path) -> None:
    adapter = opened()
    adapter.put("key", b"payload")
    left = tmp_path / "engine" / f"{FILE_NAME}.new"
    left.write_bytes(b"half a copy")
    assert components(tmp_path)["temporary"] > 0
    adapter.reclaim("compact")
    assert adapter.get("key") == b"payload"
    assert not left.exists()


def test_put_many_is_one_transaction_and_put_one_each(opened: Open) -> None:
    adapter = opened()
    before = adapter.counters()["transactions"]
    adapter.put_many(batch_of(distinct_objects(10, "a")))
    assert adapter.counters()["transactions"] == before + 1
    for key, payload in distinct_objects(3, "b").items():
        adapter.put(key, payload)
    assert adapter.counters()["transactions"] == before + 4


@pytest.mark.parametrize("error", [lmdb.CorruptedError, lmdb.DiskError, lmdb.BadTxnError])
def test_driver_errors_are_told_apart(
    opened: Open, monkeypatch: pytest.MonkeyPatch, error: type[lmdb.Error]
) -> None:
    adapter: Any = opened()
    real = adapter._opened()._environment

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def begin(self, write: bool = False) -> Any:
            real_transaction = real.begin(write=write)

            class Transaction:
                def put(self, *_: object, **__: object) -> bool:
                    raise error("on purpose")

                def abort(self) -> None:
                    real_transaction.abort()

            return Transaction()

    monkeypatch.setattr(adapter._opened(), "_environment", Failing())
    expected = SystemUnavailable if error is lmdb.CorruptedError else OperationFailed
    with pytest.raises(expected, match="on purpose"):
        adapter.put("key", b"payload")
    monkeypatch.undo()
    adapter.put("after", b"the transaction was given up")
    assert adapter.count() == 1


CHILD = """
import sys
from pathlib import Path
from deduplab.adapters.lmdb import LmdbAdapter
from deduplab.server import Endpoint
from deduplab.testing import batch_of, distinct_objects

adapter = LmdbAdapter()
adapter.open(Endpoint(directory=Path(sys.argv[1])))
adapter.create("killed", layout="blob", variant=sys.argv[2], durability=sys.argv[3])
for number in range(1_000_000):
    adapter.put_many(batch_of(distinct_objects(10, f"b{number}-")))
    adapter.put(f"alone-{number}", b"put alone")
    print(number, flush=True)
"""


@pytest.mark.parametrize("variant", ["default", "writemap"])
@pytest.mark.parametrize("durability", ["fsync", "none"])
def test_a_kill_in_the_middle_leaves_what_was_acknowledged(
    tmp_path: Path, variant: str, durability: str
) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), variant, durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == 20:
                break
        child.kill()
        acknowledged = 20 + sum(1 for _ in child.stdout)
    look, endpoint = LmdbLook(), Endpoint(directory=tmp_path)
    stored = look.count(endpoint, "killed")
    least = (acknowledged + 1) * 11
    assert stored in (least, least + 10, least + 11), "a batch is there whole, or not at all"
    for number in range(acknowledged + 1):
        assert look.fetch(endpoint, "killed", f"alone-{number}") == b"put alone"
    for key, payload in distinct_objects(10, f"b{acknowledged}-").items():
        assert look.fetch(endpoint, "killed", key) == payload


def test_a_full_disk_is_told_and_stores_nothing(opened: Open) -> None:
    """As full as a limit on the length of files makes it."""
    adapter = opened()
    adapter.put("before", b"payload")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 * MIB, hard))
    try:
        with pytest.raises(OperationFailed, match="put of 300 objects failed"):
            adapter.put_many(batch_of(distinct_objects(300)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert adapter.count() == 1
    assert adapter.put_many(batch_of(distinct_objects(300))) == 300
    assert adapter.get("before") == b"payload"


def test_a_damaged_database_is_unavailable(opened: Open, tmp_path: Path) -> None:
    adapter = opened()
    adapter.put("key", b"payload")
    adapter.close()
    (tmp_path / "engine" / FILE_NAME).write_bytes(b"no database" * 2000)
    with pytest.raises(SystemUnavailable, match="can't be opened"):
        adapter.open(Endpoint(directory=tmp_path))


def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    adapter: Adapter = LmdbAdapter()
    with pytest.raises(SystemUnavailable, match=r"pip install 'deduplab\[lmdb\]'"):
        adapter.open(Endpoint(directory=tmp_path))
    adapter.close()
