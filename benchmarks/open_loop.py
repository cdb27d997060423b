"""What keeping a rate costs, and how exactly it is kept: the null system in an open loop.

Prints, for each rate, how late operations began (median, 99th percentile, greatest), and the share
of a core that the client took meanwhile; the null system itself takes 0.1 µs an operation.

    python benchmarks/open_loop.py [--seconds 3] [--spin-us 0,100,200,400]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import opened

from deduplab.bench import pace
from deduplab.bench.open_loop import OpenTiming

RATES = (100, 500, 1_000, 5_000, 20_000, 100_000)
REGION_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--spin-us", default=str(pace.SPIN_NS // 1000))
    arguments = parser.parse_args()
    titles = ("spin", "late p50", "p99", "greatest", "of a core", "n")
    print(f"{'rate':>9}" + "".join(f"{title:>11}" for title in titles))
    for rate in RATES:
        for spin_us in map(int, arguments.spin_us.split(",")):
            pace.SPIN_NS = spin_us * 1000  # type: ignore[misc]
            late_us, share = measured(rate, arguments.seconds)
            p50, p99 = np.percentile(late_us, (50, 99))
            shown = (f"{spin_us} µs", f"{p50:.2f} µs", f"{p99:.1f} µs", f"{late_us.max():.0f} µs")
            cells = (*shown, f"{share:.1%}", f"{len(late_us)}")
            print(f"{rate:>7}/s" + "".join(f"{cell:>11}" for cell in cells))


def measured(
    rate: int, seconds: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Return how late each operation began, in µs, and the client's share of a core."""
    timing = OpenTiming(pace=pace.Pace(rate, "constant", 0))
    with tempfile.TemporaryDirectory() as directory:
        adapter = opened(Path(directory))
        keys = [f"o{number:08d}" for number in range(max(10, round(rate * REGION_S)))]
        payloads = [b""] * len(keys)
        cpu_ns = time.thread_time_ns()
        for _ in range(max(1, round(seconds / REGION_S))):
            timing.each_put(adapter.put, keys, payloads)
        cpu_ns = time.thread_time_ns() - cpu_ns
    latency_ns, service_ns = timing.raw_ns()
    return (latency_ns - service_ns) / 1000, cpu_ns / timing.duration_ns


if __name__ == "__main__":
    main()
