"""What is fuzzed of the bound: chunkers, scans, and files of sketches.

A target fails by an exception.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from unittest.mock import patch

import msgspec
import numpy as np
from blake3 import blake3

from deduplab.bound import native_scan, tally
from deduplab.bound import table as tables
from deduplab.bound.fingerprints import fingerprints
from deduplab.bound.grains import ALL_GRAINS, GRAINS, WHOLE
from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.sketch import compare, merge
from deduplab.bound.sketch_file import VERSION, from_bytes, to_bytes
from deduplab.errors import StoreError
from tests.unit.bound_memory import MemorySource
from tests.unit.bound_scans import found, scan_by, told

Target = Callable[[bytes], None]
GRAIN_NAMES = ("fixed-4096", "fixed-131072", "cdc-4096", "cdc-8192", "cdc-16384", "cdc-65536")
PREFIX = struct.Struct("<8sIIQ")
NOISE = np.random.default_rng(1).bytes(1 << 19)


def objects_of(data: bytes) -> tuple[list[bytes], list[int]]:
    """Make objects from at least 8 bytes, and where their blocks end."""
    repeats, at, stretch = 1 + data[1] % 64, data[2] << 8, data[3] << 10
    payload = data[8:] * repeats + NOISE[at : at + stretch] + data[8:]
    ends = [
        int.from_bytes(data[i : i + 2]) * (1 + data[7] % 16) for i in range(4, len(data) - 2, 9)
    ]
    cut = data[6] * len(payload) // 256
    objects = [payload[:cut], payload[cut:], payload[:cut]]
    total = sum(map(len, objects))
    return objects, [end for end in ends if end <= total]


def chunkers(data: bytes) -> None:
    """Cut objects that are made from some bytes, at once and in blocks: the same chunks."""
    if len(data) < 8:
        return
    name = GRAIN_NAMES[data[0] % len(GRAIN_NAMES)]
    objects, ends = objects_of(data)
    source = MemorySource(objects, ends)
    # With others, because what is cut at several averages is cut another way.
    grains = (name,) if data[5] % 4 == 0 else (name, "cdc-4096", "cdc-65536")
    table = scan(source, ScanSettings(grains, compress=False)).streams[""].grains[name].table
    expected: dict[tuple[int, int], list[int]] = {}
    for one in objects:
        cuts = GRAINS[name].cut(one)
        assert not cuts or cuts[-1] == len(one), "the chunks do not end where the object does"
        lengths = np.diff([0, *cuts])
        assert (lengths >= 1).all()
        assert (lengths <= GRAINS[name].most_bytes).all()
        pairs = list(pairwise([0, *cuts]))
        marks = fingerprints(memoryview(one), [a for a, _ in pairs], [b for _, b in pairs])
        for mark, length in zip(marks.tolist(), lengths.tolist(), strict=True):
            expected.setdefault(tuple(mark), [length, 0])[1] += 1
    assert {
        (first, second): [length, count]
        for first, second, length, count in zip(
            table.first.tolist(),
            table.second.tolist(),
            table.lengths.tolist(),
            table.counts.tolist(),
            strict=True,
        )
    } == expected


def scans(data: bytes) -> None:
    """Scan objects that are made from some bytes by the part in C and without it: all the same."""
    if len(data) < 8:
        return
    objects, ends = objects_of(data)
    # Many small ones too, so that a sample is halved.
    small = [bytes(data[i : i + 1 + data[i] % 9]) for i in range(len(data))]
    sample = (None, 1.0, 1 / 4)[data[0] % 3]
    asked = ScanSettings(
        GRAIN_NAMES if data[4] % 2 else ALL_GRAINS, sample, compress=data[5] % 2 == 0
    )
    results = []
    with (
        patch.object(native_scan, "MOST_ROWS", 50),
        patch.object(tally, "MOST_ROWS", 50),
        patch.object(tables, "MOST_ROWS", 50),
    ):
        for kind in ("native", "plain"):
            stream = scan_by(kind, asked)
            told(stream, MemorySource([*small, *objects], ends).blocks())
            stream.begin_part()
            results.append(found(told(stream, MemorySource([*objects, *small], ends).blocks())))
    assert results[0] == results[1]


def _valid() -> bytes:
    source = MemorySource([NOISE[:60_000], b"x", NOISE[:9000], b"x"])
    return to_bytes(scan(source, ScanSettings((WHOLE, "fixed-4096", "cdc-4096"))))


VALID = _valid()
VALID_SKETCH = from_bytes(VALID, "the valid one")
HEADER_BYTES = PREFIX.unpack(VALID[: PREFIX.size])[2]


def sketches(data: bytes) -> None:
    """Read bytes as a sketch, as they are, and put into a valid one with a right check sum."""
    attempts = [data]
    if len(data) > 3:
        place = int.from_bytes(data[:2]) % (len(VALID) - 32 - PREFIX.size) + PREFIX.size
        content = bytearray(VALID[:-32])
        if data[2] % 2:
            content[place : place + len(data) - 3] = data[3:]
        else:
            content[place:place] = data[3:]
        header_bytes = HEADER_BYTES
        if place < PREFIX.size + HEADER_BYTES:
            header_bytes += len(content) - len(VALID) + 32
        columns_bytes = len(content) - PREFIX.size - header_bytes
        content[: PREFIX.size] = PREFIX.pack(
            VALID[:8], VERSION, header_bytes, max(0, columns_bytes)
        )
        attempts.append(bytes(content) + blake3(content).digest())
    for attempt in attempts:
        try:
            sketch = from_bytes(attempt, "fuzz")
        except StoreError:
            continue
        msgspec.json.encode(sketch.result())
        msgspec.json.encode(merge([sketch, sketch]).result())
        if sketch.streams.keys() & VALID_SKETCH.streams.keys():
            grains = sketch.streams[""].grains if "" in sketch.streams else {}
            if grains.keys() & set(ALL_GRAINS) & VALID_SKETCH.streams[""].grains.keys():
                compare(sketch, VALID_SKETCH)
        from_bytes(to_bytes(sketch), "written again")


TARGETS: dict[str, Target] = {"chunkers": chunkers, "scans": scans, "sketches": sketches}
