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
    settings = {"variant": arguments.variant, "durability": arguments.durability}
    with instance(MariadbServer, MariadbAdapter(), NAMESPACE, **settings) as up:
        _, endpoint, adapter, scratch = up
        version = adapter.identity().version
        print(f"server {version}, variant {arguments.variant}, {arguments.durability}")
        if arguments.only != "insert":
            for payload_bytes in (1 * KIB, 10 * KIB, 100 * KIB):
                _bulk(adapter, endpoint, scratch, payload_bytes, arguments)
        if arguments.only != "bulk":
            program = _compiled(scratch, arguments.headers)
            for payload_bytes in (1 * KIB, 10 * KIB):
                _insert(adapter, endpoint, program, payload_bytes, arguments)


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
    whole = random_batch(arguments.total_mib * MIB // payload_bytes, payload_bytes)
    batches = parts_of(whole, arguments.batch_mib * MIB)
    file = scratch / "rows.txt"
    _write_rows(whole, file)
    load = f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {TABLE} CHARACTER SET binary"

    def stored() -> None:
        assert adapter.count() == len(whole)
        assert adapter.get(whole.keys[-1]) == bytes(whole.data[-payload_bytes:])

    found = paired(
        lambda: seconds(lambda: [adapter.put_many(batch) for batch in batches]),
        lambda: seconds(lambda: _client(endpoint, load)),
        arguments.rounds,
        before=lambda: _emptied(adapter),
        after=stored,
        start=lambda: _client(endpoint, "SELECT 1"),
    )
    file.unlink()
    adapter.empty("truncate")
    tell_bulk(payload_bytes, whole.logical_bytes, "LOAD DATA", found)


def _emptied(adapter: MariadbAdapter) -> None:
    adapter.empty("truncate")
    adapter.flush()


def _insert(
    adapter: MariadbAdapter,
    endpoint: Endpoint,
    program: Path,
    payload_bytes: int,
    arguments: argparse.Namespace,
) -> None:
    payload = np.random.default_rng(1).bytes(payload_bytes)
    found = paired(
        lambda: puts_per_s(adapter.put, payload, arguments.insert_s),
        lambda: _insert_in_c(program, endpoint, payload_bytes, arguments.insert_s),
        arguments.insert_rounds,
        before=lambda: _emptied(adapter),
    )
    tell_insert(payload_bytes, "client in C", found)


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


if __name__ == "__main__":
    main()
