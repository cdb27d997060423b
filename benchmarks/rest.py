"""REST adapter against plain clients, paired on one private server: ``http.client`` and curl.

Bulk: ``put_many``, which frames its batch under the clock, against the same
bodies framed beforehand, posted by ``http.client`` over one kept-alive
connection and by one curl process. Insert: ``put`` against the same PUT by
``http.client``, and by one curl process with one connection. curl is timed as a
whole process; its start is measured by a request for the health, and taken off.

The server's own work is in all of them, so this compares clients. Each side has
an empty database. Rounds alternate sides; medians of rounds, ratios above 1 are
in our favour.

    python benchmarks/rest.py [--rounds 5] [--durability none]
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from _pairs import instance, parts_of, random_batch

from deduplab.adapters._rest_bulk import BULK_TYPE, bulk_body
from deduplab.adapters.rest import RestAdapter
from deduplab.server import Endpoint
from deduplab.servers.rest import RestServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-rest"
DATABASE = f"/v1/databases/{NAMESPACE}"
SIDES = ("adapter", "http.client", "curl")

Seconds = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--total-mib", type=int, default=16)
    parser.add_argument("--inserts", type=int, default=1000)
    parser.add_argument("--durability", default="fsync")
    chosen = parser.parse_args()
    settings = {"variant": "default", "durability": chosen.durability}
    with instance(RestServer, RestAdapter(), NAMESPACE, **settings) as up:
        _, endpoint, adapter, scratch = up
        for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
            _bulk(adapter, endpoint, scratch, payload_bytes, chosen)
        for payload_bytes in (1 * KIB, 10 * KIB):
            _insert(adapter, endpoint, scratch, payload_bytes, chosen)


def _bulk(
    adapter: RestAdapter,
    endpoint: Endpoint,
    scratch: Path,
    payload_bytes: int,
    chosen: argparse.Namespace,
) -> None:
    count = chosen.total_mib * MIB // payload_bytes
    batches = parts_of(random_batch(count, payload_bytes), MIB)
    bodies = [bulk_body(batch) for batch in batches]
    media_type = {"Content-Type": BULK_TYPE.decode()}

    def ours() -> float:
        begin = time.perf_counter()
        for batch in batches:
            adapter.put_many(batch)
        return time.perf_counter() - begin

    requests = [("POST", f"{DATABASE}/objects", body) for body in bodies]
    sides = {
        "adapter": ours,
        "http.client": _plain(endpoint, requests, media_type),
        "curl": _curl(endpoint, scratch, requests, media_type),
    }
    _compare(f"bulk {payload_bytes:>6} B", adapter, sides, count, chosen, payload_bytes)


def _insert(
    adapter: RestAdapter,
    endpoint: Endpoint,
    scratch: Path,
    payload_bytes: int,
    chosen: argparse.Namespace,
) -> None:
    batch = random_batch(chosen.inserts, payload_bytes)
    objects = list(zip(batch.keys, batch.payloads, strict=True))

    def ours() -> float:
        begin = time.perf_counter()
        for key, payload in objects:
            adapter.put(key, payload)
        return time.perf_counter() - begin

    requests = [
        ("PUT", f"{DATABASE}/object?key={quote(key, safe='')}", payload) for key, payload in objects
    ]
    sides = {
        "adapter": ours,
        "http.client": _plain(endpoint, requests, {}),
        "curl": _curl(endpoint, scratch, requests, {}),
    }
    _compare(f"insert {payload_bytes:>4} B", adapter, sides, len(objects), chosen, payload_bytes)


def _plain(
    endpoint: Endpoint, requests: list[tuple[str, str, bytes]], headers: dict[str, str]
) -> Seconds:
    assert endpoint.secret is not None
    assert endpoint.host is not None
    shown = headers | {"Authorization": f"Bearer {endpoint.secret.reveal()}"}
    where = endpoint.host, endpoint.port

    def run() -> float:
        with closing(http.client.HTTPConnection(*where, timeout=60)) as connection:
            begin = time.perf_counter()
            for method, target, body in requests:
                connection.request(method, target, body=body, headers=shown)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 201
            return time.perf_counter() - begin

    return run


def _curl(
    endpoint: Endpoint,
    scratch: Path,
    requests: list[tuple[str, str, bytes]],
    headers: dict[str, str],
) -> Seconds:
    assert endpoint.secret is not None
    base = f"http://{endpoint.host}:{endpoint.port}"
    # Without "Expect:" curl would ask before it sends a longer body, and wait for the answer.
    shown = headers | {"Authorization": f"Bearer {endpoint.secret.reveal()}", "Expect": ""}
    lines = ["silent", "fail", "output = /dev/null"]
    lines += [f'header = "{name}: {value}"' for name, value in shown.items()]
    directory = Path(tempfile.mkdtemp(dir=scratch))
    parts = []
    for number, (method, target, body) in enumerate(requests):
        file = directory / f"{number}.body"
        file.write_bytes(body)
        own = [f'url = "{base}{target}"', f"request = {method}", f'data-binary = "@{file}"']
        parts.append("\n".join([*lines, *own]))
    config, health = directory / "requests", directory / "health"
    config.write_text("\nnext\n".join(parts))
    health.write_text("\n".join([*lines, f'url = "{base}/v1/health"']))

    def spent(file: Path) -> float:
        begin = time.perf_counter()
        subprocess.run(["curl", "--config", str(file)], check=True, timeout=300)
        return time.perf_counter() - begin

    return lambda: spent(config) - spent(health)


def _compare(
    title: str,
    adapter: RestAdapter,
    sides: dict[str, Seconds],
    count: int,
    chosen: argparse.Namespace,
    payload_bytes: int,
) -> None:
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(chosen.rounds + 1):
        for side in SIDES if number % 2 else reversed(SIDES):
            adapter.empty("drop")
            seconds = sides[side]()
            assert adapter.count() == count, (side, adapter.count(), count)
            if number:  # the first round warms up
                taken[side].append(seconds)
    ours = taken["adapter"]
    rate = count / statistics.median(ours)
    words = [f"{title}: {rate:8.0f} /s, {rate * payload_bytes / 1e6:6.1f} MB/s"]
    for side in SIDES[1:]:
        ratios = [other / mine for mine, other in zip(ours, taken[side], strict=True)]
        words.append(
            f"{statistics.median(ratios):.2f} x {side} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print("; ".join(words), flush=True)


if __name__ == "__main__":
    main()
