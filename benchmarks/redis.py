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
import subprocess
from pathlib import Path
from typing import ClassVar

import numpy as np
from _pairs import instance, paired, parts_of, random_batch, seconds, tell_bulk, tell_insert

from deduplab.adapters.redis import RedisAdapter
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
    recipe = _Valkey if arguments.valkey else _Redis
    settings = {"variant": arguments.variant, "durability": arguments.durability}
    with instance(recipe, RedisAdapter(), NAMESPACE, **settings) as (_, endpoint, adapter, scratch):
        found = adapter.identity()
        print(f"{found.product} {found.version}, {arguments.durability}, {arguments.variant}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
                _bulk(adapter, endpoint, scratch, payload_bytes, arguments)
        if arguments.only != "bulk":
            for payload_bytes in (1 * KIB, 10 * KIB):
                _insert(adapter, endpoint, payload_bytes, arguments)


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
    whole = random_batch(arguments.total_mib * MIB // payload_bytes, payload_bytes)
    batches = parts_of(whole, arguments.batch_mib * MIB)
    file = scratch / "commands.resp"
    with file.open("wb") as target:
        for key, payload in zip(whole.keys, whole.payloads, strict=True):
            name = PREFIX + key.encode()
            target.write(b"*3\r\n$5\r\nSETNX\r\n$%d\r\n%b\r\n" % (len(name), name))
            target.write(b"$%d\r\n%b\r\n" % (len(payload), payload))

    def stored() -> None:
        assert adapter.count() == len(whole)

    found = paired(
        lambda: seconds(lambda: [adapter.put_many(batch) for batch in batches]),
        lambda: seconds(lambda: _client(endpoint, "--pipe", file=file)),
        arguments.rounds,
        before=lambda: _emptied(adapter),
        after=stored,
        start=lambda: _client(endpoint, "PING"),
    )
    file.unlink()
    adapter.empty("drop")
    tell_bulk(payload_bytes, whole.logical_bytes, "redis-cli --pipe", found)


def _emptied(adapter: RedisAdapter) -> None:
    adapter.empty("drop")
    adapter.reclaim("rewrite")


def _insert(
    adapter: RedisAdapter, endpoint: Endpoint, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    keys = [f"{number:012d}" for number in range(arguments.inserts)]

    def ours() -> None:
        for key in keys:
            adapter.put(key, payload)

    def stored() -> None:
        # Random keys may meet, but hardly ever do.
        assert adapter.count() > 0.99 * len(keys)

    found = paired(
        lambda: len(keys) / seconds(ours),
        lambda: _benchmark(endpoint, payload_bytes, len(keys)),
        arguments.insert_rounds,
        before=lambda: _emptied(adapter),
        after=stored,
    )
    tell_insert(payload_bytes, "redis-benchmark", found)


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


if __name__ == "__main__":
    main()
