"""Redis and Valkey are held to the contracts of adapters and servers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import valkey

from deduplab.adapters._resp import Resp
from deduplab.adapters.redis import RedisAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.registry import SystemEntry
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._process import ChildProcess, free_port
from deduplab.servers._redis_binaries import find_redis
from deduplab.testing import (
    AdapterContract,
    ServerContract,
    SystemUnderTest,
    batch_of,
    distinct_objects,
)
from tests.contract.certificates import self_signed
from tests.contract.looks_redis import RedisLook
from tests.required import Counted

ENTRIES: Final = {
    name: SystemEntry(
        name,
        "server",
        "deduplab.adapters.redis:RedisAdapter",
        f"deduplab.servers.{name}:{name.capitalize()}Server",
        f"{name.capitalize()}, a private server; data in memory, AOF and RDB on disk",
        driver="hiredis",
        extra=name,
        preload=("hiredis",),
    )
    for name in ("redis", "valkey")
}


class _Fixtures(Counted):
    @pytest.fixture(scope="class", params=[*ENTRIES])
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return SystemUnderTest.of(ENTRIES[request.param], RedisLook())


class TestRedisAdapter(_Fixtures, AdapterContract):
    pass


class TestRedisServer(_Fixtures, ServerContract):
    pass


@contextmanager
def instance(
    workspace: Path, name: str = "redis", variant: str = "string", durability: str = "fsync"
) -> Iterator[tuple[Server, Endpoint, RedisAdapter]]:
    server = ENTRIES[name].server_class()(workspace, variant=variant, durability=durability)
    adapter = RedisAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create("deduplab-lab", layout="blob", variant=variant, durability=durability)
        yield server, endpoint, adapter
    finally:
        adapter.close()
        server.stop()


def file_bytes(endpoint: Endpoint) -> dict[str, int]:
    """Return the apparent bytes of the data directory by component."""
    assert endpoint.directory is not None
    found: dict[str, int] = {}
    for path in endpoint.directory.rglob("*"):
        if path.is_file():
            relative = str(path.relative_to(endpoint.directory))
            globs = RedisAdapter.file_components
            component = next(name for glob, name in globs if fnmatchcase(relative, glob))
            found[component] = found.get(component, 0) + path.stat().st_size
    return found


TEXTS: Final = {f"t{n}": b"all alike, all alike, " * 400 for n in range(100)}


@pytest.mark.parametrize("name", [*ENTRIES])
@pytest.mark.parametrize("durability", ["fsync", "interval", "none"])
def test_what_was_flushed_is_there_after_the_server_was_killed(
    tmp_path: Path, name: str, durability: str
) -> None:
    with instance(tmp_path, name, durability=durability) as (server, _, adapter):
        objects = distinct_objects(50)
        adapter.put_many(batch_of(objects))
        adapter.put("one", b"more")
        adapter.flush()
        process = psutil.Process(server.processes()[0])
        process.kill()
        process.wait(timeout=10)
        with pytest.raises(SystemUnavailable):
            adapter.put("two", b"never")
        server.stop()
        adapter.open(server.start())
        assert adapter.count() == 51
        assert adapter.get("one") == b"more"


def test_another_durability_than_the_servers_is_refused(tmp_path: Path) -> None:
    with instance(tmp_path, durability="interval") as (_, _endpoint, adapter):
        for durability in ("fsync", "none"):
            with pytest.raises(Unsupported, match="appendfsync"):
                adapter.create(
                    "deduplab-two", layout="blob", variant="string", durability=durability
                )


def test_a_snapshot_compresses_each_string_alone(tmp_path: Path) -> None:
    found = {}
    for variant in ("rdb", "rdb-uncompressed"):
        workspace = tmp_path / variant
        workspace.mkdir()
        with instance(workspace, variant=variant, durability="none") as (_, endpoint, adapter):
            adapter.put_many(batch_of(TEXTS))
            adapter.flush()
            found[variant] = file_bytes(endpoint)["rdb"]
    logical_bytes = sum(map(len, TEXTS.values()))
    assert found["rdb"] < logical_bytes / 5
    assert found["rdb-uncompressed"] > logical_bytes


def test_a_rewrite_drops_what_was_deleted(tmp_path: Path) -> None:
    with instance(tmp_path, variant="aof") as (_, endpoint, adapter):
        objects = distinct_objects(100)
        adapter.put_many(batch_of(objects))
        adapter.delete(list(objects)[10:])
        filled = file_bytes(endpoint)
        assert filled["aof"] > 100 * 8192
        adapter.reclaim("rewrite")
        left = file_bytes(endpoint)
        assert 10 * 8192 < left["aof"] + left["aof_base"] < 12 * 8192
        assert adapter.count() == 10


def test_copies_cost_memory_like_the_first(tmp_path: Path) -> None:
    with instance(tmp_path) as (_, _endpoint, adapter):
        before = adapter.engine_reading().components["dataset"]
        adapter.put_many(batch_of(TEXTS))
        grown = adapter.engine_reading().components["dataset"] - before
        assert grown > sum(map(len, TEXTS.values()))


def test_a_batch_with_an_existing_key_is_refused(tmp_path: Path) -> None:
    with instance(tmp_path) as (_, _endpoint, adapter):
        adapter.put("k", b"first")
        with pytest.raises(OperationFailed, match="exists"):
            adapter.put_many(batch_of({"j": b"x", "k": b"y"}))
        assert adapter.get("k") == b"first"
        assert adapter.get("j") is None


def test_the_user_has_no_other_keys_and_no_other_commands(tmp_path: Path) -> None:
    with instance(tmp_path) as (server, endpoint, _):
        assert endpoint.secret is not None
        assert endpoint.secret.reveal() not in " ".join(
            psutil.Process(server.processes()[0]).cmdline()
        )
        with RedisLook().opened(endpoint) as opened:
            client: Any = opened
            for words in (
                ("SETNX", "somebody:key", "x"),
                ("GET", "somebody:key"),
                ("EVAL", "return redis.call('GET', KEYS[1])", "1", "somebody:key"),
                ("FLUSHDB",),
                ("FLUSHALL",),
                ("CONFIG", "SET", "appendonly", "no"),
                ("SHUTDOWN",),
                ("KEYS", "*"),
                ("ACL", "LIST"),
            ):
                with pytest.raises(valkey.exceptions.ResponseError):
                    client.execute_command(*words)
        nobody = RedisAdapter()
        with pytest.raises(SystemUnavailable, match="WRONGPASS"):
            nobody.open(replace(endpoint, secret=Secret("not the password")))
        stranger = RedisAdapter()
        stranger.open(replace(endpoint, user=None, secret=None))
        with pytest.raises(SystemUnavailable, match="NOAUTH"):
            stranger.create("deduplab-two", layout="blob", variant="string", durability="fsync")
        nobody.close()
        stranger.close()


def test_a_port_that_is_taken_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], free_port()])
        monkeypatch.setattr("deduplab.servers._private_server.free_port", lambda: next(ports))
        with instance(tmp_path) as (_, endpoint, adapter):
            assert endpoint.port != other.getsockname()[1]
            assert adapter.identity().product == "Redis"


def test_a_server_that_does_not_prove_who_it_is_is_refused(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "server")
    other, _ = self_signed(tmp_path, "other")
    port = free_port()
    words = {
        "port": "0", "tls-port": str(port), "tls-auth-clients": "no", "bind": "127.0.0.1",
        "tls-cert-file": str(certificate), "tls-key-file": str(key), "dir": str(tmp_path),
    }  # fmt: skip
    arguments = [word for name, value in words.items() for word in (f"--{name}", value)]
    child = ChildProcess("redis", [str(find_redis()), *arguments], log=tmp_path / "log")
    endpoint = Endpoint(host="127.0.0.1", port=port, options={"ssl_ca": str(certificate)})
    try:
        child.wait_ready(
            lambda: b"ready to accept" in child.log.read_bytes().lower(), deadline_s=10
        )
        trusting = Resp.connect(endpoint)
        assert trusting.call(b"PING") == b"PONG"
        trusting.close()
        with pytest.raises(SystemUnavailable, match=r"(?i)certificate"):
            Resp.connect(replace(endpoint, options={"ssl_ca": str(other)}))
    finally:
        child.stop(())
