"""How fast a scan is, next to tools that chunk or hash the same files, as whole processes.

All read the same file set in memory-backed storage, on one core and the same one
(two where it is said); what is compared runs side by side, in turns, and the pairs in any
order. CPU seconds and elapsed seconds include the start of each process. A tmpfs as it is
usually mounted lies in pages of 4 KiB, which the kernel looks up one by one; with
``--large-pages`` the files lie in large ones, as they do in the cache of ext4 and xfs.
What each tool does with the data:

- deduplab: one scan by a plain script, the way the command does it: one grain with
  128-bit fingerprints, all ten, sampled, with and without compression;
- ``duperemove -r --lookup-extents=no -b 128k --io-threads=1 --cpu-threads=1`` with a new
  hash file: hashes 128 KiB blocks (4 KiB ones of small files), and deduplicates nothing
  without ``-d``. It looks at no extents, because file systems in memory have none to show;
- ``casync digest``: cuts content-defined chunks of 64 KiB, and hashes them with SHA-512/256;
- ``borg create``: content-defined chunks of 2 MiB, HMAC-SHA256, no compression, and stores;
- ``restic backup``: content-defined chunks of 1 MiB, SHA-256, encrypts and stores;
- "a bare loop": what the scan can't beat without cutting better: the files read whole, cut
  by the same chunker, hashed by the same function, the digests kept in a set;
- "without the part in C": the same scan with ``DEDUPLAB_NATIVE=0``, which is how it runs where no
  C compiler built that part;
- "the command": ``deduplab scan --json`` itself, which imports the command line besides;
- "two scans at once": all ten grains twice, on two cores at the same time. Where that takes longer
  than once (a ratio below 1), the machine does not give two processes two cores. What two processes
  can't share, the start of Python, weighs less with ``--mib 4096``;
- "reading alone": an interpreter that imports numpy, and reads all files;
- ``find -exec sha256sum {} +`` and ``find -exec cksum {} +`` for many small files.

The set is 1 GiB in files from 4 KiB to 32 MiB, half of them text and half noise; half
of the bytes are copies of other files. What is a copy of a file or of a part of one is
recognised and not cut again, so half of the set without copies stands beside it. The
small set is 100,000 files of 4 KiB, every second a copy. What is not installed is
skipped, with a line that says so. Ratios above 1 are in our favour.

The memory check scans 20 GB that are made as they are read, sampled, and prints how much
the process grew.

    python benchmarks/scan.py [--rounds 5] [--mib 1024] [--files 100000] [--only mixed|small|memory]
        [--large-pages]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deduplab.bound.stream_scan import cutter_name
from deduplab.units import GIB, KIB, MIB

DEADLINE_S = 600
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
FILE_BYTES = (4 * KIB, 64 * KIB, 300_001, MIB, 5_000_000, 32 * MIB)
SHARES = (0.02, 0.08, 0.1, 0.2, 0.25, 0.35)
MIXED_PAIRS = (
    ("cdc-8192", "borg create"),
    ("cdc-8192", "restic backup"),
    ("cdc-8192", "casync digest"),
    ("cdc-8192", "a bare loop, cdc-8192"),
    ("cdc-8192", "cdc-8192, without the part in C"),
    ("ten grains, without copies", "ten grains, without copies and the part in C"),
    ("fixed-131072", "duperemove"),
    ("fixed-131072", "reading alone"),
    ("two processes", "ten grains"),
    ("two scans at once", "ten grains"),
    ("two processes, compressed", "ten grains, compressed"),
    ("two processes, cdc-8192", "cdc-8192"),
    ("two processes, without copies", "ten grains, without copies"),
)
SMALL_PAIRS = (
    ("ten grains", "duperemove"),
    ("ten grains", "find sha256sum"),
    ("ten grains", "find cksum"),
    ("cdc-8192", "find cksum"),
)

SCAN = """
import sys
from deduplab.bound.scan import ScanSettings, scan_sources
from deduplab.bound.sources.files import FileSource
if __name__ == "__main__":
    folder, grains, sample, compress, processes = sys.argv[1:]
    asked = {"grains": tuple(grains.split(","))} if grains != "all" else {}
    settings = ScanSettings(
        sample=float(sample) or None, compress=compress == "compress", **asked
    )
    result = scan_sources([FileSource(folder)], settings, processes=int(processes)).result()
    assert not result.left_out, result.left_out
    for grain in result.grains:
        print(f"{grain.grain}={grain.ratio:.3f}", end=" ")
