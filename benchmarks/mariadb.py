"""MariaDB adapter against the product's own clients, paired on one private server.

Bulk: ``put_many`` (the bulk protocol, a transaction a batch) against the client
program's ``LOAD DATA LOCAL INFILE`` of a file with the same rows, escaped as
that statement reads them. Each side loads an empty table that was truncated and
flushed before. ``mariadb`` is timed as a whole process; its start and login are
measured by ``mariadb -e "SELECT 1"``, and both ratios are given.

Insert: ``put`` against a client in C (``mariadb_insert.c``, compiled here with
Connector/C's headers: Debian's ``libmariadb-dev``), one connection each, the
same prepared statement, each row committed on its own. The C client counts
without connecting. With ``--durability fsync`` the server's sync is most of an
insert; with ``none`` the clients are compared.

Rounds alternate sides; medians of rounds, ratios above 1 are in our favour.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from deduplab.adapters.mariadb import MariadbAdapter
from deduplab.batch import Batch
from deduplab.server import Endpoint
from deduplab.servers.mariadb import MariadbServer
from deduplab.units import KIB, MIB

NAMESPACE = "bench-mariadb"
TABLE = f"`{NAMESPACE}`.objects"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--insert-rounds", type=int, default=11)
    parser.add_argument("--total-mib", type=int, default=32)
    parser.add_argument("--batch-mib", type=int, default=8)
    parser.add_argument("--insert-s", type=float, default=1.0)
    parser.add_argument("--variant", default="default")
    parser.add_argument("--durability", default="fsync")
    parser.add_argument("--headers", default="/usr/include/mariadb", help="of Connector/C")
    parser.add_argument("--only", choices=("bulk", "insert"))
    arguments = parser.parse_args()
    with _instance(arguments.variant, arguments.durability) as (endpoint, adapter, scratch):
        version = adapter.identity().version
        print(f"server {version}, variant {arguments.variant}, {arguments.durability}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
                _bulk(adapter, endpoint, scratch, payload_bytes, arguments)
        if arguments.only != "bulk":
            program = _compiled(scratch, arguments.headers)
            for payload_bytes in (1 * KIB, 10 * KIB):
                _insert(adapter, endpoint, program, payload_bytes, arguments)


@contextmanager
def _instance(variant: str, durability: str) -> Iterator[tuple[Endpoint, MariadbAdapter, Path]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-benchmark-"))
    server = MariadbServer(workspace, variant=variant, durability=durability)
    adapter = MariadbAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(NAMESPACE, layout="blob", variant=variant, durability=durability)
        yield endpoint, adapter, workspace
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace)


def _client(endpoint: Endpoint, statement: str) -> None:
    assert endpoint.secret is not None
    command = [
        "mariadb", "--no-defaults", f"--host={endpoint.host}", f"--port={endpoint.port}",
        f"--user={endpoint.user}", "--local-infile=1", "--binary-mode", f"--execute={statement}",
    ]  # fmt: skip
    environment = {**os.environ, "MYSQL_PWD": endpoint.secret.reveal()}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)


def _bulk(
    adapter: MariadbAdapter,
    endpoint: Endpoint,
    scratch: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    count = arguments.total_mib * MIB // payload_bytes
    whole = _batch(count, payload_bytes)
    step = max(1, arguments.batch_mib * MIB // payload_bytes)
    batches = [_part(whole, start, min(start + step, count)) for start in range(0, count, step)]
    file = scratch / "rows.txt"
    _write_rows(whole, file)
    load = f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {TABLE} CHARACTER SET binary"
    ours: list[float] = []
    theirs: list[float] = []
    starts: list[float] = []
    for index in range(arguments.rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("truncate")
            adapter.flush()
            begin = time.perf_counter()
            if side == "ours":
                assert sum(adapter.put_many(batch) for batch in batches) == count
            else:
                _client(endpoint, load)
            (ours if side == "ours" else theirs).append(time.perf_counter() - begin)
            assert adapter.count() == count
            last = whole.keys[-1]
            assert adapter.get(last) == bytes(whole.data[-payload_bytes:])
        begin = time.perf_counter()
        _client(endpoint, "SELECT 1")
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
    ratio = statistics.median(other / mine for mine, other in pairs)
    net_ratio = statistics.median((other - start_s) / mine for mine, other in pairs)
    our_rate, their_rate = (total_bytes / 1e6 / statistics.median(x) for x in (ours, theirs))
    print(
        f"bulk {payload_bytes:>6} B: put_many {our_rate:6.1f} MB/s, LOAD DATA {their_rate:6.1f} "
        f"MB/s (start {start_s * 1e3:.0f} ms); "
        f"ratio {ratio:.2f} x, without the client's start {net_ratio:.2f} x"
    )


def _insert(
    adapter: MariadbAdapter,
    endpoint: Endpoint,
    program: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    ours: list[float] = []
    theirs: list[float] = []
    serial = 0
    for index in range(arguments.insert_rounds + 1):
        for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
            adapter.empty("truncate")
            adapter.flush()
            if side == "ours":
                begin = time.perf_counter()
                first = serial
                while time.perf_counter() - begin < arguments.insert_s:
                    for _ in range(20):
                        adapter.put(f"{serial:012d}", payload)
                        serial += 1
                ours.append((serial - first) / (time.perf_counter() - begin))
            else:
                theirs.append(_insert_in_c(program, endpoint, payload_bytes, arguments.insert_s))
    ratio = statistics.median(
        mine / other for mine, other in zip(ours[1:], theirs[1:], strict=True)
    )
    print(
        f"insert {payload_bytes:>5} B: put {statistics.median(ours[1:]):6.0f} /s, "
        f"client in C {statistics.median(theirs[1:]):6.0f} /s; ratio {ratio:.2f} x"
    )


def _insert_in_c(program: Path, endpoint: Endpoint, payload_bytes: int, seconds: float) -> float:
    assert endpoint.secret is not None
    answer = subprocess.run(
        [
            str(program), str(endpoint.host), str(endpoint.port), str(endpoint.user),
            TABLE, "0", str(payload_bytes), str(seconds),
        ],
        env={**os.environ, "MARIADB_PASSWORD": endpoint.secret.reveal()},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    rows, took = answer.stdout.split()
    return int(rows) / float(took)


def _compiled(scratch: Path, headers: str) -> Path:
    program = scratch / "mariadb_insert"
    source = Path(__file__).with_name("mariadb_insert.c")
    subprocess.run(
        ["cc", "-O2", f"-I{headers}", str(source), "-o", str(program), "-l:libmariadb.so.3"],
        check=True,
        timeout=60,
    )
    return program


def _write_rows(batch: Batch, file: Path) -> None:
    escapes = ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\t", b"\\t"), (b"\n", b"\\n"))
    with file.open("wb") as target:
        for key, payload in zip(batch.keys, batch.payloads, strict=True):
            for plain, escaped in escapes:
                payload = payload.replace(plain, escaped)
            target.write(b"%b\t%b\n" % (key.encode(), payload))


def _batch(count: int, payload_bytes: int) -> Batch:
    data = np.random.default_rng(7).bytes(count * payload_bytes)
    offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
    return Batch([f"o{index:011d}" for index in range(count)], memoryview(data), offsets)


def _part(whole: Batch, start: int, stop: int) -> Batch:
    return Batch(whole.keys[start:stop], whole.data, whole.offsets[start : stop + 1])


if __name__ == "__main__":
    main()
