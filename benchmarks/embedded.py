"""How much of an embedded engine's bulk speed its adapter gives away.

Pairs ``put_many`` with the same writes by bare driver calls, whose arguments
were made before the clock starts; both in turns, in one process, into fresh
databases with the same settings. Goal: at least 0.95 of the bare calls.

    python benchmarks/embedded.py [--rounds 7] [--mib 16] [--directory DIR]
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chdb
import duckdb
import pyarrow as pa
import rocksdict

from deduplab.adapters._clickhouse_tables import table_settings
from deduplab.batch import Batch
from deduplab.registry import system
from deduplab.server import Endpoint
from deduplab.testing import batch_of, random_payload

MIB = 1 << 20
OBJECT_BYTES = (1024, 8192, 65536)
BATCH_BYTES = MIB

Write = Callable[[Any], object]


def batches(total_bytes: int, object_bytes: int) -> list[Batch]:
    payload = random_payload(total_bytes, object_bytes)
    objects = [
        (f"o{start:012d}", payload[start : start + object_bytes])
        for start in range(0, total_bytes, object_bytes)
    ]
    step = BATCH_BYTES // object_bytes
    made = [batch_of(objects[start : start + step]) for start in range(0, len(objects), step)]
    for batch in made:
        batch.payloads  # noqa: B018  (the bench makes them before the clock starts, too)
    return made


@contextmanager
def by_adapter(name: str, directory: Path) -> Iterator[Write]:
    adapter = system(name).adapter_class()()
    adapter.open(Endpoint(directory=directory))
    variant = adapter.capabilities.variants[0].name
    adapter.create("bench", layout="blob", variant=variant, durability="fsync")
    try:
        yield adapter.put_many
    finally:
        adapter.close()


@contextmanager
def bare_sqlite(directory: Path) -> Iterator[Write]:
    connection = sqlite3.connect(directory / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, payload BLOB NOT NULL)")

    def write(rows: list[tuple[str, bytes]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO objects VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    yield write
    connection.close()


@contextmanager
def bare_duckdb(directory: Path) -> Iterator[Write]:
    connection = duckdb.connect(str(directory / "bare.duckdb"))
    connection.execute("CREATE TABLE objects (key VARCHAR PRIMARY KEY, payload BLOB NOT NULL)")

    def write(rows: pa.Table) -> None:
        connection.register("rows", rows)
        connection.execute("INSERT INTO objects FROM rows").fetchall()
        connection.unregister("rows")

    yield write
    connection.close()


@contextmanager
def bare_rocksdb(directory: Path) -> Iterator[Write]:
    database = rocksdict.Rdict(str(directory / "bare"), rocksdict.Options(raw_mode=True))
    options = rocksdict.WriteOptions()
    options.sync = True

    def write(rows: list[tuple[bytes, bytes]]) -> None:
        writes = rocksdict.WriteBatch(raw_mode=True)
        for key, payload in rows:
            writes.put(key, payload)
        database.write(writes, options)

    yield write
    database.close()


@contextmanager
def bare_clickhouse(directory: Path) -> Iterator[Write]:
    connect: Any = chdb.connect  # it has no types
    connection = connect(str(directory))
    connection.query("SET max_insert_threads = 1")
    listed = ", ".join(f"{name} = {value}" for name, value in table_settings("fsync").items())
    connection.query(
        "CREATE TABLE objects (key String, payload String) ENGINE = MergeTree ORDER BY key "
        f"SETTINGS {listed}"
    )

    def write(rows: pa.Table) -> None:
        connection.query("INSERT INTO objects SELECT key, payload FROM Python(rows)")

    yield write
    connection.close()


def as_rows(batch: Batch) -> list[tuple[str, bytes]]:
    return list(zip(batch.keys, batch.payloads, strict=True))


def as_raw_rows(batch: Batch) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), payload) for key, payload in as_rows(batch)]


def as_arrow(batch: Batch) -> pa.Table:
    payloads = pa.Array.from_buffers(
        pa.large_binary(), len(batch), [None, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)]
    )
    return pa.table({"key": pa.array(batch.keys), "payload": payloads})


BARE: dict[str, tuple[Callable[[Path], Any], Callable[[Batch], Any]]] = {
    "sqlite": (bare_sqlite, as_rows),
    "duckdb": (bare_duckdb, as_arrow),
    "rocksdb": (bare_rocksdb, as_raw_rows),
    "clickhouse": (bare_clickhouse, as_arrow),
}


def seconds(opened: Any, inputs: list[Any]) -> float:
    """Time all writes; opening, closing and collecting garbage stay outside."""
    with opened as write:
        gc.collect()
        began = time.perf_counter()
        for each in inputs:
            write(each)
        return time.perf_counter() - began


def compare(name: str, object_bytes: int, total_bytes: int, rounds: int, root: Path) -> float:
    bare, prepare = BARE[name]
    loaded = batches(total_bytes, object_bytes)
    prepared = [prepare(batch) for batch in loaded]
    taken: dict[str, list[float]] = {"bare": [], "adapter": []}
    for number in range(rounds + 1):
        for who in ("bare", "adapter") if number % 2 else ("adapter", "bare"):
            directory = Path(tempfile.mkdtemp(dir=root))
            if who == "bare":
                spent = seconds(bare(directory), prepared)
            else:
                spent = seconds(by_adapter(name, directory), loaded)
            shutil.rmtree(directory)
            if number:  # the first round warms up
                taken[who].append(spent)
    bare_mb, adapter_mb = (
        total_bytes / 1e6 / statistics.median(taken[who]) for who in ("bare", "adapter")
    )
    ratios = [b / a for b, a in zip(taken["bare"], taken["adapter"], strict=True)]
    ratio = statistics.median(ratios)
    print(
        f"{name:10} {object_bytes:6} B: bare {bare_mb:7.1f} MB/s, put_many {adapter_mb:7.1f} MB/s, "
        f"ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=16)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--systems", nargs="*", default=list(BARE), choices=list(BARE))
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="deduplab-embedded-", dir=chosen.directory))
    try:
        for name in chosen.systems:
            for object_bytes in OBJECT_BYTES:
                compare(name, object_bytes, chosen.mib * MIB, chosen.rounds, root)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
