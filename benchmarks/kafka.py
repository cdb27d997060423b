"""The Kafka adapter against the product's own tool, paired on one private broker.

Bulk: ``put_many`` against ``kafka-producer-perf-test`` (its class
``ProducerPerformance``), into the same topic made anew, with random payloads, the
same login, ``acks=all``, idempotence, and the same largest batch and linger. The
tool writes no keys, the adapter one a message. The tool's own figure is taken,
which begins when its producer is ready, so without the start of its Java; the
adapter is timed with batches that lie in memory, as in a measurement. What
arrived is counted by the broker.

Insert and read are printed without a counterpart, for the product has no tool
that waits for each message.

Rounds alternate sides; medians of rounds, ratios above 1 are in our favour.

    python benchmarks/kafka.py
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from _pairs import instance, paired, tell_bulk

from deduplab.adapters._kafka_topics import MOST_MESSAGE_BYTES
from deduplab.adapters.kafka import KafkaAdapter
from deduplab.batch import Batch
from deduplab.servers._kafka_tools import tool_command
from deduplab.servers.kafka import KafkaServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-kafka"
TOPIC = f"deduplab.{NAMESPACE}.objects"
TOOL_SETTINGS = {
    "acks": "all",
    "batch.size": "1000000",
    "linger.ms": "5",
    "buffer.memory": str(64 * MIB),
    "max.request.size": str(MOST_MESSAGE_BYTES),
}
TOOL_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--total-mib", type=int, default=256)
    parser.add_argument("--batch-mib", type=int, default=8)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--durability", default="fsync", choices=("fsync", "interval", "none"))
    arguments = parser.parse_args()
    settings = {"variant": "delete-policy", "durability": arguments.durability}
    with instance(KafkaServer, KafkaAdapter(), NAMESPACE, **settings) as up:
        server, endpoint, adapter, _ = up
        properties = server.client_properties(endpoint)
        with properties.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in TOOL_SETTINGS.items())
        print(f"broker {adapter.identity().version}, durability {arguments.durability}")
        for payload_bytes in (1 * KIB, 10 * KIB, 64 * KIB):
            _bulk(server, adapter, properties, payload_bytes, arguments)
        for payload_bytes in (1 * KIB, 8 * KIB):
            _insert_and_read(adapter, payload_bytes, arguments)


def _fresh(adapter: KafkaAdapter, durability: str) -> None:
    adapter.create(NAMESPACE, layout="blob", variant="delete-policy", durability=durability)


def _bulk(
    server: KafkaServer,
    adapter: KafkaAdapter,
    properties: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    objects = arguments.total_mib * MIB // payload_bytes

    def stored() -> None:
        assert adapter.count() == objects

    found = paired(
        lambda: _our_bulk_s(adapter, payload_bytes, objects, arguments.batch_mib * MIB),
        lambda: _their_bulk_s(server, properties, payload_bytes, objects),
        arguments.rounds,
        before=lambda: _fresh(adapter, arguments.durability),
        after=stored,
    )
    tell_bulk(payload_bytes, objects * payload_bytes, "kafka-producer-perf-test", found)


def _our_bulk_s(adapter: KafkaAdapter, payload_bytes: int, objects: int, batch_bytes: int) -> float:
    """Return the adapter's seconds over all batches; making them is not timed."""
    generator = np.random.default_rng(7)
    at_once = max(1, batch_bytes // payload_bytes)
    spent = 0.0
    for start in range(0, objects, at_once):
        count = min(at_once, objects - start)
        data = memoryview(generator.bytes(count * payload_bytes))
        offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
        batch = Batch([f"o{start + n:011d}" for n in range(count)], data, offsets)
        batch.payloads  # noqa: B018  (as the lifecycle does before the clock starts)
        begin = time.perf_counter()
        assert adapter.put_many(batch) == count
        spent += time.perf_counter() - begin
    return spent


def _their_bulk_s(server: KafkaServer, properties: Path, payload_bytes: int, objects: int) -> float:
    """Return the seconds of the tool's own rate."""
    words = {
        "--topic": TOPIC,
        "--num-records": str(objects),
        "--record-size": str(payload_bytes),
        "--throughput": "-1",
    }
    arguments = (word for pair in words.items() for word in pair)
    command = tool_command(server.kafka, properties, 0, "kafka-producer-perf-test", *arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TOOL_S, check=True, cwd=properties.parent
    )
    *_, last = re.findall(r"([\d.]+) records/sec", done.stdout)
    return objects / float(last)


def _insert_and_read(
    adapter: KafkaAdapter, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    _fresh(adapter, arguments.durability)
    payload = np.random.default_rng(9).bytes(payload_bytes)
    keys = [f"i{n:011d}" for n in range(arguments.operations)]
    puts, gets = [], []
    for key in keys:
        begin = time.perf_counter()
        adapter.put(key, payload)
        puts.append(time.perf_counter() - begin)
    for key in np.random.default_rng(5).permutation(keys).tolist():
        begin = time.perf_counter()
        assert adapter.get(key) == payload
        gets.append(time.perf_counter() - begin)
    told = ", ".join(
        f"{name} median {statistics.median(times) * 1e6:.0f} µs, {len(times) / sum(times):.0f} /s"
        for name, times in (("insert", puts), ("read", gets))
    )
    print(f"{payload_bytes // KIB} KiB: {told}")


if __name__ == "__main__":
    main()
