"""Cuts that are remembered: the answer is that of cutting again, and copies are not cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.gear import CutObjects, Piece, Places
from deduplab.bound.grains import Grain
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, Cuts, KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sources.buffer import BlockBuffer
from deduplab.bound.stream import Block
from deduplab.bound.stream_scan import stream_scan

EXACT = ScanSettings(compress=False)


def blocks(objects: list[bytes], capacity_bytes: int) -> Iterator[Block]:
    buffer = BlockBuffer(capacity_bytes=capacity_bytes)
    for content in objects:
        yield from buffer.write(content)
        buffer.close_object()
    yield from buffer.hand_out()


def counted(objects: list[bytes], known: KnownCuts, capacity_bytes: int) -> dict[str, object]:
    stream = stream_scan(EXACT, known=known)
    for block in blocks(objects, capacity_bytes):
        stream.add(block)
    return {
        name: (tally.chunks, tally.logical_bytes, tally.table.first.tolist(),
               tally.table.lengths.tolist(), tally.table.counts.tolist(),
               tally.distances.counts.tolist())
        for name, tally in stream.finish().items()
    }  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lengths=st.lists(st.integers(0, 200_000), min_size=1, max_size=4),
    order=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    capacity_bytes=st.sampled_from([1_000, 30_000, 70_000, 1 << 20]),
    most_bytes=st.sampled_from([2_000, 20_000, 1 << 24]),
    least_bytes=st.sampled_from([1_000, LEAST_KNOWN_LENGTH_BYTES]),
)
def test_the_answer_is_that_of_cutting_again(
    seed: int,
    lengths: list[int],
    order: list[int],
    capacity_bytes: int,
    most_bytes: int,
    least_bytes: int,
) -> None:
    source = random.Random(seed)
    distinct = [source.randbytes(length) for length in lengths]
    # Objects that begin alike and differ behind are what a wrong key would confuse.
    distinct += [content[: len(content) // 2] + b"other" for content in distinct]
    objects = [distinct[place % len(distinct)] for place in order]
    forgetful = counted(objects, KnownCuts(0), capacity_bytes)
    with patch("deduplab.bound.cutting.LEAST_KNOWN_LENGTH_BYTES", least_bytes):
        assert counted(objects, KnownCuts(most_bytes), capacity_bytes) == forgetful


@pytest.mark.parametrize(
    ("length_bytes", "capacity_bytes"), [(150_000, 1 << 20), (400_000, 100_000)]
)
def test_a_copy_is_not_cut(
    length_bytes: int, capacity_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_bytes: list[int] = []
    cut = Piece.cut

    def counting(
        self: Piece, grain: Grain, begins: Places, sizes: Places, digests: bytes = b""
    ) -> CutObjects:
        cut_bytes.append(int(sizes[sizes > grain.never_cut_bytes].sum()))
        return cut(self, grain, begins, sizes, digests)

    monkeypatch.setattr(Piece, "cut", counting)
    payload = random.Random(1).randbytes(length_bytes)
    once = stream_scan(ScanSettings(("cdc-4096",), compress=False))
    for block in blocks([payload], capacity_bytes):
        once.add(block)
    cut_once_bytes = sum(cut_bytes)
    assert cut_once_bytes >= length_bytes - 16_384
    cut_bytes.clear()
    often = stream_scan(ScanSettings(("cdc-4096",), compress=False))
    # Small objects between them, so that each copy lies elsewhere in its block.
    for block in blocks([payload, b"a", payload, b"b" * 70_000, b"c", payload], capacity_bytes):
        often.add(block)
    assert sum(cut_bytes) == cut_once_bytes + 70_000


def test_the_oldest_are_forgotten() -> None:
    chunk = Cuts(np.array([7], dtype=np.int64).tobytes(), bytes(16))
    known = KnownCuts(1_000)
    for key in (b"a", b"b", b"c"):
        known.put(key, chunk)
    assert known.get(b"a") is None
    assert known.get(b"b") == chunk
    assert known.get(b"c") == chunk
    KnownCuts(0).put(b"a", chunk)
