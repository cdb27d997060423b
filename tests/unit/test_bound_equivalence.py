"""Two ways of scanning, by the part in C and by numpy, find the same, whatever is scanned."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from deduplab.bound import compression, cutting, native_scan, table, tally
from deduplab.bound.chunks import marks_of
from deduplab.bound.grains import ALL_GRAINS, WHOLE
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, KnownCuts
from deduplab.bound.limits import MOST_ROWS
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream import Block
from tests.unit.bound_memory import MemorySource, as_block
from tests.unit.bound_scans import compiled, found, scan_by

pytestmark = compiled

POOL = random.Random(21).randbytes(400_000)
TEXT = b"".join(b"line %d of a text that compresses\n" % (line % 999) for line in range(12_000))
USUAL_LENGTHS = [0, 1, 100, 1024, 1025, 4096, 4097, 16_384, 65_536, 131_072, 131_073, 262_145]
LENGTHS = st.sampled_from(USUAL_LENGTHS) | st.integers(0, 400_000) | st.integers(0, 3_000)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Return an object: noise, text or zeros, a copy of another, or nearly one."""
    length = draw(LENGTHS)
    kind = draw(st.sampled_from(["noise", "text", "zeros", "near copy", "two halves"]))
    begin = draw(st.sampled_from([0, 0, 1, 4096, 100_000]))
    noise = POOL[begin : begin + length]
    if kind == "text":
        return TEXT[begin : begin + length]
    if kind == "zeros":
        return bytes(length)
    if kind == "near copy":
        place = draw(st.integers(0, length))
        return noise[:place] + b"inserted" + noise[place:]
    if kind == "two halves":
        return noise[: length // 2] + TEXT[: length // 2]
    return noise


@st.composite
def objects_with_copies(draw: st.DrawFn) -> list[bytes]:
    distinct = draw(st.lists(contents(), min_size=1, max_size=5))
    order = draw(st.lists(st.integers(0, len(distinct) - 1), max_size=9))
    return distinct + [distinct[place] for place in order]


@st.composite
def parts_of_a_stream(draw: st.DrawFn) -> list[tuple[list[bytes], list[int]]]:
    """Return objects of each part, and where its blocks end."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        objects = draw(objects_with_copies())
        total = sum(map(len, objects))
        ends = draw(st.lists(st.integers(0, total), max_size=8))
        step = draw(st.sampled_from([0, 0, 10_007, 262_144]))
        parts.append((objects, sorted(ends + (list(range(step, total, step)) if step else []))))
    return parts


def writable(block: Block) -> Block:
    """Return a block in memory that may be written to, as most sources hand out."""
    return Block(memoryview(bytearray(block.data)), block.offsets, block.continues, block.stream)


def blocks_of(objects: list[bytes], ends: list[int]) -> Iterator[Block]:
    for number, block in enumerate(MemorySource(objects, ends).blocks()):
        yield writable(block) if number % 2 else block


ASKED = st.builds(
    ScanSettings,
    st.just(ALL_GRAINS)
    | st.lists(st.sampled_from(ALL_GRAINS), min_size=1, max_size=4, unique=True).map(tuple),
    sample=st.sampled_from([None, None, 1.0, 1 / 2, 1 / 16]),
    compress=st.booleans(),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=parts_of_a_stream(),
    asked=ASKED,
    known_bytes=st.sampled_from([0, 3_000, 1 << 24]),
    least_known=st.sampled_from([2_000, LEAST_KNOWN_LENGTH_BYTES]),
    most_rows=st.sampled_from([5, 60, MOST_ROWS]),
    most_compressed=st.sampled_from([3, 40, compression.MOST_CHUNKS]),
    left_open=st.booleans(),
)
def test_a_stream_is_scanned_alike(
    parts: list[tuple[list[bytes], list[int]]],
    asked: ScanSettings,
    known_bytes: int,
    least_known: int,
    most_rows: int,
    most_compressed: int,
    left_open: bool,
) -> None:
    results = []
    with ExitStack() as patched:
        for module in (native_scan, tally, table):
            patched.enter_context(patch.object(module, "MOST_ROWS", most_rows))
        for module in (native_scan, cutting):
            patched.enter_context(patch.object(module, "LEAST_KNOWN_LENGTH_BYTES", least_known))
        patched.enter_context(patch.object(compression, "MOST_CHUNKS", most_compressed))
        for kind in ("native", "plain"):
            known: KnownCuts[Any] = KnownCuts(known_bytes)
            scan = scan_by(kind, asked, known)
            for number, (objects, ends) in enumerate(parts):
                if number:
                    scan.begin_part()
                for block in blocks_of(objects, ends):
                    scan.add(block)
                if left_open:
                    # An object that its source did not end: the next part, or the scan, does.
                    scan.add(as_block([b"short", objects[0]], continues=True))
                    if number == 1:
                        scan.end_object()
            results.append(found(scan))
    assert results[0] == results[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(st.tuples(objects_with_copies(), st.integers(0, 3)), min_size=1, max_size=3),
    asked=ASKED,
)
def test_whole_objects_that_lie_apart_are_scanned_alike(
    calls: list[tuple[list[bytes], int]], asked: ScanSettings
) -> None:
    results = []
    for kind in ("native", "plain"):
        scan = scan_by(kind, asked)
        for contents, gap in calls:
            objects = [content for content in contents if content]
            data = memoryview(b"".join(b"?" * gap + content for content in objects))
            lengths = np.array([len(content) for content in objects], dtype=np.int64)
            starts = np.cumsum(lengths + gap) - lengths
            marks = marks_of(b"".join(xxh3_128_digest(content) for content in objects))
            scan.add_whole(data, starts, lengths, marks)
            # Between them a block, whose objects may be copies.
            scan.add(as_block(contents[:2], continues=False))
        results.append(found(scan))
    assert results[0] == results[1]


def test_small_objects_become_large_ones_alike() -> None:
    """Grains part from the tally of whole objects one after another, in each order of lengths."""
    small = [POOL[place * 50 : place * 50 + 100] for place in range(300)] * 2
    steps = [2_000, 5_000, 20_000, 70_000, 200_000]
    for lengths in (steps, steps[::-1]):
        objects = [one for length in lengths for one in (*small[::40], POOL[:length], *small[:9])]
        ends = np.cumsum([len(one) for one in objects]).tolist()
        for asked in (ScanSettings(), ScanSettings(tuple(ALL_GRAINS[1:]), sample=1 / 2)):
            for step in (1, 3, len(objects)):
                one, other = (
                    found(scanned(kind, asked, objects, ends[::step]))
                    for kind in ("native", "plain")
                )
                assert one == other


def scanned(kind: str, asked: ScanSettings, objects: list[bytes], ends: list[int]) -> Any:
    scan = scan_by(kind, asked)
    for block in MemorySource(objects, ends).blocks():
        scan.add(block)
    return scan


def test_grains_that_no_object_was_cut_at_share_a_tally_in_c() -> None:
    asked = ScanSettings((WHOLE, "fixed-4096", "cdc-4096", "cdc-65536"))
    tallies = scanned("native", asked, [POOL[:3000], POOL[:3000]], []).finish()
    assert tallies[WHOLE] is tallies["fixed-4096"] is tallies["cdc-65536"]
    assert tallies["cdc-4096"] is not tallies[WHOLE]
