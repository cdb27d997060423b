"""What of the S3 adapters and their servers needs no server: names, errors, chunks, programs."""

from __future__ import annotations

import socket
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from minio.error import S3Error
from obstore import exceptions
from urllib3 import HTTPResponse

from deduplab.adapter import Adapter
from deduplab.adapters import _s3_minio, _s3_seaweedfs
from deduplab.adapters._s3_base import _bucket
from deduplab.adapters._s3_wire import Wire, checked_keys
from deduplab.adapters.s3 import MinioAdapter, SeaweedfsAdapter
from deduplab.cache_folder import CACHE_VARIABLE
from deduplab.errors import (
    DiskSpaceError,
    NamespaceRefused,
    OperationFailed,
    ProbeError,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint
from deduplab.servers import _minio_binaries, _seaweedfs_binaries, _seaweedfs_sockets
from deduplab.servers.minio import MinioServer
from deduplab.servers.seaweedfs import SeaweedfsServer


class FakeWire:
    """Answers as the volume servers would, one answer after another, the last again and again."""

    def __init__(self, *answers: list[dict[str, Any]], options: dict[str, str] | None = None):
        where = {"volumes": "v:1", "master": "m:1"} if options is None else options
        self.endpoint = Endpoint(options=where | {"tls": "off"})
        self.answers = list(answers)
        self.asked: list[str] = []

    def get_json(self, url: str) -> Any:
        self.asked.append(url)
        if "/vol/vacuum" in url:
            return {}
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {"Volumes": found}


def volume(collection: str, size: int, deleted: int, files: int, gone: int) -> dict[str, Any]:
    return {
        "Collection": collection,
        "Size": size,
        "DeletedByteCount": deleted,
        "FileCount": files,
        "DeleteCount": gone,
    }


def unconnected() -> Wire:
    wire = object.__new__(Wire)
    wire.product, wire.address = "minio", "127.0.0.1:1"
    return wire


def faked(*answers: list[dict[str, Any]], options: dict[str, str] | None = None) -> Any:
    return FakeWire(*answers, options=options)


def test_a_namespace_is_a_bucket_with_our_prefix() -> None:
    assert _bucket("lab-1") == "deduplab-lab-1"


@pytest.mark.parametrize("name", ["under_score", "ends-with-", "x" * 55])
def test_names_that_s3_does_not_allow_are_refused(name: str) -> None:
    with pytest.raises(NamespaceRefused, match="S3 does not allow"):
        _bucket(name)


def test_a_key_twice_in_a_batch_is_refused() -> None:
    checked_keys("minio", ["a", "b"])
    with pytest.raises(OperationFailed, match="twice"):
        checked_keys("minio", ["a", "b", "a"])


@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(host="127.0.0.1", port=1, user="u")])
def test_an_endpoint_without_address_or_secret_is_unavailable(endpoint: Endpoint) -> None:
    with pytest.raises(SystemUnavailable, match="a secret"):
        Wire("minio", endpoint)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Server returned non-2xx status code: 503 Service Unavailable", SystemUnavailable),
        ("Error performing PUT http://h/b/k: error sending request", SystemUnavailable),
        ("Server returned non-2xx status code: 507: XMinioStorageFull", DiskSpaceError),
        ("Server returned non-2xx status code: 403 Forbidden", OperationFailed),
    ],
)
def test_errors_of_objects_are_told_apart(words: str, kind: type[Exception]) -> None:
    def fail() -> None:
        raise exceptions.GenericError(words)

    with pytest.raises(kind, match="minio: "):
        unconnected().ask(fail)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SlowDown", SystemUnavailable),
        ("NoSuchBucket", OperationFailed),
        ("NoSuchTagSet", NamespaceRefused),
    ],
)
def test_errors_of_buckets_are_told_apart(code: str, kind: type[Exception]) -> None:
    def fail() -> None:
        raise S3Error(HTTPResponse(), code, "words", "r", "q", "h", bucket_name="b")

    with pytest.raises(kind, match="minio: "):
        unconnected().ask(fail)


def test_other_errors_are_not_hidden() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        unconnected().ask(fail)


def test_chunks_of_lengths() -> None:
    limit = _s3_seaweedfs.CHUNK_BYTES
    assert _s3_seaweedfs.expected_chunks([0, 1, limit, limit + 1]) == 0 + 1 + 1 + 2


def test_volumes_of_one_collection_are_added_up() -> None:
    wire = faked([volume("a", 100, 10, 5, 1), volume("b", 7, 7, 7, 7), volume("a", 1, 0, 2, 0)])
    found = _s3_seaweedfs.volumes_of(wire, "a")
    assert (found.number, found.content_bytes, found.deleted_bytes) == (2, 101, 10)
    assert found.live_chunks == 6


def test_without_volume_servers_there_is_no_size() -> None:
    with pytest.raises(ProbeError, match="not known"):
        _s3_seaweedfs.volumes_of(faked([], options={}), "a")
    with pytest.raises(OperationFailed, match=r"volume\.vacuum"):
        _s3_seaweedfs.vacuum(faked([], options={}), "a")


def test_deletions_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_s3_seaweedfs, "_POLL_S", 0.0)
    wire = faked([volume("a", 9, 0, 9, 0)], [volume("a", 9, 5, 9, 5)])
    _s3_seaweedfs.wait_for_deletions(wire, "a", 4)
    assert len(wire.asked) == 2
    with pytest.raises(OperationFailed, match=r"4 chunks .* have 3"):
        _s3_seaweedfs.wait_for_deletions(wire, "a", 3)