"""

LOOP = """
import os, sys
from pyfastcdc import FastCDC
from xxhash import xxh3_128_digest
chunker = FastCDC(8192, min_size=2048, max_size=32768, normalized_chunking=1)
view, seen = memoryview(bytearray(64 << 20)), set()
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        file = os.open(os.path.join(folder, name), os.O_RDONLY)
        count = os.readv(file, [view])
        os.close(file)
        for chunk in chunker.cut_buf(view[:count]):
            seen.add(xxh3_128_digest(chunk.data))
"""

READING = """
import os, sys, numpy
view = memoryview(bytearray(1 << 20))
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        file = os.open(os.path.join(folder, name), os.O_RDONLY)
        while os.readv(file, [view]) == len(view):
            pass
        os.close(file)
"""

STREAM = """
import resource, sys
import numpy as np
from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.grains import ALL_GRAINS
from deduplab.bound.stream import Block, Source

BLOCK = 4 << 20

class Stream(Source):
    # Every second block is a copy of the one before, so the ratio is 2.
    name, left_out = "stream", []
    def __init__(self, total_bytes): self.blocks_left = total_bytes // BLOCK
    def blocks(self):
        generator, offsets = np.random.default_rng(5), np.array([0, BLOCK])
        for number in range(self.blocks_left):
            if number % 2 == 0:
                data = memoryview(generator.bit_generator.random_raw(BLOCK // 8)).cast("B")
            yield Block(data, offsets)

def greatest_bytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
settings = ScanSettings(sample=1.0)
scan(Stream(4 * BLOCK), ScanSettings())  # imports and buffers
before = greatest_bytes()
result = scan(Stream(int(sys.argv[1])), settings).result()
print(f"{(greatest_bytes() - before) / 2**20:.1f} MiB more than before, ratios and errors:")
for grain in result.grains:
    print(f"{grain.grain} {grain.ratio:.3f} +- {grain.error.relative_standard_error:.2%}", end="; ")
"""


@dataclass
class Took:
    """What one process took: CPU seconds of it and its children, and elapsed seconds."""

    cpu_s: float
    elapsed_s: float
    said: str = ""


Pairs = dict[tuple[str, str], list[tuple[Took, Took]]]
"""By the names of two that are compared, what they took side by side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--only", choices=("mixed", "small", "memory"))
    parser.add_argument("--stream-gb", type=int, default=20, help="length for the memory check")
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"))
    parser.add_argument(
        "--large-pages",
        action="store_true",
        help="keep the files in large pages of memory; mounts a tmpfs below the directory, as root",
    )
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    print(f"content-defined cuts are found by {cutter_name()}")
    with place_for_files(arguments.directory, large_pages=arguments.large_pages) as root:
        if arguments.only in (None, "memory"):
            stream = [sys.executable, "-c", STREAM, str(arguments.stream_gb * 10**9)]
            print(f"sampled, {arguments.stream_gb} GB: {run(stream, {cores[-1]}, root).said}")
        if arguments.only in (None, "mixed"):
            total_bytes = mixed_files(root / "mixed", arguments.mib * MIB)
            compare_mixed(root, total_bytes, arguments.rounds, cores)
            shutil.rmtree(root / "mixed")
        if arguments.only in (None, "small"):
            small_files(root / "small", arguments.files)
            compare_small(root, arguments.files, arguments.rounds, cores)


@contextmanager
def place_for_files(directory: Path, *, large_pages: bool) -> Iterator[Path]:
    """Make a folder that goes with all that was written to it."""
    with tempfile.TemporaryDirectory(prefix="deduplab-", dir=directory) as name:
        if not large_pages:
            yield Path(name)
            return
        options = ["-t", "tmpfs", "-o", "huge=within_size,size=75%", "deduplab-benchmark"]
        subprocess.run(["mount", *options, name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def mixed_files(folder: Path, total_bytes: int) -> int:
    """Write the mixed set: files up to half of the bytes, and a copy of each."""
    rng = np.random.default_rng(1)
    words = [rng.bytes(int(length)).hex().encode() for length in rng.integers(1, 6, 2000)]
    written = 0
    for size_bytes, share in zip(FILE_BYTES, SHARES, strict=True):
        for number in range(max(1, int(total_bytes * share) // (2 * size_bytes))):
            payload = rng.bytes(size_bytes) if number % 2 else text(rng, words, size_bytes)
            for part in ("first", "again"):
                place = folder / part / f"{size_bytes}-{number % 50}"
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number}.bin").write_bytes(payload)
                written += size_bytes
    return written


def text(rng: np.random.Generator, words: list[bytes], size_bytes: int) -> bytes:
    chosen = rng.integers(0, len(words), size_bytes // 4).tolist()
    return b" ".join(words[index] for index in chosen)[:size_bytes].ljust(size_bytes)


def small_files(folder: Path, count: int) -> None:
    """Write files of 4 KiB, of which every second is a copy of the one before."""
    rng = np.random.default_rng(2)
    payload = b""
    for number in range(count):
        if number % 1000 == 0:
            place = folder / str(number // 1000)
            place.mkdir(parents=True)
        payload = payload if number % 2 else rng.bytes(4 * KIB)
        (place / f"{number}.bin").write_bytes(payload)


def run(command: list[str], cores: set[int], folder: Path, **environment: str) -> Took:
    """Run a process on some cores to its end, and take the time of it and its children."""
    # What pip installs is compiled to bytecode, once; where writing that is switched off, each
    # start of ours would compile numpy anew, while the other tools come compiled.
    inherited = {key: value for key, value in os.environ.items() if key != NO_BYTECODE}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        command,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=folder,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    elapsed_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(cpu_s, elapsed_s, done.stdout)


def ours(
    folder: Path, grains: str, *, sample: float = 0, compress: bool = False, processes: int = 1
) -> list[str]:
    compressed = "compress" if compress else "plain"
    return [
        sys.executable,
        "-c",
        SCAN,
        str(folder),
        grains,
        str(sample),
        compressed,
        str(processes),
    ]


def installed(tools: dict[str, list[str]]) -> dict[str, list[str]]:
    found = {}
    for name, command in tools.items():
        if shutil.which(command[0]) is None:
            print(f"skipped: {name}, because {command[0]} is not installed")
        else:
            found[name] = command
    return found


def duperemove(folder: Path, hashes: Path, block: str) -> list[str]:
    return [
        "duperemove", "-r", "-q", "--lookup-extents=no", "-b", block,
        "--io-threads=1", "--cpu-threads=1",
        f"--hashfile={hashes}", str(folder),
    ]  # fmt: skip


def compare_mixed(root: Path, total_bytes: int, rounds: int, cores: list[int]) -> None:
    mixed, store = root / "mixed", root / "store"
    pure = ["env", "DEDUPLAB_NATIVE=0"]
    commands = {
        "cdc-8192": ours(mixed, "cdc-8192"),
        "fixed-131072": ours(mixed, "fixed-131072"),
        "ten grains": ours(mixed, "all"),
        "cdc-8192, without copies": ours(mixed / "first", "cdc-8192"),
        "ten grains, without copies": ours(mixed / "first", "all"),
        "cdc-8192, without the part in C": [*pure, *ours(mixed, "cdc-8192")],
        "ten grains, without copies and the part in C": [*pure, *ours(mixed / "first", "all")],
        "the command, cdc-8192": [
            str(Path(sys.executable).with_name("deduplab")),
            *("scan", str(mixed), "--grain", "cdc-8192", "--no-compress", "--json"),
        ],
        "a bare loop, cdc-8192": [sys.executable, "-c", LOOP, str(mixed)],
        "reading alone": [sys.executable, "-c", READING, str(mixed)],
        "ten grains, compressed": ours(mixed, "all", compress=True),
        "ten grains, sampled 1/64": ours(mixed, "all", sample=1 / 64),
        **installed(
            {
                "duperemove": duperemove(mixed, store / "hashes", "128k"),
                "casync digest": ["casync", "digest", str(mixed)],
                "borg create": [
                    "borg",
                    "create",
                    "--compression=none",
                    f"{store}/borg::a",
                    str(mixed),
                ],
                "restic backup": ["restic", "-r", f"{store}/restic", "backup", "-q", str(mixed)],
            }
        ),
    }
    on_one = set(commands)
    if len(cores) > 1:
        at_once = ["sh", "-c", '"$@" & first=$!; "$@" && wait $first', "sh"]
        commands |= {
            "two scans at once": [*at_once, *ours(mixed, "all")],
            "two processes": ours(mixed, "all", processes=2),
            "two processes, cdc-8192": ours(mixed, "cdc-8192", processes=2),
            "two processes, compressed": ours(mixed, "all", compress=True, processes=2),
            "two processes, without copies": ours(mixed / "first", "all", processes=2),
        }

    def timed(name: str) -> Took:
        prepare(name, store)
        on_cores = {cores[-1]} if name in on_one else set(cores[:2])
        took = run(commands[name], on_cores, root, **secrets_for(store))
        shutil.rmtree(store)
        return took

    took, pairs = in_pairs(timed, commands, MIXED_PAIRS, rounds)
    print(f"\nmixed set, {total_bytes / GIB:.2f} GiB, medians, {rounds} rounds, one core")
    table(took, total_bytes, {name: total_bytes / 2 for name in took if "without copies" in name})
    ratios(pairs)
    print(f"ratios found: {took['ten grains'][-1].said}")


def in_pairs(
    timed: Callable[[str], Took],
    names: Iterable[str],
    compared: Sequence[tuple[str, str]],
    rounds: int,
) -> tuple[dict[str, list[Took]], Pairs]:
    """Run what is compared one right after the other, in turns, and the pairs in any order.

    A shared machine changes from one second to the next, and what ran before leaves its mark: so
    each pair has runs of its own, and no run has always the same one before it. The first round
    warms up.
    """
    there = set(names)
    pairs: Pairs = {pair: [] for pair in compared if there.issuperset(pair)}
    alone = sorted(there.difference(*pairs))
    steps: list[tuple[str, ...]] = [*pairs, *((name,) for name in alone)]
    took: dict[str, list[Took]] = {name: [] for name in there}
    order = random.Random(1)
    for number in range(rounds + 1):
        order.shuffle(steps)
        for step in steps:
            found = {name: timed(name) for name in (step if number % 2 else step[::-1])}
            if not number:
                continue
            for name, one in found.items():
                took[name].append(one)
            if len(step) > 1:
                mine, other = step
                pairs[mine, other].append((found[mine], found[other]))
    return took, pairs


def prepare(name: str, store: Path) -> None:
    """Make what a tool writes to, outside of what is timed."""
    store.mkdir()
    environment = {**os.environ, **secrets_for(store)}
    start: Callable[[list[str]], object] = lambda command: subprocess.run(  # noqa: E731
        command, env=environment, check=True, capture_output=True, timeout=DEADLINE_S
    )
    if name.startswith("borg"):
        start(["borg", "init", "--encryption=none", f"{store}/borg"])
    if name.startswith("restic"):
        start(["restic", "init", "-r", f"{store}/restic"])


def secrets_for(store: Path) -> dict[str, str]:
    """Return settings that keep the tools' own files in the store, with a password for the run."""
    return {
        "RESTIC_PASSWORD": os.environ.setdefault("RESTIC_PASSWORD", os.urandom(8).hex()),
        "XDG_CACHE_HOME": str(store / "cache"),
        "BORG_BASE_DIR": str(store / "base"),
    }


def compare_small(root: Path, files: int, rounds: int, cores: list[int]) -> None:
    small, store = root / "small", root / "store"
    commands = {
        "ten grains": ours(small, "all"),
        "cdc-8192": ours(small, "cdc-8192"),
        **installed(
            {
                "duperemove": duperemove(small, store / "hashes", "4k"),
                "find sha256sum": [
                    "find",
                    str(small),
                    "-type",
                    "f",
                    "-exec",
                    "sha256sum",
                    "{}",
                    "+",
                ],
                "find cksum": ["find", str(small), "-type", "f", "-exec", "cksum", "{}", "+"],
            }
        ),
    }

    def timed(name: str) -> Took:
        store.mkdir()
        took = run(commands[name], {cores[-1]}, root)
        shutil.rmtree(store)
        return took

    took, pairs = in_pairs(timed, commands, SMALL_PAIRS, rounds)
    print(f"\n{files} files of 4 KiB, medians, {rounds} rounds, one core")
    table(took, files * 4 * KIB)
    ratios(pairs)


def table(
    took: dict[str, list[Took]], total_bytes: float, others: dict[str, float] | None = None
) -> None:
    """Print medians; ``others`` are the bytes of what reads less than all."""
    print(f"{'':28}{'elapsed':>10}{'CPU':>10}{'GB/s':>8}")
    for name, rounds in sorted(took.items()):
        if rounds:
            elapsed_s = statistics.median(one.elapsed_s for one in rounds)
            cpu_s = statistics.median(one.cpu_s for one in rounds)
            rate = (others or {}).get(name, total_bytes) / elapsed_s / 1e9
            print(f"{name:28}{elapsed_s:>8.2f} s{cpu_s:>8.2f} s{rate:>8.2f}")


def ratios(pairs: Pairs) -> None:
    """Print how many times faster one is than another that ran beside it."""
    for (mine, other), found in pairs.items():
        each = sorted(two.elapsed_s / one.elapsed_s for one, two in found)
        by_cpu = statistics.median(two.cpu_s / one.cpu_s for one, two in found)
        print(
            f"{mine} against {other}: {statistics.median(each):.2f} x ({each[0]:.2f} to "
            f"{each[-1]:.2f}), by CPU seconds {by_cpu:.2f} x"
        )


if __name__ == "__main__":
    main()
