"""What several clients do at once: 1, 2 and 4 of them on redis and postgresql, in one run.

Prints throughput (over one client's), median and 99th percentile of latency, and the share of the
clients' time in which they had ended and waited for the last one; the median of all repetitions.
The last line is a store that takes 5 ms an operation, which 4 clients do 4 times as fast: what
is missing there, the instrument itself takes.

    python benchmarks/clients.py [--clients 1,2,4] [--repetitions 3] [--size '16 MiB']
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from deduplab import config
from deduplab.adapters.plain import PlainAdapter
from deduplab.bench import matrix, rig
from deduplab.bench.clients import Clients
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.cell import Cell
from deduplab.record import RecordType
from deduplab.servers.embedded import EmbeddedServer

PLAN = """\
name = "clients"
repetitions = {repetitions}
clients = [{clients}]
stages = ["bulk", "read", "insert", "delete"]
trace_hz = 0
[data]
payloads = ["text_document"]
grades = ["U0"]
logical_size = "{size}"
object_size = "4 KiB"
insert_share = "100 %"
read_objects = 4000
[rest]
window_s = 0.2
[systems.redis]
[systems.postgresql]
[systems.plain]
"""
SERVICE_NS = 5_000_000


class TakesFiveMs(PlainAdapter):
    """Does what needs no disk in 5 ms: it reads objects."""

    def get(self, key: str) -> bytes | None:
        """Read one object."""
        begun = time.perf_counter_ns()
        found = super().get(key)
        time.sleep(max(0, begun + SERVICE_NS - time.perf_counter_ns()) / 1e9)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", default="1,2,4")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--size", default="16 MiB")
    arguments = parser.parse_args()
    text = PLAN.format(**vars(arguments))
    found: dict[tuple[str, str, int], list[tuple[float, ...]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o755)
        for cell in matrix.cells(config.parse(text, origin="clients.toml")):
            for stage, figures in measured(cell, Path(directory)):
                found[cell.system, stage, cell.clients].append(figures)
    titles = ("clients", "objects/s", "of one", "p50", "p99", "waited", "n")
    print(f"{'system':<12}{'stage':<8}" + "".join(f"{title:>11}" for title in titles))
    for (system, stage, clients), rows in sorted(found.items()):
        columns = zip(*rows, strict=True)
        per_s, p50_ms, p99_ms, waited = (statistics.median(column) for column in columns)
        one = statistics.median(row[0] for row in found[system, stage, 1])
        cells = (
            *(f"{clients}", f"{per_s:.0f}", f"{per_s / one:.2f}"),
            *(f"{p50_ms:.2f} ms", f"{p99_ms:.2f} ms", f"{waited:.1%}", f"{len(rows)}"),
        )
        shown = "5 ms" if system == "plain" else system
        print(f"{shown:<12}{stage:<8}" + "".join(f"{cell:>11}" for cell in cells))


def measured(cell: Cell, directory: Path) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Run a cell, and yield the figures of what goes object by object."""
    instance = directory / cell.cell_id
    instance.mkdir()
    up = slow_up if cell.system == "plain" else rig.bring_up
    manifests = ManifestCache(directory / "manifests")
    if cell.clients == 1:
        result, raw_ns = run_cell(cell, instance, manifests, bring_up=up)
    else:
        with closing(Clients(cell)) as clients:
            result, raw_ns = run_cell(cell, instance, manifests, bring_up=up, clients=clients)
    assert result.outcome.ok, result.outcome
    for one in result.measurements:
        if one.stage in ("read", "insert") and (cell.system != "plain" or one.stage == "read"):
            p50, p99 = np.percentile(raw_ns[one.position], (50, 99)) / 1e6
            waited = one.clients_waited_ns / (one.clients * one.duration_ns)
            yield one.stage, (one.objects / one.duration_ns * 1e9, p50, p99, waited)


@contextmanager
def slow_up(cell: Cell, workspace: Path, record_type: RecordType | None) -> Iterator[rig.Rig]:
    """Bring the store up that takes 5 ms."""
    server = EmbeddedServer(workspace, variant=cell.variant, durability=cell.durability)
    with closing(TakesFiveMs()) as adapter:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
        yield rig.watched(adapter, server, endpoint)


if __name__ == "__main__":
    main()
