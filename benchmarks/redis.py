"""Redis adapter against the product's own clients, paired on one private server.

Bulk: ``put_many`` against ``redis-cli --pipe``, which reads the same commands
from a file. Each side loads an empty key space. ``redis-cli`` is timed as a
whole process; its start and login are measured by ``PING``, and both ratios are
given.

Insert: ``put`` against ``redis-benchmark`` with one connection and no pipeline,
the same command (``SETNX``) with a payload of the same length, random keys.

The user of the private server may do ``ECHO`` here as well, with which
``redis-cli --pipe`` recognises its end. With ``--durability fsync`` the server
syncs before it answers, and that is most of an insert; with ``none`` the clients
are compared.

Rounds alternate sides; medians of rounds, ratios above 1 are in our favour.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from deduplab.adapters.redis import RedisAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint
from deduplab.servers.redis import RedisServer
from deduplab.servers.valkey import ValkeyServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-redis"
PREFIX = f"deduplab:{NAMESPACE}:".encode()


class _Redis(RedisServer):
    rules: ClassVar[str] = f"{RedisServer.rules} +echo"


class _Valkey(ValkeyServer):
    rules: ClassVar[str] = f"{ValkeyServer.rules} +echo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--insert-rounds", type=int, default=11)
    parser.add_argument("--total-mib", type=int, default=64)
    parser.add_argument("--batch-mib", type=int, default=8)
    parser.add_argument("--inserts", type=int, default=5000)
    parser.add_argument("--variant", default="string")
    parser.add_argument("--durability", default="fsync")
    parser.add_argument("--valkey", action="store_true", help="Valkey's server, Redis' clients")
    parser.add_argument("--only", choices=("bulk", "insert"))
    arguments = parser.parse_args()
    with _instance(arguments) as (endpoint, adapter, scratch):
        found = adapter.identity()
        print(f"{found.product} {found.version}, {arguments.durability}, {arguments.variant}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
                _bulk(adapter, endpoint, scratch, payload_bytes, arguments)
        if arguments.only != "bulk":
            for payload_bytes in (1 * KIB, 10 * KIB):
                _insert(adapter, endpoint, payload_bytes, arguments)


@contextmanager
def _instance(
    arguments: argparse.Namespace,
) -> Iterator[tuple[Endpoint, RedisAdapter, Path]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-benchmark-"))
    recipe = _Valkey if arguments.valkey else _Redis
    settings = {"variant": arguments.variant, "durability": arguments.durability}
    server = recipe(workspace, **settings)
    adapter = RedisAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(NAMESPACE, layout="blob", **settings)
        yield endpoint, adapter, workspace
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace)


def _client(endpoint: Endpoint, *words: str, file: Path | None = None) -> str:
    assert endpoint.secret is not None
    command = [
        "redis-cli", "-h", str(endpoint.host), "-p", str(endpoint.port),
        "--user", str(endpoint.user), *words,
    ]  # fmt: skip
    environment = {**os.environ, "REDISCLI_AUTH": endpoint.secret.reveal()}
    with (file or Path(os.devnull)).open("rb") as standard_input:
        return subprocess.run(
            command,
            env=environment,
            stdin=standard_input,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout


def _bulk(
    adapter: RedisAdapter,
    endpoint: Endpoint,
    scratch: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    count = arguments.total_mib * MIB // payload_bytes
    whole = _batch(count, payload_bytes)
    step = max(1, arguments.batch_mib * MIB // payload_bytes)
    batches = [_part(whole, start, min(start + step, count)) for start in range(0, count, step)]
    file = scratch / "commands.resp"
    with file.open("wb") as target:
        for key, payload in zip(whole.keys, whole.payloads, strict=True):
            name = PREFIX + key.encode()
            target.write(b"*3\r\n$5\r\nSETNX\r\n$%d\r\n%b\r\n" % (len(name), name))
            target.write(b"$%d\r\n%b\r\n" % (len(payload), payload))
    ours: list[float] = []
    theirs: list[float] = []
    starts: list[float] = []
    for index in range(arguments.rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("drop")
            adapter.reclaim("rewrite")
            begin = time.perf_counter()
            if side == "ours":
                assert sum(adapter.put_many(batch) for batch in batches) == count
            else:
                assert f"errors: 0, replies: {count}" in _client(endpoint, "--pipe", file=file)
            (ours if side == "ours" else theirs).append(time.perf_counter() - begin)
            assert adapter.count() == count
        begin = time.perf_counter()
        assert "PONG" in _client(endpoint, "PING")
        starts.append(time.perf_counter() - begin)
    file.unlink()
    adapter.empty("drop")
    # The first round warms caches and files up and is not counted.
    _report_bulk(payload_bytes, whole.logical_bytes, ours[1:], theirs[1:], starts[1:])


def _report_bulk(
    payload_bytes: int,
    total_bytes: int,
    ours: list[float],
    theirs: list[float],
    starts: list[float],
) -> None:
    start_s = statistics.median(starts)
    pairs = list(zip(ours, theirs, strict=True))
    ratio = statistics.median(other / mine for mine, other in pairs)
    net_ratio = statistics.median((other - start_s) / mine for mine, other in pairs)
    our_rate, their_rate = (total_bytes / 1e6 / statistics.median(x) for x in (ours, theirs))
    print(
        f"bulk {payload_bytes:>6} B: put_many {our_rate:6.1f} MB/s, redis-cli --pipe "
        f"{their_rate:6.1f} MB/s (start {start_s * 1e3:.0f} ms); "
        f"ratio {ratio:.2f} x, without its start {net_ratio:.2f} x"
    )


def _insert(
    adapter: RedisAdapter, endpoint: Endpoint, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    keys = [f"{number:012d}" for number in range(arguments.inserts)]
    ours: list[float] = []
    theirs: list[float] = []
    for index in range(arguments.insert_rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("drop")
            adapter.reclaim("rewrite")
            if side == "ours":
                begin = time.perf_counter()
                for key in keys:
                    adapter.put(key, payload)
                ours.append(len(keys) / (time.perf_counter() - begin))
            else:
                theirs.append(_benchmark(endpoint, payload_bytes, len(keys)))
            # Random keys may meet, but hardly ever do.
            assert adapter.count() > 0.99 * len(keys)
    ratio = statistics.median(
        mine / other for mine, other in zip(ours[1:], theirs[1:], strict=True)
    )
    print(
        f"insert {payload_bytes:>5} B: put {statistics.median(ours[1:]):6.0f} /s, "
        f"redis-benchmark {statistics.median(theirs[1:]):6.0f} /s; ratio {ratio:.2f} x"
    )


def _benchmark(endpoint: Endpoint, payload_bytes: int, inserts: int) -> float:
    assert endpoint.secret is not None
    # It takes a password as an argument alone; that of this instance dies with it.
    command = [
        "redis-benchmark", "-h", str(endpoint.host), "-p", str(endpoint.port),
        "--user", str(endpoint.user), "-a", endpoint.secret.reveal(),
        "-c", "1", "-n", str(inserts), "-r", "2000000000", "--csv",
        "SETNX", f"deduplab:{NAMESPACE}:__rand_int__", "x" * payload_bytes,
    ]  # fmt: skip
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    rates = re.findall(r'"([0-9.]+)"', answer.stdout.splitlines()[-1])
    return float(rates[0])


def _batch(count: int, payload_bytes: int) -> Batch:
    data = np.random.default_rng(7).bytes(count * payload_bytes)
    offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
    return Batch([f"o{index:011d}" for index in range(count)], memoryview(data), offsets)


def _part(whole: Batch, start: int, stop: int) -> Batch:
    return Batch(whole.keys[start:stop], whole.data, whole.offsets[start : stop + 1])


if __name__ == "__main__":
    main()
