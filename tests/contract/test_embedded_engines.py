"""SQLite, DuckDB and RocksDB: settings that took, known facts, and drivers that are missing."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import SystemUnavailable
from deduplab.probes.files import FilesProbe
from deduplab.registry import system
from deduplab.server import Endpoint
from deduplab.testing import batch_of, distinct_objects, random_payload

ENGINES = ("sqlite", "duckdb", "rocksdb")
MIB = 1 << 20

Open: TypeAlias = Callable[..., Adapter]


@pytest.fixture
def open_engine(
    tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[Open]:
    """Opens an engine below ``tmp_path`` in an empty namespace."""
    opened: list[Adapter] = []

    def build(name: str, variant: str = "default", durability: str = "fsync") -> Adapter:
        adapter = system(name).adapter_class()()
        opened.append(adapter)
        try:
            adapter.open(Endpoint(directory=tmp_path))
        except SystemUnavailable as error:
            not_brought_up(name, error)
        adapter.create("engine", layout="blob", variant=variant, durability=durability)
        return adapter

    yield build
    for adapter in opened:
        adapter.close()


def components(adapter: Adapter, directory: Path) -> Mapping[str, int]:
    return FilesProbe(directory, adapter.file_components).measure()[0].components


def grown_bytes(adapter: Adapter, directory: Path, payloads: list[bytes]) -> int:
    """Allocated bytes that these payloads cost once they are flushed, directories aside."""
    adapter.flush()
    before = dict(components(adapter, directory))
    for start in range(0, len(payloads), 128):
        part = payloads[start : start + 128]
        adapter.put_many(batch_of((f"o{start + at:08d}", p) for at, p in enumerate(part)))
    adapter.flush()
    after = dict(components(adapter, directory))
    return sum(after.values()) - sum(before.values())


def ninety_percent_copies(total_bytes: int, order: str) -> list[bytes]:
    count = total_bytes // 8192
    unique = [random_payload(8192, number) for number in range(count // 10)]
    payloads = [unique[number * len(unique) // count] for number in range(count)]
    if order == "shuffled":
        random.Random(1).shuffle(payloads)
    return payloads


SETTINGS: list[tuple[str, str, str, dict[str, str]]] = [
    ("sqlite", "default", "fsync", {"journal_mode": "wal", "synchronous": "2"}),
    ("sqlite", "default", "interval", {"synchronous": "1"}),
    ("sqlite", "page-64k", "none", {"synchronous": "0", "page_size": "65536"}),
    ("duckdb", "default", "fsync", {"fsync_mode": "STANDARD", "force_compression": "auto"}),
    ("duckdb", "uncompressed", "none", {"fsync_mode": "NONE"}),
    ("rocksdb", "default", "fsync", {"compression": "kSnappyCompression", "block_size": "4096"}),
    ("rocksdb", "zstd-64k", "interval", {"compression": "kZSTD", "block_size": "65536"}),
    ("rocksdb", "none", "none", {"compression": "kNoCompression"}),
]


@pytest.mark.parametrize(("name", "variant", "durability", "expected"), SETTINGS)
def test_settings_are_read_back_from_the_engine(
    open_engine: Open, name: str, variant: str, durability: str, expected: dict[str, str]
) -> None:
    adapter = open_engine(name, variant, durability)
    found = adapter.identity().configuration
    assert found.items() >= expected.items()
    assert found["durability"] == durability
    adapter.put_many(batch_of(distinct_objects(3)))
    adapter.flush()
    assert adapter.identity().configuration == found


@pytest.mark.parametrize(
    ("durability", "sync", "disable_wal"),
    [("fsync", True, False), ("interval", False, False), ("none", False, True)],
)
def test_rocksdb_writes_with_the_declared_durability(
    open_engine: Open, durability: str, sync: bool, disable_wal: bool
) -> None:
    adapter: Any = open_engine("rocksdb", durability=durability)
    assert adapter._write_options.sync is sync
    assert adapter._write_options.disable_wal is disable_wal


@pytest.mark.parametrize("name", ENGINES)
def test_a_flush_trims_the_log(open_engine: Open, tmp_path: Path, name: str) -> None:
    adapter = open_engine(name)
    adapter.flush()
    before = components(adapter, tmp_path)
    adapter.put_many(batch_of(distinct_objects(50)))
    assert components(adapter, tmp_path).get("wal", 0) > before.get("wal", 0)
    adapter.flush()
    flushed = components(adapter, tmp_path)
    assert flushed.get("wal", 0) <= before.get("wal", 0)
    assert flushed["data"] >= 50 * 8192


@pytest.mark.parametrize("order", ["adjacent", "shuffled"])
@pytest.mark.parametrize("name", ["sqlite", "rocksdb"])
def test_a_copy_costs_what_the_first_cost(
    open_engine: Open, tmp_path: Path, name: str, order: str
) -> None:
    adapter = open_engine(name)
    grown = grown_bytes(adapter, tmp_path, ninety_percent_copies(4 * MIB, order))
    assert 0.95 * 4 * MIB < grown < 1.15 * 4 * MIB


def test_duckdb_saves_copies_that_are_near_and_no_others(open_engine: Open, tmp_path: Path) -> None:
    near = open_engine("duckdb")
    grown = grown_bytes(near, tmp_path, ninety_percent_copies(12 * MIB, "adjacent"))
    assert grown < 12 * MIB / 5
    near.destroy()
    near.close()
    far = open_engine("duckdb")
    grown = grown_bytes(far, tmp_path, ninety_percent_copies(12 * MIB, "shuffled"))
    assert 0.95 * 12 * MIB < grown < 1.2 * 12 * MIB


def test_rocksdb_compresses_neighbours_only_within_a_block(
    open_engine: Open, tmp_path: Path
) -> None:
    small = open_engine("rocksdb", "zstd")
    payloads = ninety_percent_copies(4 * MIB, "adjacent")
    assert grown_bytes(small, tmp_path, payloads) > 0.95 * 4 * MIB
    small.destroy()
    small.close()
    large = open_engine("rocksdb", "zstd-64k")
    assert grown_bytes(large, tmp_path, payloads) < 4 * MIB / 3


RECLAIM = [("sqlite", "vacuum"), ("duckdb", "rewrite"), ("rocksdb", "compact")]


@pytest.mark.parametrize(("name", "mode"), RECLAIM)
def test_deleted_is_not_reclaimed_until_maintenance(
    open_engine: Open, tmp_path: Path, name: str, mode: str
) -> None:
    adapter = open_engine(name)
    objects = distinct_objects(400)
    grown_bytes(adapter, tmp_path, list(objects.values()))
    filled = components(adapter, tmp_path)["data"]
    adapter.delete([f"o{number:08d}" for number in range(0, 400, 2)])
    adapter.flush()
    deleted = components(adapter, tmp_path)["data"]
    assert deleted >= 0.95 * filled
    adapter.reclaim(mode)
    adapter.flush()
    assert components(adapter, tmp_path)["data"] <= 0.65 * deleted
    assert adapter.count() == 200


@pytest.mark.parametrize(("name", "module"), [("duckdb", "duckdb"), ("rocksdb", "rocksdict")])
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    adapter = system(name).adapter_class()()
    with pytest.raises(SystemUnavailable, match=rf"pip install 'deduplab\[{name}\]'"):
        adapter.open(Endpoint(directory=tmp_path))
    adapter.close()


@pytest.mark.parametrize("name", ENGINES)
def test_a_damaged_database_is_unavailable(open_engine: Open, tmp_path: Path, name: str) -> None:
    adapter = open_engine(name)
    adapter.put_many(batch_of(distinct_objects(20)))
    adapter.flush()
    adapter.close()
    files = [path for path in (tmp_path / "engine").rglob("*") if path.is_file()]
    for path in files:
        if path.name != "deduplab-marker.json" and path.name != "LOCK":
            path.write_bytes(b"damaged " * 1000)
    with pytest.raises(SystemUnavailable, match=name):
        adapter.open(Endpoint(directory=tmp_path))
