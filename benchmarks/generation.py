"""How fast a dataset is made, next to ``fio`` filling its buffers, in one run.

Run it with ``.venv/bin/python benchmarks/generation.py``. Both make 64 KiB
blocks at U50 in memory, on one core and the same one, in turns; the medians of
five rounds and their ratio are printed, with the grades that were achieved.

- deduplab: ``random_binary``, all batches of a dataset, keys and offsets
  included; adjacent copies first, and shuffled ones, which have to be made anew.
- fio: engine ``null`` with ``refill_buffers=1`` and ``dedupe_percentage=50``:
  every block is filled, and then dropped. That it does fill them shows in its
  rate without ``refill_buffers``, printed as a check. Its grade is counted in a
  file that it writes with the same settings to memory.

The aim is at least 1.2 times fio, with a grade that is exact to one object.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset, prove
from deduplab.units import GIB, KIB, MIB, parse_bytes

BLOCK_BYTES = 64 * KIB
GRADE_PERCENT = 50
DEADLINE_S = 300


def main() -> int:
    arguments = parse_arguments()
    if shutil.which("fio") is None:
        print("fio is not installed; on Debian and Ubuntu: apt-get install fio", file=sys.stderr)
        return 2
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    adjacent = DatasetSpec(
        "random_binary", arguments.size, BLOCK_BYTES, GRADE_PERCENT, "adjacent", seed=1
    )
    shuffled = dataclasses.replace(adjacent, distance="shuffled")
    makers: dict[str, Callable[[], float]] = {
        "fio": lambda: fio_rate(core, arguments.size, refill=True),
        "deduplab adjacent": lambda: own_rate(adjacent, arguments.batch),
        "deduplab shuffled": lambda: own_rate(shuffled, arguments.batch),
    }
    rounds = [{name: make() for name, make in makers.items()} for _ in range(arguments.rounds)]
    grades = {
        "fio": fio_grade(core, arguments.proof),
        "deduplab adjacent": own_grade(adjacent, arguments.proof),
        "deduplab shuffled": own_grade(shuffled, arguments.proof),
    }
    print(
        f"{arguments.rounds} rounds of {arguments.size} bytes on core {core}, median (least, most)"
    )
    for name in makers:
        rates = [one[name] for one in rounds]
        ratio = statistics.median(one[name] / one["fio"] for one in rounds)
        print(
            f"{name:18} {statistics.median(rates):6.2f} GB/s ({min(rates):.2f}, {max(rates):.2f})"
            f"  {ratio:5.2f} x fio  grade {grades[name]:.4%}"
        )
    unfilled = fio_rate(core, arguments.size, refill=False)
    print(f"check: fio that fills no buffers does {unfilled:.0f} GB/s")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=parse_bytes, default=4 * GIB, help="bytes a round")
    parser.add_argument("--batch", type=parse_bytes, default=MIB, help="bytes a batch")
    parser.add_argument("--proof", type=parse_bytes, default=512 * MIB, help="bytes for the grade")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def own_rate(spec: DatasetSpec, batch_bytes: int) -> float:
    """Return GB/s of making a whole dataset, batch by batch."""
    started_ns = time.perf_counter_ns()
    dataset = build_dataset(spec)
    made_bytes = sum(batch.logical_bytes for batch in dataset.batches(batch_bytes))
    return made_bytes / (time.perf_counter_ns() - started_ns)


def own_grade(spec: DatasetSpec, proof_bytes: int) -> float:
    return prove(build_dataset(dataclasses.replace(spec, logical_bytes=proof_bytes))).grade_achieved


def fio_rate(core: int, size_bytes: int, *, refill: bool) -> float:
    """Return GB/s that fio reports for its job, start-up not included."""
    filling = ["--refill_buffers=1", f"--dedupe_percentage={GRADE_PERCENT}"] if refill else []
    write = fio(core, size_bytes, ["--ioengine=null", *filling])
    return write["io_bytes"] / (write["runtime"] * 1_000_000)


def fio_grade(core: int, size_bytes: int) -> float:
    """Return the share of duplicates that fio achieved, counted in what it wrote."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "blocks"
        settings = ["--refill_buffers=1", f"--dedupe_percentage={GRADE_PERCENT}"]
        fio(core, size_bytes, ["--ioengine=psync", f"--filename={path}", *settings])
        seen: set[bytes] = set()
        blocks = 0
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                seen.add(hashlib.blake2b(block, digest_size=16).digest())
                blocks += 1
    return 1 - len(seen) / blocks


def fio(core: int, size_bytes: int, settings: list[str]) -> dict[str, int]:
    command = [
        "fio",
        "--name=generation",
        "--rw=write",
        f"--bs={BLOCK_BYTES}",
        f"--size={size_bytes}",
        "--iodepth=1",
        "--numjobs=1",
        f"--cpus_allowed={core}",
        "--output-format=json",
        *settings,
    ]
    output = subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S).stdout
    write: dict[str, int] = json.loads(output)["jobs"][0]["write"]
    return write


if __name__ == "__main__":
    sys.exit(main())
