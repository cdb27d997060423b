"""Cuts that are remembered: the answer is that of cutting again, and copies are not cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound import cutting, native_scan
from deduplab.bound.grains import Grain
from deduplab.bound.known import LEAST_KNOWN_LENGTH_BYTES, KnownCuts
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sources.buffer import BlockBuffer
from deduplab.bound.stream import Block
from tests.unit.bound_scans import KINDS, compiled, found, found_native, scan_by, told

EXACT = ScanSettings(compress=False)


def blocks(objects: list[bytes], capacity_bytes: int) -> Iterator[Block]:
    buffer = BlockBuffer(capacity_bytes=capacity_bytes)
    for content in objects:
        yield from buffer.write(content)
        buffer.close_object()
    yield from buffer.hand_out()


def counted(
    kind: str, objects: list[bytes], known: KnownCuts[Any], capacity_bytes: int
) -> dict[str, dict[str, object]]:
    return found(told(scan_by(kind, EXACT, known=known), blocks(objects, capacity_bytes)))


@pytest.mark.parametrize("kind", KINDS)
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
    kind: str,
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
    forgetful = counted(kind, objects, KnownCuts(0), capacity_bytes)
    with (
        patch.object(cutting, "LEAST_KNOWN_LENGTH_BYTES", least_bytes),
        patch.object(native_scan, "LEAST_KNOWN_LENGTH_BYTES", least_bytes),
    ):
        known: KnownCuts[Any] = KnownCuts(most_bytes)
        assert counted(kind, objects, known, capacity_bytes) == forgetful
        # Another stream that shares what is remembered, whose parts end elsewhere.
        for capacity in (capacity_bytes, 50_000):
            assert counted(kind, objects, known, capacity) == counted(
                kind, objects, KnownCuts(0), capacity
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_object_that_ends_where_another_goes_on(kind: str, order: tuple[int, int]) -> None:
    """Their parts are the same so far, but what the one leaves at its end is the other's."""
    payload = random.Random(2).randbytes(250_000)
    both = [payload[:200_000], payload]
    objects = [both[place] for place in order]
    forgetful = counted(kind, objects, KnownCuts(0), 100_000)
    assert counted(kind, objects, KnownCuts(1 << 24), 100_000) == forgetful


def watched_in_c(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return where the lengths are noted of what is cut to be remembered."""
    library, cut_bytes = found_native(), list[int]()
    cut = library.scan_cut

    def counting(scan: int, data: int, length_bytes: int, is_part: bool, final: bool) -> Any:
        cut_bytes.append(length_bytes)
        return cut(scan, data, length_bytes, is_part, final)

    monkeypatch.setattr(library, "scan_cut", counting)
    return cut_bytes


def watched_in_python(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return where the lengths are noted of all that is cut."""
    cut, cut_bytes = Grain.cut, list[int]()

    def counting(self: Grain, payload: bytes | memoryview) -> list[int]:
        cut_bytes.append(len(payload))
        return cut(self, payload)

    monkeypatch.setattr(Grain, "cut", counting)
    return cut_bytes


# Of all that is cut at one grain in Python, the object of 70,000 bytes is cut too.
WATCHED = [
    pytest.param("native", watched_in_c, 0, marks=compiled),
    ("plain", watched_in_python, 70_000),
]


@pytest.mark.parametrize(("kind", "watched", "others_bytes"), WATCHED)
@pytest.mark.parametrize(
    ("length_bytes", "capacity_bytes"), [(150_000, 1 << 20), (400_000, 100_000)]
)
def test_a_copy_is_not_cut(
    kind: str,
    watched: Callable[[pytest.MonkeyPatch], list[int]],
    others_bytes: int,
    length_bytes: int,
    capacity_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_bytes = watched(monkeypatch)
    payload = random.Random(1).randbytes(length_bytes)
    asked, known = ScanSettings(("cdc-4096",), compress=False), KnownCuts[Any](1 << 24)
    told(scan_by(kind, asked), blocks([payload], capacity_bytes))
    cut_once_bytes = sum(cut_bytes)
    assert length_bytes - 16_384 <= cut_once_bytes <= length_bytes
    cut_bytes.clear()
    # Small objects between them, so that each copy lies elsewhere in its block.
    objects = [payload, b"a", payload, b"b" * 70_000, b"c", payload]
    told(scan_by(kind, asked, known=known), blocks(objects, capacity_bytes))
    assert sum(cut_bytes) == cut_once_bytes + others_bytes
    cut_bytes.clear()
    told(scan_by(kind, asked, known=known), blocks([b"d", payload], capacity_bytes))
    assert sum(cut_bytes) == 0


@pytest.mark.parametrize(("kind", "watched", "others_bytes"), WATCHED)
def test_an_object_is_remembered_from_the_least_length_on(
    kind: str,
    watched: Callable[[pytest.MonkeyPatch], list[int]],
    others_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_bytes = watched(monkeypatch)
    for length, remembered in ((LEAST_KNOWN_LENGTH_BYTES - 1, 0), (LEAST_KNOWN_LENGTH_BYTES, 1)):
        cut_bytes.clear()
        known: KnownCuts[Any] = KnownCuts(1 << 24)
        scan = scan_by(kind, ScanSettings(("cdc-4096",), compress=False), known=known)
        told(scan, blocks([random.Random(1).randbytes(length)] * 2, 1 << 20))
        # In C, what is shorter is cut by the call that cuts many at once.
        again = 2 - remembered if others_bytes else remembered
        assert cut_bytes == [length] * again
        assert len(known._cuts) == remembered


def test_the_oldest_are_forgotten() -> None:
    known: KnownCuts[bytes] = KnownCuts(900)
    for key in (b"a", b"b", b"c"):
        known.put(key, key * 2, 24)
    assert known.get(b"a") is None
    assert known.get(b"b") == b"bb"
    assert known.get(b"c") == b"cc"
    assert known.get(b"d") is None
    # One that is longer pushes out more than one, and one that is too long is not kept.
    known.put(b"d", b"long", 400)
    assert [known.get(key) for key in (b"b", b"c", b"d")] == [None, None, b"long"]
    known.put(b"e", b"longer", 1000)
    assert [known.get(key) for key in (b"d", b"e")] == [None, None]
    nothing: KnownCuts[bytes] = KnownCuts(0)
    nothing.put(b"a", b"a", 1)
    assert nothing.get(b"a") is None
