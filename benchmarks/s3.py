"""The S3 adapters against rclone, paired on one private server.

Bulk: ``put_many`` against ``rclone copy`` of the same objects, one file each (in the
page cache), with as many transfers at once as the adapter has writers, no look at
the destination and no look back at what was stored. Each side loads an empty
bucket. rclone is timed as a whole process; its start is measured by listing an
empty bucket, and both ratios are given.

Insert: ``put`` against one ``PUT`` after another by the vendor's Python client.

Rounds alternate sides; medians of rounds, ratios above 1 are in our favour.

    python benchmarks/s3.py [seaweedfs|minio]
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from deduplab.adapters._s3_base import WRITERS, S3Adapter
from deduplab.adapters._s3_wire import REGION
from deduplab.adapters.s3 import MinioAdapter, SeaweedfsAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint, Server
from deduplab.servers.minio import MinioServer
from deduplab.servers.seaweedfs import SeaweedfsServer
from deduplab.units import KIB

PRODUCTS: dict[str, tuple[type[S3Adapter], type[Server]]] = {
    "minio": (MinioAdapter, MinioServer),
    "seaweedfs": (SeaweedfsAdapter, SeaweedfsServer),
}
NAMESPACE = "bench"
BUCKET = f"deduplab-{NAMESPACE}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("product", choices=[*PRODUCTS], nargs="?", default="seaweedfs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--inserts", type=int, default=300)
    parser.add_argument("--durability")
    arguments = parser.parse_args()
    durability = arguments.durability or PRODUCTS[arguments.product][0].capabilities.durability[0]
    with _instance(arguments.product, durability) as (endpoint, adapter, scratch):
        found = adapter.identity()
        print(f"{found.product} {found.version}, {durability}")
        for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
            batch = _batch(arguments.objects, payload_bytes)
            _bulk(adapter, endpoint, scratch, batch, arguments.rounds)
        for payload_bytes in (1 * KIB, 10 * KIB):
            _insert(adapter, _batch(arguments.inserts, payload_bytes), arguments.rounds)


@contextmanager
def _instance(product: str, durability: str) -> Iterator[tuple[Endpoint, S3Adapter, Path]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-benchmark-"))
    kind, recipe = PRODUCTS[product]
    server, adapter = recipe(workspace, variant="default", durability=durability), kind()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(NAMESPACE, layout="blob", variant="default", durability=durability)
        yield endpoint, adapter, workspace
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace)


def _bulk(adapter: S3Adapter, endpoint: Endpoint, scratch: Path, batch: Batch, rounds: int) -> None:
    files = scratch / "objects"
    files.mkdir()
    for key, payload in zip(batch.keys, batch.payloads, strict=True):
        (files / key).write_bytes(payload)
    copy = ["copy", str(files), f"lab:{BUCKET}", "--transfers", str(WRITERS)]
    copy += ["--no-check-dest", "--s3-no-check-bucket", "--s3-no-head"]
    starts = [_timed(lambda: _rclone(endpoint, "lsf", f"lab:{BUCKET}")) for _ in range(rounds)]
    start_s = statistics.median(starts)
    ratios, ours_s, theirs_s = _paired(
        adapter, lambda: _put(adapter, batch), lambda: _rclone(endpoint, *copy), rounds, batch
    )
    net = statistics.median((t - start_s) / o for o, t in zip(ours_s, theirs_s, strict=True))
    rate = batch.logical_bytes / 1e6
    print(
        f"bulk {len(batch.payloads[0]):>6} B: put_many {rate / statistics.median(ours_s):6.1f} "
        f"MB/s, rclone {rate / statistics.median(theirs_s):6.1f} MB/s (start "
        f"{start_s * 1e3:.0f} ms); ratio {statistics.median(ratios):.2f} x, without its start "
        f"{net:.2f} x"
    )
    shutil.rmtree(files)


def _insert(adapter: S3Adapter, batch: Batch, rounds: int) -> None:
    client = adapter._wire.buckets

    def ours() -> None:
        for key, payload in zip(batch.keys, batch.payloads, strict=True):
            adapter.put(key, payload)

    def theirs() -> None:
        for key, payload in zip(batch.keys, batch.payloads, strict=True):
            client.put_object(BUCKET, key, io.BytesIO(payload), len(payload))

    ratios, ours_s, theirs_s = _paired(adapter, ours, theirs, rounds, batch)
    print(
        f"insert {len(batch.payloads[0]):>5} B: put {len(batch) / statistics.median(ours_s):5.0f} "
        f"/s, the vendor's client {len(batch) / statistics.median(theirs_s):5.0f} /s; "
        f"ratio {statistics.median(ratios):.2f} x"
    )


def _paired(
    adapter: S3Adapter,
    ours: Callable[[], None],
    theirs: Callable[[], None],
    rounds: int,
    batch: Batch,
) -> tuple[list[float], list[float], list[float]]:
    """Return ratios and seconds of both sides; the first round warms up and is not counted."""
    seconds: dict[Callable[[], None], list[float]] = {ours: [], theirs: []}
    for number in range(rounds + 1):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            adapter.empty("drop")
            # The first object of a bucket makes SeaweedFS create the bucket's volumes (1 s).
            adapter.put("first", b"payload")
            adapter.delete(["first"])
            adapter.flush()
            seconds[side].append(_timed(side))
            assert adapter.count() == len(batch)
    adapter.empty("drop")
    pairs = list(zip(seconds[ours][1:], seconds[theirs][1:], strict=True))
    return [t / o for o, t in pairs], [o for o, _ in pairs], [t for _, t in pairs]


def _put(adapter: S3Adapter, batch: Batch) -> None:
    assert adapter.put_many(batch) == len(batch)


def _timed(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _rclone(endpoint: Endpoint, *words: str) -> None:
    assert endpoint.secret is not None
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else "rclone"
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": str(endpoint.user),
        "SECRET_ACCESS_KEY": endpoint.secret.reveal(),
        "ENDPOINT": f"http://{endpoint.host}:{endpoint.port}",
        "REGION": REGION,
    }
    environment = {f"RCLONE_CONFIG_LAB_{name}": value for name, value in settings.items()}
    subprocess.run(
        [program, "--config", os.devnull, *words],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=300,
    )


def _batch(count: int, payload_bytes: int) -> Batch:
    data = np.random.default_rng(7).bytes(count * payload_bytes)
    offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
    return Batch([f"o{index:011d}" for index in range(count)], memoryview(data), offsets)


if __name__ == "__main__":
    main()