def test_vacuum_is_asked_again_and_not_for_ever() -> None:
    dirty, clean = [volume("a", 9, 5, 9, 5)], [volume("a", 4, 0, 4, 0)]
    wire = faked(dirty, clean)
    _s3_seaweedfs.vacuum(wire, "a")
    assert sum("/vol/vacuum?garbageThreshold=0" in url for url in wire.asked) == 2
    with pytest.raises(OperationFailed, match="5 deleted chunks"):
        _s3_seaweedfs.vacuum(faked(dirty), "a")


def test_a_server_that_hangs_in_each_answer_is_waited_for_until_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def hang(wire: Wire) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        time.sleep(0.15)
        raise SystemUnavailable("no answer")

    monkeypatch.setattr(_s3_minio, "_DEADLINE_S", 0.2)
    monkeypatch.setattr(_s3_minio, "_asked", lambda *asked: "")
    monkeypatch.setattr(_s3_minio, "server_info", hang)
    wire = unconnected()
    wire.endpoint = Endpoint(directory=tmp_path)
    with pytest.raises(SystemUnavailable, match="more than a minute to answer again"):
        _s3_minio.restart(wire)
    assert looks <= 5  # before, until it ends, and two or three until it should answer


@pytest.mark.parametrize(
    ("environment", "variant", "durability"),
    [
        ({}, "default", "interval"),
        ({"MINIO_FS_OSYNC": "on"}, "versioning", "fsync"),
        ({"MINIO_FS_OSYNC": "on", "MINIO_COMPRESSION_ENABLE": "on"}, "compression", "fsync"),
    ],
)
def test_minio_is_set_as_it_must_be(
    environment: dict[str, str], variant: str, durability: str
) -> None:
    info = {"servers": [{"minio_env_vars": environment}]}
    _s3_minio.check(info, variant=variant, durability=durability)
    other = "interval" if durability == "fsync" else "fsync"
    with pytest.raises(Unsupported, match="MINIO_FS_OSYNC"):
        _s3_minio.check(info, variant=variant, durability=other)
    turned = "default" if variant == "compression" else "compression"
    with pytest.raises(Unsupported, match="MINIO_COMPRESSION_ENABLE"):
        _s3_minio.check(info, variant=turned, durability=durability)


@pytest.mark.parametrize(
    ("adapter", "path", "component"),
    [
        (MinioAdapter, "deduplab-lab/o1/xl.meta", "data"),
        (MinioAdapter, ".minio.sys/tmp/.trash/x/xl.meta", "trash"),
        (MinioAdapter, ".minio.sys/tmp/x", "temporary"),
        (MinioAdapter, ".minio.sys/format.json", "metadata"),
        (SeaweedfsAdapter, "deduplab-lab_1.dat", "data"),
        (SeaweedfsAdapter, "deduplab-lab_1.idx", "index"),
        (SeaweedfsAdapter, "deduplab-lab_1.cpd", "temporary"),
        (SeaweedfsAdapter, "filerldb2/00/000001.log", "metadata"),
    ],
)
def test_components_of_files(adapter: type[Adapter], path: str, component: str) -> None:
    globs = adapter.file_components
    assert next(name for glob, name in globs if fnmatchcase(path, glob)) == component


@pytest.mark.parametrize("server", [MinioServer, SeaweedfsServer])
def test_an_unknown_durability_is_refused_before_anything_is_made(
    server: type[MinioServer] | type[SeaweedfsServer], tmp_path: Path
) -> None:
    with pytest.raises(Unsupported, match="sometimes"):
        server(tmp_path, variant="default", durability="sometimes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("binaries", [_minio_binaries, _seaweedfs_binaries])
def test_a_program_that_was_named_must_be_one(
    binaries: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    monkeypatch.setenv(binaries.PROGRAM_VARIABLE, str(program))
    with pytest.raises(SystemUnavailable, match="which is no program"):
        binaries.find()
    program.touch(mode=0o755)
    assert binaries.find() == program


def test_where_minio_is_missing_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(_minio_binaries.PROGRAM_VARIABLE, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemUnavailable, match="deduplab systems install minio"):
        _minio_binaries.find()
    with pytest.raises(SystemUnavailable, match=r"needs Go 1\.24"):
        _minio_binaries.install(lambda said: None)
    assert not list(tmp_path.rglob("minio"))


def test_an_old_go_and_another_module_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SystemUnavailable, match=r"is go1\.19\.8"):
        _minio_binaries.MINIO.find_go()
    with pytest.raises(SystemUnavailable, match="checksum"):
        _minio_binaries.MINIO.check('{"Sum": "h1:another"}')


def test_the_build_is_pinned_and_stamped() -> None:
    command = _minio_binaries.MINIO.build_command("go")
    assert command[-1] == f"github.com/minio/minio@{_minio_binaries.VERSION}"
    assert "cmd.CommitID=7aac2a2c5b7c" in command[-2]
    assert "cmd.Version=2026-02-12T20:18:48Z" in command[-2]


def test_dead_sockets_are_removed_and_living_ones_stay(tmp_path: Path) -> None:
    living = socket.socket(socket.AF_UNIX)
    with living:
        living.bind(str(tmp_path / "seaweedfs-master-grpc-1.sock"))
        living.listen()
        for name in ("seaweedfs-s3-grpc-2.sock", "seaweedfs-s3-grpc-3.sock"):
            with socket.socket(socket.AF_UNIX) as gone:
                gone.bind(str(tmp_path / name))
        (tmp_path / "seaweedfs-s3-grpc-4.sock").touch()
        _seaweedfs_sockets.remove_of_ports([1, 3], tmp_path)
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == [
            "seaweedfs-master-grpc-1.sock",
            "seaweedfs-s3-grpc-2.sock",
            "seaweedfs-s3-grpc-4.sock",
        ]
        _seaweedfs_sockets.sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [left[0], left[2]]
