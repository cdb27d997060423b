"""How much of LMDB's speed its adapter gives away, against bare driver calls.

Bulk: ``put_many`` against one transaction with ``cursor.putmulti`` a batch.
Insert: ``put`` against one transaction with ``put`` an object. The bare side has
its keys and values as bytes before the clock starts, a map that is large enough
from the start, and the same settings. Both in turns, in one process, into
fresh files. Ratios above 1 are in our favour; goal: at least 0.95.

    python benchmarks/lmdb_calls.py [--rounds 7] [--mib 16] [--inserts 2000] [--durability fsync]
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import lmdb

from deduplab.adapters.lmdb import LmdbAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint
from deduplab.testing import batch_of, random_payload
from deduplab.units import MIB

OBJECT_BYTES = (1024, 10 * 1024, 100 * 1024)
SYNC = {"fsync": (True, True), "interval": (True, False), "none": (False, True)}

Rows: TypeAlias = list[tuple[bytes, bytes]]
Work: TypeAlias = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=16)
    parser.add_argument("--inserts", type=int, default=2000)
    parser.add_argument("--durability", default="fsync", choices=list(SYNC))
    parser.add_argument("--variant", default="default", choices=("default", "writemap"))
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="deduplab-lmdb-", dir=chosen.directory))
    try:
        for object_bytes in OBJECT_BYTES:
            _bulk(object_bytes, chosen, root)
        for object_bytes in OBJECT_BYTES[:2]:
            _insert(object_bytes, chosen, root)
    finally:
        shutil.rmtree(root)


@contextmanager
def _ours(directory: Path, chosen: argparse.Namespace) -> Iterator[LmdbAdapter]:
    adapter = LmdbAdapter()
    adapter.open(Endpoint(directory=directory))
    settings = {"variant": chosen.variant, "durability": chosen.durability}
    adapter.create("bench", layout="blob", **settings)
    try:
        yield adapter
    finally:
        adapter.close()


@contextmanager
def _bare(directory: Path, chosen: argparse.Namespace) -> Iterator[lmdb.Environment]:
    sync, metasync = SYNC[chosen.durability]
    environment = lmdb.open(
        str(directory / "bare.mdb"),
        subdir=False,
        map_size=256 * MIB,
        sync=sync,
        metasync=metasync,
        writemap=chosen.variant == "writemap",
    )
    try:
        yield environment
    finally:
        environment.close()


def _bulk(object_bytes: int, chosen: argparse.Namespace, root: Path) -> None:
    batches = _batches(chosen.mib * MIB, object_bytes, MIB)
    prepared = [_rows(batch) for batch in batches]

    def ours(adapter: LmdbAdapter) -> None:
        for batch in batches:
            adapter.put_many(batch)

    def bare(environment: lmdb.Environment) -> None:
        for rows in prepared:
            with environment.begin(write=True) as transaction:
                transaction.cursor().putmulti(rows)

    total_bytes = sum(batch.logical_bytes for batch in batches)
    _compare(f"bulk {object_bytes:6} B", total_bytes, 1e6, "MB/s", ours, bare, chosen, root)


def _insert(object_bytes: int, chosen: argparse.Namespace, root: Path) -> None:
    (batch,) = _batches(chosen.inserts * object_bytes, object_bytes, 1 << 40)
    objects, prepared = list(zip(batch.keys, batch.payloads, strict=True)), _rows(batch)

    def ours(adapter: LmdbAdapter) -> None:
        for key, payload in objects:
            adapter.put(key, payload)

    def bare(environment: lmdb.Environment) -> None:
        for key, payload in prepared:
            with environment.begin(write=True) as transaction:
                transaction.put(key, payload)

    _compare(f"insert {object_bytes:4} B", len(objects), 1, "/s", ours, bare, chosen, root)


def _compare(
    title: str,
    amount: float,
    unit_size: float,
    unit: str,
    ours: Callable[[LmdbAdapter], None],
    bare: Callable[[lmdb.Environment], None],
    chosen: argparse.Namespace,
    root: Path,
) -> None:
    taken: dict[str, list[float]] = {"adapter": [], "bare": []}
    for number in range(chosen.rounds + 1):
        for side in ("adapter", "bare") if number % 2 else ("bare", "adapter"):
            directory = Path(tempfile.mkdtemp(dir=root))
            if side == "adapter":
                with _ours(directory, chosen) as adapter:
                    spent = _seconds(lambda adapter=adapter: ours(adapter))  # type: ignore[misc]
            else:
                with _bare(directory, chosen) as environment:
                    spent = _seconds(lambda it=environment: bare(it))  # type: ignore[misc]
            shutil.rmtree(directory)
            if number:  # the first round warms up
                taken[side].append(spent)
    ratios = [b / a for a, b in zip(taken["adapter"], taken["bare"], strict=True)]
    mine, theirs = (amount / unit_size / statistics.median(taken[s]) for s in ("adapter", "bare"))
    print(
        f"{title}: adapter {mine:7.0f} {unit}, bare {theirs:7.0f} {unit}, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def _seconds(work: Work) -> float:
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _rows(batch: Batch) -> Rows:
    return [(k.encode(), p) for k, p in zip(batch.keys, batch.payloads, strict=True)]


def _batches(total_bytes: int, object_bytes: int, batch_bytes: int) -> list[Batch]:
    data = random_payload(total_bytes, object_bytes)
    starts = range(0, total_bytes - object_bytes + 1, object_bytes)
    objects = [(f"o{start:012d}", data[start : start + object_bytes]) for start in starts]
    step = max(1, batch_bytes // object_bytes)
    made = [batch_of(objects[start : start + step]) for start in range(0, len(objects), step)]
    for batch in made:
        batch.payloads  # noqa: B018  (the bench makes them before the clock starts, too)
    return made


if __name__ == "__main__":
    main()
