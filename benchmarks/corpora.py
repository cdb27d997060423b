"""How fast real corpora are cut and mixed in memory, a core, next to a plain copy of memory.

    python benchmarks/corpora.py --data FOLDER

FOLDER holds the files of the catalogue, as ``deduplab data fetch`` keeps them or
side by side. Each dataset is made whole through ``build_dataset``, batch by
batch, keys included, with shuffled copies; where the corpus is too small, it is
varied. Rounds of all are run in turns; the medians, the median ratio to
a copy of as many bytes in the same round, and the time of indexing are printed; time is that
of the processor, since nothing is waited for. The aim is 1 GB/s a core, and a resident set
below 400 MB.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from pathlib import Path

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets import build_dataset, origins
from deduplab.units import KIB, MIB, parse_bytes

OBJECT_BYTES = (4 * KIB, 64 * KIB)
AIM_GB_S = 1.0


def main() -> int:
    arguments = parse_arguments()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    specs = {
        (family, object_bytes, grade): spec_of(family, object_bytes, grade, arguments)
        for family in origins.families()
        for object_bytes in OBJECT_BYTES
        for grade in (0, 50)
    }
    if not all(specs.values()):
        print(f"{arguments.data} lacks a file of the catalogue", file=sys.stderr)
        return 2
    rounds: dict[tuple[str, int, int], list[tuple[float, float, float]]] = {}
    for _ in range(arguments.rounds):
        for name, spec in specs.items():
            assert spec is not None
            rounds.setdefault(name, []).append((*rates(spec), copy_rate(arguments.size)))
    print("GB/s made (ratio to a plain copy), seconds to index")
    for (family, object_bytes, grade), found in rounds.items():
        made = statistics.median(one[0] for one in found)
        ratio = statistics.median(one[0] / one[2] for one in found)
        index_s = statistics.median(one[1] for one in found)
        verdict = "" if made >= AIM_GB_S else "  below the aim"
        print(
            f"{family:15} {object_bytes // KIB:3} KiB U{grade:<2} {made:6.2f} ({ratio:4.2f})"
            f"  {index_s:6.3f}{verdict}"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"largest resident set: {peak_mb:.0f} MB")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=origins.cache_folder() / "data")
    parser.add_argument("--size", type=parse_bytes, default=256 * MIB, help="bytes a dataset")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def spec_of(
    family: str, object_bytes: int, grade: int, arguments: argparse.Namespace
) -> DatasetSpec | None:
    names = [one.file_name for one in origins.origins_of(family)]
    folders = (arguments.data / family, arguments.data)
    found = (folder / name for name in names for folder in folders if (folder / name).is_file())
    source = next(found, None)
    if source is None:
        return None
    return DatasetSpec(
        family,
        arguments.size,
        object_bytes,
        grade,
        "shuffled" if grade else "none",
        source=str(source),
        sizes=SizeSpec("natural"),
        vary=True,
    )


def rates(spec: DatasetSpec) -> tuple[float, float]:
    """Return GB/s of making a dataset, and the seconds that its index took."""
    started_ns = time.process_time_ns()
    dataset = build_dataset(spec)
    indexed_ns = time.process_time_ns()
    made_bytes = sum(batch.logical_bytes for batch in dataset.batches(MIB))
    ended_ns = time.process_time_ns()
    return made_bytes / (ended_ns - indexed_ns), (indexed_ns - started_ns) / 1e9


def copy_rate(size_bytes: int) -> float:
    """Return GB/s of copying a megabyte again and again."""
    source, target = memoryview(bytes(MIB)), memoryview(bytearray(MIB))
    started_ns = time.process_time_ns()
    for _ in range(size_bytes // MIB):
        target[:] = source
    return size_bytes // MIB * MIB / (time.process_time_ns() - started_ns)


if __name__ == "__main__":
    sys.exit(main())
