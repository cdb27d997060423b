"""What it takes to read a run for its report: each file once, or anew by whoever needs it.

    python benchmarks/report.py RUN [n]

RUN is a run's directory. Printed are seconds of CPU of this process, the least and the median of n
pairs, and the peak of its memory.

1000 cells with traces (14 KB of cell.json each), on two cores that others used, n = 2: read anew
2.1 s, once 0.75 s; with the figures 15.0 s and 12.9 s. Drawing the page comes on top of both.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deduplab.analysis import Figures, calibrate, rows
from deduplab.analysis.census import census_of
from deduplab.store import Run


def anew(root: Path) -> None:
    """Do as it was done before: proven as a whole, then decoded by each who needs it."""
    run = Run.open(root)
    run.require_proven()
    rows(run)
    list(run.cells())
    calibrate(run)
    census_of(run)


def once(root: Path) -> None:
    run = Run.open(root).read_once()
    found = Figures.of(run)
    run.require_proven()
    assert found.calibration
    assert found.census


def reading_anew(root: Path) -> None:
    """Read alone, without the figures."""
    run = Run.open(root)
    run.require_proven()
    for _ in range(4):
        list(run.cells())


def reading_once(root: Path) -> None:
    run = Run.open(root).read_once()
    list(run.cells())
    run.require_proven()


WAYS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("read, anew", reading_anew),
    ("read, once", reading_once),
    ("read and derived, anew", anew),
    ("read and derived, once", once),
)


def main() -> None:
    root, n = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    taken_s: dict[str, list[float]] = {name: [] for name, _ in WAYS}
    reading_anew(root)  # the page cache has it then
    for _ in range(n):
        for name, way in WAYS:
            begun_s = time.process_time()
            way(root)
            taken_s[name].append(time.process_time() - begun_s)
    print(f"{len(Run.open(root).committed_ids())} cells, n = {n}")
    for name, found in taken_s.items():
        print(f"{name:24} least {min(found):6.2f} s, median {statistics.median(found):6.2f} s")
    print(f"peak of memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
