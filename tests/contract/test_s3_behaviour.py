"""What MinIO and SeaweedFS do beyond the contract: rights, versions, compression, vacuum, death."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from minio.error import S3Error

from deduplab.adapters._s3_base import REMOVE_NONCURRENT, S3Adapter
from deduplab.adapters.s3 import MinioAdapter, SeaweedfsAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers.minio import MinioServer
from deduplab.servers.seaweedfs import SeaweedfsServer
from deduplab.testing import SAMPLE_RECORDS, batch_of, distinct_objects, distinct_records
from tests.contract.looks_s3 import client_of

pytestmark = pytest.mark.server

PRODUCTS: dict[str, tuple[type[S3Adapter], type[Server], str]] = {
    "minio": (MinioAdapter, MinioServer, "interval"),
    "seaweedfs": (SeaweedfsAdapter, SeaweedfsServer, "none"),
}
BUCKET = "deduplab-lab"
DEADLINE_S = 30.0


@contextmanager
def brought_up(
    name: str, variant: str, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[tuple[Server, Endpoint]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-contract-"))
    _, recipe, durability = PRODUCTS[name]
    server = recipe(workspace, variant=variant, durability=durability)
    try:
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up(name, error)
        yield server, endpoint
    finally:
        server.stop()
        shutil.rmtree(workspace)


@pytest.fixture(scope="module", params=[*PRODUCTS])
def running(
    request: pytest.FixtureRequest, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[tuple[str, Endpoint]]:
    with brought_up(request.param, "default", not_brought_up) as (_, endpoint):
        yield request.param, endpoint


def entered(name: str, endpoint: Endpoint, variant: str = "default", **more: Any) -> S3Adapter:
    kind, _, durability = PRODUCTS[name]
    adapter = kind()
    adapter.open(endpoint)
    settings = {"layout": "blob", "variant": variant, "durability": durability} | more
    adapter.create("lab", **settings)
    return adapter


@pytest.fixture
def adapter(running: tuple[str, Endpoint]) -> Iterator[S3Adapter]:
    adapter = entered(*running)
    yield adapter
    adapter.close()


def files_bytes(endpoint: Endpoint, pattern: str) -> int:
    assert endpoint.directory is not None
    return sum(path.stat().st_size for path in endpoint.directory.rglob(pattern))


def test_a_wrong_secret_is_unavailable(running: tuple[str, Endpoint]) -> None:
    name, endpoint = running
    with pytest.raises(SystemUnavailable, match="check the user and the secret"):
        PRODUCTS[name][0]().open(replace(endpoint, secret=Secret("wrong-" * 5)))


def test_a_server_without_tls_is_not_spoken_to_with_it(running: tuple[str, Endpoint]) -> None:
    name, endpoint = running
    with pytest.raises(SystemUnavailable, match='tls = "off"'):
        PRODUCTS[name][0]().open(replace(endpoint, options={"tls": "verify"}))


def test_the_user_has_no_rights_on_other_buckets(running: tuple[str, Endpoint]) -> None:
    with pytest.raises(S3Error) as caught:
        client_of(running[1]).make_bucket("somebody-elses")
    assert caught.value.code == "AccessDenied"


def test_a_bucket_that_vanished_is_a_failure(
    running: tuple[str, Endpoint], adapter: S3Adapter
) -> None:
    client_of(running[1]).remove_bucket(BUCKET)
    with pytest.raises(OperationFailed, match="NoSuchBucket"):
        adapter.put("key", b"payload")
    with pytest.raises(OperationFailed, match="NoSuchBucket"):
        adapter.put_many(batch_of({"key": b"payload"}))


def test_a_batch_with_a_key_that_exists_is_refused(adapter: S3Adapter) -> None:
    adapter.put("b", b"first")
    with pytest.raises(OperationFailed, match="already exists"):
        adapter.put_many(batch_of({"a": b"1", "b": b"2", "c": b"3"}))
    assert adapter.get("b") == b"first"


def test_a_payload_is_not_a_record(adapter: S3Adapter) -> None:
    with pytest.raises(OperationFailed, match="can't take 2 values"):
        adapter.put("key", ("a", "b"))


def test_native_objects_bear_their_content_type(running: tuple[str, Endpoint]) -> None:
    adapter = entered(*running, layout="native", record_type=SAMPLE_RECORDS)
    records = distinct_records(2)
    first, second = records
    adapter.put(first, records[first])
    adapter.put_many(batch_of({second: records[second]}, SAMPLE_RECORDS))
    adapter.close()
    client = client_of(running[1])
    for key, record in records.items():
        assert client.stat_object(BUCKET, key).content_type == SAMPLE_RECORDS.content_type
        with client.get_object(BUCKET, key) as answer:
            assert answer.read() == SAMPLE_RECORDS.serialise(record)


def test_versions_are_kept_until_they_are_removed(running: tuple[str, Endpoint]) -> None:
    adapter = entered(*running, variant="versioning")
    objects = distinct_objects(6)
    adapter.put_many(batch_of(objects))
    gone, *left = objects
    adapter.delete([gone])
    adapter.put(gone, b"again")
    adapter.delete([gone])
    client = client_of(running[1])

    def versions() -> int:
        return len(list(client.list_objects(BUCKET, recursive=True, include_version=True)))

    assert adapter.count() == len(left)
    assert versions() == len(left) + 4  # two versions and two delete markers
    adapter.reclaim(REMOVE_NONCURRENT)
    assert versions() == len(left)
    assert all(adapter.get(key) == objects[key] for key in left)
    adapter.destroy()
    adapter.close()
    assert not client.bucket_exists(BUCKET)


def test_a_killed_server_is_unavailable(
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    with brought_up("minio", "default", not_brought_up) as (server, endpoint):
        adapter = entered("minio", endpoint)
        adapter.put("before", b"payload")
        for process in server.processes():
            os.kill(process, signal.SIGKILL)
        for verb in (
            lambda: adapter.put("after", b"payload"),
            lambda: adapter.put_many(batch_of({"after": b"payload"})),
            adapter.count,
            adapter.destroy,
        ):
            with pytest.raises(SystemUnavailable):
                verb()
        adapter.close()


def test_what_was_stored_is_there_after_a_restart(
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    for name in PRODUCTS:
        with brought_up(name, "default", not_brought_up) as (server, endpoint):
            adapter = entered(name, endpoint)
            objects = distinct_objects(20)
            adapter.put_many(batch_of(objects))
            adapter.flush()
            adapter.close()
            server.stop()
            adapter.open(server.start())
            assert adapter.count() == len(objects)
            assert all(adapter.get(key) == payload for key, payload in objects.items())
            adapter.close()


def test_minio_compresses_each_object_alone(
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    payload = b"a line that is like all others\n" * 1000
    with brought_up("minio", "compression", not_brought_up) as (_, endpoint):
        adapter = entered("minio", endpoint, "compression")
        adapter.put_many(batch_of({f"o{number}": payload for number in range(8)}))
        assert files_bytes(endpoint, "o*/xl.meta") < 8 * len(payload) // 4
        assert adapter.get("o1") == payload
        with pytest.raises(Unsupported, match="MINIO_COMPRESSION_ENABLE"):
            entered("minio", endpoint, "default")
        adapter.close()


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline, "it has not happened by the deadline"
        time.sleep(0.02)


@pytest.mark.parametrize("running", ["minio"], indirect=True)
def test_minio_keeps_what_was_deleted_in_its_trash_until_a_restart(
    running: tuple[str, Endpoint], adapter: S3Adapter
) -> None:
    objects = distinct_objects(10)
    payload_bytes = sum(map(len, objects.values()))
    adapter.put_many(batch_of(objects))
    adapter.put("stays", b"here")
    assert trash_bytes(running[1]) < payload_bytes
    assert adapter.delete(list(objects)) == 10
    assert adapter.count() == 1
    assert trash_bytes(running[1]) > payload_bytes
    before = adapter.identity()
    adapter.reclaim("restart")
    assert adapter.identity() == before
    assert adapter.get("stays") == b"here"
    eventually(lambda: trash_bytes(running[1]) == 0)


def trash_bytes(endpoint: Endpoint) -> int:
    """Return the lengths of what lies in MinIO's trash, and in what it puts aside at a start."""
    assert endpoint.directory is not None
    system = endpoint.directory / ".minio.sys"
    places = (system / "tmp" / ".trash", system / "tmp-old")
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("running", ["seaweedfs"], indirect=True)
def test_seaweedfs_gives_space_back_only_by_its_vacuum(
    running: tuple[str, Endpoint], adapter: S3Adapter
) -> None:
    endpoint = running[1]
    rng = random.Random(1)
    objects = {f"o{number}": rng.randbytes(20_000) for number in range(50)}
    adapter.put_many(batch_of(objects))
    adapter.flush()
    filled = files_bytes(endpoint, f"{BUCKET}_*.dat")
    assert filled > 50 * 20_000
    adapter.delete(list(objects)[:40])
    eventually(lambda: not any(adapter.idle_signals().values()))
    reading = adapter.engine_reading()
    assert reading.components["deleted"] >= 40 * 20_000
    assert files_bytes(endpoint, f"{BUCKET}_*.dat") >= filled
    adapter.reclaim("vacuum")
    assert files_bytes(endpoint, f"{BUCKET}_*.dat") < filled // 4
    assert adapter.engine_reading().components["deleted"] == 0
    assert all(adapter.get(key) == objects[key] for key in list(objects)[40:])
