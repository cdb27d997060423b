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
import subprocess
from pathlib import Path

import numpy as np
from _pairs import (
    instance,
    paired,
    parts_of,
    puts_per_s,
    random_batch,
    seconds,
    tell_bulk,
    tell_insert,
)

from deduplab.adapters._pg_binary import copy_chunks
from deduplab.adapters.postgresql import PostgresqlAdapter
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
    settings = {"variant": "default", "durability": "fsync"}
    with instance(PostgresqlServer, PostgresqlAdapter(), NAMESPACE, **settings) as up:
        server, endpoint, adapter, scratch = up
        tools = _Tools(arguments.tools or server.binaries, endpoint, scratch)
        print(f"server {adapter.identity().version}, client programs {tools.version()}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 8 * KIB, 64 * KIB):
                _bulk(adapter, tools, payload_bytes, arguments)
        if arguments.only != "bulk":
            for payload_bytes in (1 * KIB, 8 * KIB):
                _insert(adapter, tools, payload_bytes, arguments)


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
    whole = random_batch(arguments.total_mib * MIB // payload_bytes, payload_bytes)
    batches = parts_of(whole, arguments.batch_mib * MIB)
    file = tools.scratch / "rows.bin"
    with file.open("wb") as target:
        target.writelines(copy_chunks(whole))
    copy = rf"\copy {TABLE} (key, payload) from '{file}' with (format binary)"

    def stored() -> None:
        assert adapter.count() == len(whole)

    found = paired(
        lambda: seconds(lambda: [adapter.put_many(batch) for batch in batches]),
        lambda: seconds(lambda: tools.run("psql", "-X", "-c", copy)),
        arguments.rounds,
        before=lambda: _emptied(adapter),
        after=stored,
        start=lambda: tools.run("psql", "-X", "-c", "SELECT 1"),
    )
    file.unlink()
    adapter.empty("truncate")
    tell_bulk(payload_bytes, whole.logical_bytes, "psql", found)


def _emptied(adapter: PostgresqlAdapter) -> None:
    adapter.empty("truncate")
    adapter.flush()


def _insert(
    adapter: PostgresqlAdapter, tools: _Tools, payload_bytes: int, arguments: argparse.Namespace
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    script = tools.scratch / "insert.sql"
    found = paired(
        lambda: puts_per_s(adapter.put, payload, arguments.insert_s),
        lambda: _pgbench(tools, script, payload, arguments.insert_s),
        arguments.insert_rounds,
        before=lambda: _emptied(adapter),
    )
    tell_insert(payload_bytes, "pgbench", found)


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


if __name__ == "__main__":
    main()
