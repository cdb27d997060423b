"""How fast each synthetic family is made in memory, next to a copy of the same bytes, in one run.

    python benchmarks/families.py [--rounds 5] [--only NAME]

On one core, in turns: all payloads of a batch of 4 MiB are made into a buffer
that is reused, and the same bytes are copied. For JSON families there is a second
comparison, with ``msgspec`` writing objects that lie ready (so without making up
their values). Medians of the rounds in MB/s (10^6), and the median of the paired
ratios. Aims, a core: random_binary see ``generation.py``; text_document 400 MB/s,
all others 150 MB/s, at 1, 8 and 64 KiB.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.payloads import Payloads
from deduplab.units import KIB, MIB

BATCH_BYTES = 4 * MIB
SIZES_BYTES = (KIB, 8 * KIB, 64 * KIB)
FAMILIES = {
    "random_binary": ("RandomBinary", 0),
    "text_document": ("TextDocument", 400),
    "structured_json": ("StructuredJson", 150),
    "jsonb_documents": ("JsonbDocuments", 150),
    "bank_transactions": ("BankTransactions", 150),
    "text_corpus": ("TextCorpus", 150),
    "numeric_dataset": ("NumericDataset", 150),
    "time_series": ("TimeSeries", 150),
    "uuid_keys": ("UuidKeys", 150),
    "mixed": ("Mixed", 150),
}
COMPRESSIBLE = ("random_binary", "structured_json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=tuple(FAMILIES))
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    heads = f"{'MB/s':>8}{'copy':>9}{'/ copy':>8}{'/ msgspec':>11}{'aim':>6}"
    print(f"{'family':18}{'lengths':>18}{heads}")
    for name in [arguments.only] if arguments.only else FAMILIES:
        for size_bytes in SIZES_BYTES:
            measure(name, size_bytes, SizeSpec(), None, arguments.rounds)
        unlike = SizeSpec("lognormal", 512, 128 * KIB, 1.0)
        measure(name, 8 * KIB, unlike, None, arguments.rounds)
        if name in COMPRESSIBLE:
            measure(name, 8 * KIB, SizeSpec(), 50, arguments.rounds)
    return 0


def measure(name: str, size_bytes: int, sizes: SizeSpec, percent: int | None, rounds: int) -> None:
    class_name, aim = FAMILIES[name]
    module = importlib.import_module(f"deduplab.datasets.synthetic.{name}")
    spec = DatasetSpec(
        name, 1 << 40, size_bytes, 0, "none", sizes=sizes, compressibility_percent=percent
    )
    payloads: Payloads = getattr(module, class_name)(spec)
    ids = np.arange(BATCH_BYTES // size_bytes)
    ends = np.cumsum(payloads.lengths(ids))
    total_bytes = int(ends[-1])
    out, copied = bytearray(total_bytes), bytearray(total_bytes)
    makers: dict[str, Callable[[], object]] = {
        "make": lambda: payloads.write(ids, memoryview(out)),
        "copy": lambda: memoryview(copied).__setitem__(slice(None), memoryview(out)),
    }
    for make in makers.values():
        make()
    if out[:1] == b"{" and name != "mixed":
        starts = [0, *ends[:-1].tolist()]
        ready = [
            msgspec.json.decode(memoryview(out)[start:stop])
            for start, stop in zip(starts, ends.tolist(), strict=True)
        ]
        makers["msgspec"] = lambda: [msgspec.json.encode(one) for one in ready]
    found = [
        {kind: rate(make, total_bytes) for kind, make in makers.items()} for _ in range(rounds)
    ]
    label = f"{size_bytes // KIB} KiB" + (" log-normal" if sizes.kind == "lognormal" else "")
    label += f" {percent} %" if percent is not None else ""
    print(
        f"{name:18}{label:>18}{median(found, 'make'):8.0f}{median(found, 'copy'):9.0f}"
        f"{ratio(found, 'copy'):>8}{ratio(found, 'msgspec'):>11}{aim or '':>6}"
    )


def rate(make: Callable[[], object], total_bytes: int) -> float:
    """Return MB/s of one round."""
    started_ns = time.process_time_ns()
    make()
    return total_bytes * 1000 / (time.process_time_ns() - started_ns)


def median(found: list[dict[str, float]], kind: str) -> float:
    return statistics.median(one[kind] for one in found)


def ratio(found: list[dict[str, float]], kind: str) -> str:
    if kind not in found[0]:
        return ""
    return f"{statistics.median(one['make'] / one[kind] for one in found):.2f}"


if __name__ == "__main__":
    sys.exit(main())
