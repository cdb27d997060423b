"""What a trace costs the system that is traced: whole cells with and without a tracer.

Each round runs the same cell twice, each in a process of its own and on a fresh instance, one
of them traced at 10 Hz; which one comes first changes from round to round. Printed are the
medians of the untraced rates and of the ratios, pair by pair, with the least and the greatest
(above 1: the traced one was slower), and what the tracer's own process took of a core.
A traced cell and its system share the machine's cores with the tracer, so with few cores its
CPU time is what to expect at most.

With --told both are traced, and one tells its marks and samples to a relay besides.

    python benchmarks/tracer.py [--rounds 7] [--systems sqlite,postgresql,mariadb,redis,kafka]
                                [--told]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.tracer import Tracer
from deduplab.servers._process import free_port
from deduplab.sinks.relay_process import relayed

DEADLINE_S = 300
HZ = 10
STAGES = ("bulk", "insert", "read")
PLAN = """
name = "tracer"
stages = ["bulk", "insert", "read"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
logical_size = "256 MiB"
object_size = "8 KiB"
insert_share = "10 %"
batch_size = "4 MiB"
read_objects = 3000
[rest]
window_s = 0.3
interval_s = 0.05
deadline_s = 60
[systems.SYSTEM]
"""
SINKS = """
[json_lines]
path = "{path}"
[prometheus]
listen = "127.0.0.1:{port}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--systems", default="null,sqlite,postgresql,mariadb,redis,kafka")
    parser.add_argument("--told", action="store_true", help="what it costs to tell sinks of it")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        print(json.dumps(in_this_process(*arguments.cell)))
        return
    ways = ("traced", "told") if arguments.told else ("plain", "traced")
    print(f"medians of {arguments.rounds} pairs; 256 MiB in objects of 8 KiB, at {HZ} Hz\n")
    print(f"{'':12}{'stage':8}{'objects/s':>12}{f'{ways[1]} took':>14}{'':16}{'of a core':>10}")
    for system in arguments.systems.split(","):
        compare(system, arguments.rounds, ways)


def compare(system: str, rounds: int, ways: tuple[str, str]) -> None:
    """Run pairs of cells of one system, and print what they say."""
    pairs = []
    for number in range(rounds + 1):
        order = ways if number % 2 else ways[::-1]
        found = {how: in_process(system, how) for how in order}
        if number:  # the first round warms up
            pairs.append(found)
    without, with_it = ways
    share = statistics.median(pair[with_it]["tracer"] for pair in pairs)
    for stage in STAGES:
        if stage not in pairs[0][without]:
            continue
        rate = statistics.median(pair[without][stage] for pair in pairs)
        ratios = [pair[without][stage] / pair[with_it][stage] for pair in pairs]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(
            f"{system:12}{stage:8}{rate:12,.0f}{statistics.median(ratios):12.3f} x {spread:16}"
            f"{share:9.1%}"
        )


def in_process(system: str, how: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--cell", system, how],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{system} failed: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def in_this_process(system: str, how: str) -> dict[str, float]:
    """Run one cell in a way: plain, traced, or told to sinks."""
    if how != "told":
        return measured(system, Tracer(HZ) if how == "traced" else None)
    with tempfile.TemporaryDirectory(prefix="deduplab-benchmark-") as name:
        sinks = Path(name) / "sinks.toml"
        sinks.write_text(SINKS.format(path=Path(name) / "events.jsonl", port=free_port()))
        with relayed(sinks) as relay:
            found = measured(system, Tracer(HZ, relay.feed, "benchmark"))
        if not relay.deliveries or any(one.lost for one in relay.deliveries):
            raise SystemExit(f"not all was told: {relay.deliveries}")
        return found


def measured(system: str, tracer: Tracer | None) -> dict[str, float]:
    """Run one cell, and return objects a second by stage, and the tracer's share of a core."""
    cell = matrix.cells(config.parse(PLAN.replace("SYSTEM", system), origin="benchmark"))[0]
    with tempfile.TemporaryDirectory(prefix="deduplab-benchmark-", dir="/var/tmp") as name:
        workspace = Path(name)
        workspace.chmod(0o755)
        (workspace / "instance").mkdir()
        manifests = ManifestCache(workspace / "manifests")
        result, _ = run_cell(cell, workspace / "instance", manifests, tracer=tracer)
    if not result.outcome.ok or result.no_trace:
        raise SystemExit(f"{result.outcome.reason} {result.no_trace}")
    found = {
        one.stage.value: one.acknowledged / one.duration_ns * 1e9
        for one in result.measurements
        if one.outcome.ok
    }
    if tracer is not None and tracer.trace is not None:
        found["tracer"] = tracer.trace.tracer_cpu_ns / int(tracer.trace.at_ns[-1])
        tracer.close()
    return found


if __name__ == "__main__":
    main()
