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
import subprocess
import sys
from pathlib import Path

from _pairs import instance, paired, random_batch, seconds, tell_bulk, tell_insert

from deduplab.adapters._s3_base import WRITERS, S3Adapter
from deduplab.adapters._s3_wire import REGION
from deduplab.adapters.s3 import MinioAdapter, SeaweedfsAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint, Server
from deduplab.servers._environment import environment_without
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
    kind, recipe = PRODUCTS[arguments.product]
    settings = {"variant": "default", "durability": durability}
    with instance(recipe, kind(), NAMESPACE, **settings) as (_, endpoint, adapter, scratch):
        found = adapter.identity()
        print(f"{found.product} {found.version}, {durability}")
        for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
            batch = random_batch(arguments.objects, payload_bytes)
            _bulk(adapter, endpoint, scratch, batch, arguments.rounds)
        for payload_bytes in (1 * KIB, 10 * KIB):
            _insert(adapter, random_batch(arguments.inserts, payload_bytes), arguments.rounds)


def _bulk(adapter: S3Adapter, endpoint: Endpoint, scratch: Path, batch: Batch, rounds: int) -> None:
    files = scratch / "objects"
    files.mkdir()
    for key, payload in zip(batch.keys, batch.payloads, strict=True):
        (files / key).write_bytes(payload)
    copy = ["copy", str(files), f"lab:{BUCKET}", "--transfers", str(WRITERS)]
    copy += ["--no-check-dest", "--s3-no-check-bucket", "--s3-no-head"]
    found = paired(
        lambda: seconds(lambda: adapter.put_many(batch)),
        lambda: seconds(lambda: _rclone(endpoint, *copy)),
        rounds,
        before=lambda: _emptied(adapter),
        after=lambda: _stored(adapter, batch),
        start=lambda: _rclone(endpoint, "lsd", "lab:"),
    )
    tell_bulk(len(batch.payloads[0]), batch.logical_bytes, "rclone", found)
    shutil.rmtree(files)


def _insert(adapter: S3Adapter, batch: Batch, rounds: int) -> None:
    client = adapter._wire.buckets
    objects = list(zip(batch.keys, batch.payloads, strict=True))

    def ours() -> None:
        for key, payload in objects:
            adapter.put(key, payload)

    def theirs() -> None:
        for key, payload in objects:
            client.put_object(BUCKET, key, io.BytesIO(payload), len(payload))

    found = paired(
        lambda: len(batch) / seconds(ours),
        lambda: len(batch) / seconds(theirs),
        rounds,
        before=lambda: _emptied(adapter),
        after=lambda: _stored(adapter, batch),
    )
    tell_insert(len(batch.payloads[0]), "the vendor's client", found)


def _emptied(adapter: S3Adapter) -> None:
    adapter.empty("drop")
    # The first object of a bucket makes SeaweedFS create the bucket's volumes (1 s).
    adapter.put("first", b"payload")
    adapter.delete(["first"])
    adapter.flush()


def _stored(adapter: S3Adapter, batch: Batch) -> None:
    assert adapter.count() == len(batch)


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
        env=environment_without("AWS_", "RCLONE_", **environment),
        check=True,
        capture_output=True,
        timeout=300,
    )


if __name__ == "__main__":
    main()
