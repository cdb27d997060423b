"""NATS adapter against the product's own tool, and against the vendor's client for Python.

Bulk: ``put_many`` against ``nats bench js pub async`` with batches of as many messages as the
adapter has on their way, and against ``nats-py``'s ``publish_async``. Insert: ``put`` against
``nats bench js pub sync`` and ``nats-py``'s ``publish``. All sides write messages of the same
length, each with a subject of its own, to one stream of one private server, over the same login.

``nats-py`` comes with the development set-up (``scripts/setup.sh dev``); without it its rounds are
left out. The tool's rate is its own, without its start. With ``--durability fsync`` the server
syncs before it answers, and that is most of an insert; with ``interval`` clients are compared.

Rounds alternate sides; medians of rounds, ratios above 1 are in our favour.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _pairs import instance, paired, parts_of, random_batch, seconds, tell_bulk, tell_insert

from deduplab.adapters.nats import NatsAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint
from deduplab.servers.nats import NatsServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-nats"
STREAM = f"deduplab-{NAMESPACE}-objects"
SUBJECT = f"deduplab.{NAMESPACE}.objects"
_PYTHON_CLIENT = "nats"
_IN_FLIGHT = 1024
_RATE = re.compile(r"stats: ([\d,]+) msgs/sec")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--total-mib", type=int, default=64)
    parser.add_argument("--batch-mib", type=int, default=8)
    parser.add_argument("--inserts", type=int, default=3000)
    parser.add_argument("--durability", default="interval")
    parser.add_argument("--only", choices=("bulk", "insert"))
    arguments = parser.parse_args()
    settings = {"variant": "default", "durability": arguments.durability}
    with instance(NatsServer, NatsAdapter(), NAMESPACE, **settings) as (_, endpoint, adapter, home):
        found = adapter.identity()
        print(f"{found.product} {found.version}, {arguments.durability}")
        if find_spec(_PYTHON_CLIENT) is None:
            print("nats-py is not installed: compared with the tool alone")
        for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
            if arguments.only != "insert":
                _bulk(adapter, endpoint, home, payload_bytes, arguments)
            if arguments.only != "bulk":
                _insert(adapter, endpoint, home, payload_bytes, arguments)


def _bulk(
    adapter: NatsAdapter,
    endpoint: Endpoint,
    home: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    whole = random_batch(arguments.total_mib * MIB // payload_bytes, payload_bytes)
    batches = parts_of(whole, arguments.batch_mib * MIB)

    def stored() -> None:
        assert adapter.count() == len(whole)

    def ours() -> float:
        return seconds(lambda: [adapter.put_many(batch) for batch in batches])

    sides: dict[str, Callable[[], float]] = {
        "nats bench async": lambda: len(whole) / _tool(
            endpoint, home, "async", len(whole), payload_bytes, f"--batch={_IN_FLIGHT}"
        ),
        "nats-py": lambda: _asked(endpoint, lambda context: _publish_many(context, whole)),
    }  # fmt: skip
    for name, theirs in _there(sides).items():
        found = paired(
            ours, theirs, arguments.rounds, before=lambda: adapter.empty("drop"), after=stored
        )
        tell_bulk(payload_bytes, whole.logical_bytes, name, found)
    adapter.empty("drop")


def _insert(
    adapter: NatsAdapter,
    endpoint: Endpoint,
    home: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    keys = [f"{number:012d}" for number in range(arguments.inserts)]

    def put_all() -> None:
        for key in keys:
            adapter.put(key, payload)

    def stored() -> None:
        assert adapter.count() == len(keys)

    sides: dict[str, Callable[[], float]] = {
        "nats bench sync": lambda: _tool(endpoint, home, "sync", len(keys), payload_bytes),
        "nats-py": lambda: len(keys) / _asked(
            endpoint, lambda context: _publish_each(context, keys, payload)
        ),
    }  # fmt: skip
    for name, theirs in _there(sides).items():
        found = paired(
            lambda: len(keys) / seconds(put_all),
            theirs,
            arguments.rounds,
            before=lambda: adapter.empty("drop"),
            after=stored,
        )
        tell_insert(payload_bytes, name, found)
    adapter.empty("drop")


def _there(sides: dict[str, Callable[[], float]]) -> dict[str, Callable[[], float]]:
    """Return the sides whose client is installed."""
    there = find_spec(_PYTHON_CLIENT) is not None
    return {name: side for name, side in sides.items() if there or name != "nats-py"}


def _tool(
    endpoint: Endpoint, home: Path, how: str, messages: int, payload_bytes: int, *more: str
) -> float:
    """Run the tool; return its own figure, messages a second."""
    client = NatsServer.client(endpoint, home)
    command = [
        "nats", "bench", "js", "pub", how, SUBJECT, f"--stream={STREAM}", f"--msgs={messages}",
        f"--size={payload_bytes}B", "--multisubject", "--multisubjectmax=0", "--no-progress",
        *more,
    ]  # fmt: skip
    done = subprocess.run(
        command, env={**client.environment, "HOME": str(home)}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    found = _RATE.search(done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1].replace(",", ""))


def _asked(endpoint: Endpoint, work: Callable[[Any], Awaitable[float]]) -> float:
    import nats

    async def connected() -> float:
        assert endpoint.secret is not None
        client = await nats.connect(
            f"nats://{endpoint.address}",
            user=endpoint.user,
            password=endpoint.secret.reveal(),
            pending_size=64 * MIB,
        )
        try:
            context = client.jetstream(publish_async_max_pending=_IN_FLIGHT, timeout=60)
            return await work(context)
        finally:
            await client.close()

    return asyncio.run(connected())


async def _publish_many(context: Any, whole: Batch) -> float:
    """Return the seconds that a batch takes, acknowledgements looked at."""
    begin = time.perf_counter()
    answers = []
    for key, payload in zip(whole.keys, whole.payloads, strict=True):
        answers.append(await context.publish_async(f"{SUBJECT}.{key}", payload, wait_stall=60))
    for answer in answers:
        assert (await answer).seq
    return time.perf_counter() - begin


async def _publish_each(context: Any, keys: list[str], payload: bytes) -> float:
    begin = time.perf_counter()
    for key in keys:
        await context.publish(f"{SUBJECT}.{key}", payload)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
