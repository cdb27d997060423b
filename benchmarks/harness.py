"""What the harness adds to a measurement: the null system under the lifecycle's own clock.

Prints the median over rounds of the time per object in the timed region: a
bulk object of 64 KiB (goal: at most 1 µs) and one insert operation of 8 KiB
with its latency recorded (goal: at most 2 µs). Beside them, in the same run,
two clock stamps and an append, which is the least that any recording takes.

    python benchmarks/harness.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from deduplab.adapters.null import NullAdapter
from deduplab.bench.clock import Timing
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset
from deduplab.server import Endpoint
from deduplab.units import KIB, MIB

ROUNDS = 7


def opened(directory: Path) -> NullAdapter:
    adapter = NullAdapter()
    adapter.open(Endpoint(directory=directory))
    adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
    return adapter


def spec(logical_bytes: int, object_bytes: int) -> DatasetSpec:
    return DatasetSpec("random_binary", logical_bytes, object_bytes, 50, "shuffled")


def bulk_ns_per_object(directory: Path) -> float:
    adapter, timing = opened(directory), Timing()
    dataset = build_dataset(spec(256 * MIB, 64 * KIB))
    for batch in dataset.batches(16 * MIB):
        batch.payloads  # noqa: B018  (as the lifecycle does before the clock starts)
        timing.batch(lambda batch=batch: adapter.put_many(batch))  # type: ignore[misc]
    return timing.duration_ns / timing.acknowledged


def insert_ns_per_operation(directory: Path) -> float:
    adapter, timing = opened(directory), Timing()
    for batch in build_dataset(spec(256 * MIB, 8 * KIB)).batches(16 * MIB):
        timing.each_put(adapter.put, batch.keys, batch.payloads)
    return timing.duration_ns / timing.acknowledged


def stamps_ns() -> float:
    clock, kept = time.perf_counter_ns, []
    count = 32_768
    first = clock()
    for _ in range(count):
        begin = clock()
        kept.append(clock() - begin)
    return (clock() - first) / count


def main() -> None:
    bulk, insert, stamps = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            bulk.append(bulk_ns_per_object(Path(directory)))
            insert.append(insert_ns_per_operation(Path(directory)))
        stamps.append(stamps_ns())
    print(f"{'':32}{'median':>10}{'goal':>10}   n = {ROUNDS} rounds")
    print(f"{'bulk object, 64 KiB':32}{statistics.median(bulk):>7.0f} ns{1000:>7} ns")
    print(f"{'insert operation, 8 KiB':32}{statistics.median(insert):>7.0f} ns{2000:>7} ns")
    print(f"{'two stamps and an append':32}{statistics.median(stamps):>7.0f} ns")
    ratio = statistics.median(insert) / statistics.median(stamps)
    print(f"{'insert / stamps':32}{ratio:>8.2f} x")


if __name__ == "__main__":
    main()
