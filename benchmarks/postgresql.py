r"""PostgreSQL adapter against the product's own clients, paired on one private server.

Bulk: ``put_many`` against ``psql -c "\copy .. FROM file WITH (FORMAT binary)"``
with the same rows (keys and payloads, the same table definition, random
payloads). Each side loads an empty table that was truncated and checkpointed
before. psql loads in one transaction; ``put_many`` in one a batch, and is timed
with batches that lie in memory, as in a measurement. psql is timed as a whole
process; its start and login are measured by ``psql -c "SELECT 1"`` and printed,
and both ratios are given: with it and without it.

Insert: ``put`` against ``pgbench -n -M prepared``, one client, the same
statement ``INSERT INTO t (key, payload) VALUES ($1, $2)``. pgbench sends
parameters as text, so the payload is a constant hexadecimal literal of the same
number of bytes as ours, and the key is a random number of twelve digits.
Transactions are counted by pgbench without connecting.

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

import numpy as np

from deduplab.adapters._pgwire import copy_chunks
from deduplab.adapters.postgresql import PostgresqlAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-pg"
TABLE = f'"{NAMESPACE}".objects'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--insert-rounds", type=int, default=11)
    parser.add_argument("--total-mib", type=int, default=64)
    parser.add_argument("--batch-mib", type=int, default=8)
    parser.add_argument("--insert-s", type=float, default=1.0)
    parser.add_argument("--tools", type=Path, help="directory of psql and pgbench")
    parser.add_argument("--only", choices=("bulk", "insert"))
    arguments = parser.parse_args()
    with _instance() as (server, endpoint, adapter, scratch):
        tools = _Tools(arguments.tools or server.binaries, endpoint, scratch)
        print(f"server {adapter.identity().version}, client programs {tools.version()}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 8 * KIB, 64 * KIB):
                _bulk(adapter, tools, payload_bytes, arguments)
        if arguments.only != "bulk":
            for payload_bytes in (1 * KIB, 8 * KIB):
                _insert(adapter, tools, payload_bytes, arguments)


@contextmanager
def _instance() -> Iterator[tuple[PostgresqlServer, Endpoint, PostgresqlAdapter, Path]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-benchmark-"))
    server = PostgresqlServer(workspace, variant="default", durability="fsync")
    adapter = PostgresqlAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(NAMESPACE, layout="blob", variant="default", durability="fsync")
        yield server, endpoint, adapter, workspace
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace)


class _Tools:
    """psql and pgbench, logged in by environment variables."""

    def __init__(self, directory: Path, endpoint: Endpoint, scratch: Path) -> None:
        assert endpoint.secret is not None
        self.directory = directory
        self.scratch = scratch
        self.environment = {
            **os.environ,
            "PGHOST": str(endpoint.host),
            "PGPORT": str(endpoint.port),
            "PGUSER": str(endpoint.user),
            "PGDATABASE": str(endpoint.database),
            "PGPASSWORD": endpoint.secret.reveal(),
        }

    def run(self, program: str, *arguments: str) -> str:
        return subprocess.run(
            [str(self.directory / program), *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout

    def version(self) -> str:
        return self.run("psql", "--version").strip()


def _bulk(
    adapter: PostgresqlAdapter, tools: _Tools, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    count = arguments.total_mib * MIB // payload_bytes
    whole = _batch(count, payload_bytes)
    step = max(1, arguments.batch_mib * MIB // payload_bytes)
    batches = [_part(whole, start, min(start + step, count)) for start in range(0, count, step)]
    file = tools.scratch / "rows.bin"
    with file.open("wb") as target:
        target.writelines(copy_chunks(whole))
    copy = rf"\copy {TABLE} (key, payload) from '{file}' with (format binary)"
    ours: list[float] = []
    theirs: list[float] = []
    starts: list[float] = []
    for index in range(arguments.rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("truncate")
            adapter.flush()
            begin = time.perf_counter()
            if side == "ours":
                stored = sum(adapter.put_many(batch) for batch in batches)
            else:
                stored = int(tools.run("psql", "-X", "-c", copy).split()[1])
            took = time.perf_counter() - begin
            assert stored == count == adapter.count()
            (ours if side == "ours" else theirs).append(took)
        begin = time.perf_counter()
        tools.run("psql", "-X", "-c", "SELECT 1")
        starts.append(time.perf_counter() - begin)
    file.unlink()
    adapter.empty("truncate")
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
    ratio = statistics.median(psql / mine for mine, psql in pairs)
    net_ratio = statistics.median((psql - start_s) / mine for mine, psql in pairs)
    our_rate, their_rate = (total_bytes / 1e6 / statistics.median(x) for x in (ours, theirs))
    print(
        f"bulk {payload_bytes:>6} B: put_many {our_rate:6.1f} MB/s, psql {their_rate:6.1f} MB/s "
        f"(start {start_s * 1e3:.0f} ms); "
        f"ratio {ratio:.2f} x, without psql's start {net_ratio:.2f} x"
    )


def _insert(
    adapter: PostgresqlAdapter, tools: _Tools, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    script = tools.scratch / "insert.sql"
    ours: list[float] = []
    theirs: list[float] = []
    serial = 0
    for index in range(arguments.insert_rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("truncate")
            adapter.flush()
            if side == "ours":
                end = time.perf_counter() + arguments.insert_s
                begin = time.perf_counter()
                first = serial
                while time.perf_counter() < end:
                    for _ in range(50):
                        adapter.put(f"{serial:012d}", payload)
                        serial += 1
                rate = (serial - first) / (time.perf_counter() - begin)
                ours.append(rate)
            else:
                theirs.append(_pgbench(tools, script, payload, arguments.insert_s))
    ratio = statistics.median(
        mine / other for mine, other in zip(ours[1:], theirs[1:], strict=True)
    )
    print(
        f"insert {payload_bytes:>4} B: put {statistics.median(ours[1:]):6.0f} /s, "
        f"pgbench {statistics.median(theirs[1:]):6.0f} /s; ratio {ratio:.2f} x"
    )


def _pgbench(tools: _Tools, script: Path, payload: bytes, seconds: float) -> float:
    # A variable becomes a parameter under -M prepared: the payload as well as the key.
    script.write_text(
        "\\set key random(100000000000, 999999999999)\n"
        f"INSERT INTO {TABLE} (key, payload) VALUES (:key, :payload);\n"
    )
    answer = tools.run(
        "pgbench", "-n", "-M", "prepared", "-c", "1", "-j", "1",
        "-T", str(max(1, round(seconds))),
        "-D", f"payload=\\x{payload.hex()}",
        "-f", str(script),
    )  # fmt: skip
    found = re.search(r"tps = ([0-9.]+) \(without initial connection time\)", answer)
    assert found is not None, answer
    assert "failed transactions: 0 " in answer, answer
    return float(found.group(1))


def _batch(count: int, payload_bytes: int) -> Batch:
    data = np.random.default_rng(7).bytes(count * payload_bytes)
    offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
    return Batch([f"o{index:011d}" for index in range(count)], memoryview(data), offsets)


def _part(whole: Batch, start: int, stop: int) -> Batch:
    return Batch(whole.keys[start:stop], whole.data, whole.offsets[start : stop + 1])


if __name__ == "__main__":
    main()
