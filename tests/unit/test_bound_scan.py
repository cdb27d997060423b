import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.compression import CompressionSample, Picked
from deduplab.bound.grains import ALL_GRAINS, GRAINS, WHOLE
from deduplab.bound.memory import exact_memory_bytes, sampled_memory_bytes
from deduplab.bound.results import Bin, GrainResult
from deduplab.bound.scan import (
    ScanSettings,
    scan,
    scan_sources,
)
from deduplab.bound.sketch import Sketch
from deduplab.bound.stream import Block, Source
from deduplab.bound.stream_scan import stream_scan
from deduplab.errors import PlanError
from tests.unit.bound_memory import MemorySource, expected

EXACT = ScanSettings(compress=False)


def counted(bins: list[Bin], values: Sequence[int]) -> bool:
    """Tell whether bins say how many of the values lie in each, and leave none out."""
    each = [sum(one.least <= value <= one.greatest for value in values) for one in bins]
    return each == [one.count for one in bins] and sum(each) == len(values)


def check(sketch: Sketch, objects: Sequence[bytes], *, distances: bool = True) -> None:
    result = sketch.result()
    assert result.objects == len(objects)
    assert result.logical_bytes == sum(map(len, objects))
    assert [grain.grain for grain in result.grains] == list(ALL_GRAINS)
    for grain in result.grains:
        check_grain(grain, objects, distances=distances)


def check_grain(grain: GrainResult, objects: Sequence[bytes], *, distances: bool) -> None:
    known = expected(objects, grain.grain)
    assert grain.error is None
    assert grain.logical_bytes == known.logical_bytes
    assert (grain.chunks, grain.unique_chunks) == (known.chunks, len(known.lengths))
    assert grain.unique_bytes == known.unique_bytes
    assert counted(grain.copies, list(known.counts.values()))
    if not known.chunks:
        assert grain.ratio is None
        assert grain.sizes is None
        return
    assert grain.ratio == known.logical_bytes / known.unique_bytes
    lengths = list(known.lengths.values())
    assert grain.sizes is not None
    assert grain.sizes.mean_bytes == pytest.approx(np.mean(lengths))
    assert grain.sizes.cv == pytest.approx(np.std(lengths) / np.mean(lengths))
    assert grain.sizes.percentiles_bytes["p50"] == sorted(lengths)[(len(lengths) - 1) // 2]
    assert counted(grain.sizes.histogram_bytes, lengths)
    if distances:
        assert grain.distances.copies == len(known.gaps)
        assert counted(grain.distances.histogram_bytes, known.gaps)
        if known.gaps:
            median = sorted(known.gaps)[(len(known.gaps) - 1) // 2]
            assert grain.distances.median_bytes == pytest.approx(median, rel=0.04)


POOL = np.random.default_rng(11).bytes(1 << 20)


@st.composite
def objects_of_a_pool(draw: st.DrawFn) -> list[bytes]:
    """Objects that share long stretches, so that chunks at every grain have copies."""
    objects = []
    for _ in range(draw(st.integers(1, 12))):
        length = draw(st.sampled_from([0, 1, 700, 1024, 1025, 4096, 9000, 40_000, 300_000]))
        start = draw(st.sampled_from([0, 1, 4096, 131_072, 400_000]))
        objects.append(POOL[start : start + length] * draw(st.sampled_from([1, 1, 2])))
    return objects


@settings(max_examples=40, deadline=None)
@given(objects_of_a_pool(), st.data())
def test_all_grains_are_those_of_a_dictionary(objects: list[bytes], data: st.DataObject) -> None:
    total = sum(map(len, objects))
    ends = data.draw(st.lists(st.integers(0, total), max_size=8))
    check(scan(MemorySource(objects, ends), EXACT), objects)


@pytest.mark.parametrize("step", [1, 1000, 4096, 65_537, 300_000])
def test_cuts_do_not_depend_on_blocks(step: int) -> None:
    length = 3000 if step == 1 else 700_001
    objects = [POOL[:length], bytes(length), POOL[5:length]]
    ends = range(step, 3 * length, step)
    check(scan(MemorySource(objects, ends), EXACT), objects)


def test_small_objects_become_large_ones() -> None:
    """Grains share one tally at first, and must part with all that it has counted."""
    objects = [POOL[i * 50 : i * 50 + 100] for i in range(300)] * 2
    objects += [POOL[:2000], POOL[:100], POOL[:5000], POOL[:20_000], POOL[:200_000], POOL[:5000]]
    lengths = np.cumsum(list(map(len, objects)))
    check(scan(MemorySource(objects, lengths[::7].tolist()), EXACT), objects)


def test_many_chunks_are_sorted_in_more_than_once() -> None:
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 90_000, 300_000)
    objects = [number.tobytes() for number in numbers]
    ends = list(range(80_000, 8 * len(objects), 80_000))
    grain = scan(MemorySource(objects, ends), ScanSettings((WHOLE,), compress=False)).result()
    check_grain(grain.grains[0], objects, distances=True)


def test_a_selection_of_grains_finds_the_same() -> None:
    objects = [POOL[:300_000], POOL[100:900], POOL[4096:200_000], POOL[100:900]]
    everything = {one.grain: one for one in scan(MemorySource(objects), EXACT).result().grains}
    for name in ALL_GRAINS:
        result = scan(MemorySource(objects), ScanSettings((name,), compress=False)).result()
        assert result.grains == [everything[name]]


def test_nothing_at_all() -> None:
    result = scan(MemorySource([b"", b""]), EXACT).result()
    assert result.objects == 2
    assert [grain.ratio for grain in result.grains] == [None] * 10


@pytest.mark.parametrize("offsets", [[0, 2, 5], [0, 3, 2], [-1, 2]])
def test_a_block_that_contradicts_itself_is_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="within its data"):
        stream_scan(EXACT).add(Block(memoryview(b"four"), np.array(offsets)))


def test_streams_are_scanned_apart() -> None:
    sources = [
        MemorySource([b"aa", b"aa"], stream="name"),
        MemorySource([b"aa", b"bb"], stream="place"),
    ]
    result = scan_sources(sources, ScanSettings((WHOLE,), compress=False)).result()
    assert result.grains == []
    assert (result.objects, result.logical_bytes) == (4, 8)
    ratios = {name: stream.grains[0].ratio for name, stream in result.streams.items()}
    assert ratios == {"name": 2.0, "place": 1.0}


def test_sources_go_on_one_after_another() -> None:
    sources = [MemorySource([POOL[:9000]], name="one"), MemorySource([POOL[:9000]], name="two")]
    told: list[int] = []
    sketch = scan_sources(sources, EXACT, progress=told.append)
    check(sketch, [POOL[:9000], POOL[:9000]])
    assert sketch.result().sources == ["one", "two"]
    assert told == [9000, 9000]


class Versions(Source):
    """An object of 32 MiB, and nine versions of it with 100 bytes inserted at places of their own.

    They come as parts of 4 MiB.
    """

    name, left_out = "versions", []

    def blocks(self) -> Iterator[Block]:
        rng = np.random.default_rng(2)
        original = rng.bytes(32 << 20)
        for version in range(10):
            places = np.sort(rng.integers(0, len(original), 100 if version else 0)).tolist()
            pieces = [original[a:b] for a, b in pairwise([0, *places, None])]
            data = memoryview(b"!".join(pieces))
            for at in range(0, len(data), 4 << 20):
                part = data[at : at + (4 << 20)]
                more = at + len(part) < len(data)
                yield Block(part, np.array([0, len(part)]), continues=more)


def test_ten_versions_with_insertions() -> None:
    grains = (WHOLE, "fixed-4096", "fixed-16384", "cdc-4096", "cdc-16384")
    result = scan(Versions(), ScanSettings(grains, compress=False)).result()
    ratios = {grain.grain: grain.ratio or 0 for grain in result.grains}
    assert ratios[WHOLE] == 1.0
    assert 1.2 < ratios["fixed-4096"] < 1.4
    assert 1.2 < ratios["fixed-16384"] < 1.4
    assert ratios["cdc-4096"] > 8
    assert 5 < ratios["cdc-16384"] < ratios["cdc-4096"]


def test_settings_are_checked() -> None:
    assert ScanSettings(("cdc-4096", WHOLE)).grains == (WHOLE, "cdc-4096")
    assert ScanSettings(sample=1 / 64).halvings == 6
    assert ScanSettings(sample=1.0).halvings == 0
    assert ScanSettings().halvings is None
    with pytest.raises(PlanError, match="did you mean 'cdc-4096'"):
        ScanSettings(("cdc-4097",))
    with pytest.raises(PlanError, match="no grain"):
        ScanSettings(())
    for sample in (0.0, 0.3, 2.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(PlanError, match="power of two"):
            ScanSettings(sample=sample)


def test_compression() -> None:
    rng = np.random.default_rng(3)
    noise = [rng.bytes(4096) for _ in range(20)]
    text = [(f"line {i} " * 600).encode()[:4096] for i in range(20)]
    # Copies of noise only: without deduplication, less of the whole compresses.
    source = MemorySource([*noise, *text, *noise * 4])
    result = scan(source, ScanSettings(("fixed-4096",))).result()
    found = {one.codec: one for one in result.grains[0].compression}
    assert list(found) == ["zstd-1", "zstd-3", "lz4"]
    for one in found.values():
        assert one.complete
        assert (one.sampled_chunks, one.sampled_bytes) == (40, 40 * 4096)
        assert one.relative_standard_error == 0
        assert 1.8 < one.unique_ratio < 2.0
        assert one.all_ratio is not None
        assert 1.1 < one.all_ratio < 1.25


def test_compression_is_sampled_within_its_budget() -> None:
    rng = np.random.default_rng(4)
    blocks = [rng.bytes(1024) + bytes(1024 * int(zeros)) for zeros in rng.integers(1, 7, 6000)]
    exact = sum(map(len, blocks)) / (1024 * len(blocks))
    for hint in (None, sum(map(len, blocks))):
        source = MemorySource(blocks)
        source.total_bytes = lambda hint=hint: hint  # type: ignore[method-assign, misc]
        result = scan(source, ScanSettings((WHOLE,))).result()
        for one in result.grains[0].compression:
            assert not one.complete
            assert 0 < one.sampled_bytes <= 4 << 20
            assert one.relative_standard_error is not None
            assert 0 < one.relative_standard_error < 0.05
            assert one.unique_ratio == pytest.approx(exact, rel=0.1)


def test_what_a_sample_passes_over_does_not_thin_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deduplab.bound.compression.MOST_CHUNKS", 2)
    sample = CompressionSample(thinning=1)

    def add(*marks: int) -> None:
        content = memoryview(b"?")
        sample.add(lambda *_: content, Picked([0] * len(marks), [1] * len(marks), marks))

    add(1, 2, 2**63, 2**64 - 1)
    assert (sample.thinning, set(sample.chunks)) == (1, {1, 2})
    add(2**62, 2)
    assert (sample.thinning, set(sample.chunks)) == (2, {1, 2})
    assert [one.count for one in sample.chunks.values()] == [1, 2]


def test_marks_that_were_made_so_end_in_a_sample_that_takes_no_more() -> None:
    sample = CompressionSample()
    marks = range(3000)
    for part in (marks[:1000], marks[1000:2000], marks[2000:]):
        lengths = [4000] * len(part)
        sample.add(lambda _, length: memoryview(bytes(length)), Picked(lengths, lengths, part))
    assert (sample.thinning, len(sample.chunks)) == (64, 1000)
    assert sample.merged(sample).result(2 * 3000 * 4000)[0].sampled_chunks == 1000


def test_what_compressors_make_of_few_long_objects_is_found_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bytes lie in a few objects among many: those decide, and the error says how far."""
    monkeypatch.setattr("deduplab.bound.compression.MOST_CHUNKS", 60)
    rng = np.random.default_rng(6)
    lengths = (1000 * rng.pareto(1.1, 2000)).astype(int) % 60_000 + 100
    # Long ones compress better. What is kept of a head here is its length.
    compressed = np.maximum(1, lengths * rng.uniform(0.3, 1.0, 2000) ** (1 + lengths / 30_000))
    by_length = dict(zip(lengths.tolist(), compressed.tolist(), strict=True))
    monkeypatch.setattr(
        "deduplab.bound.heads._compressed", lambda head: (by_length[len(head)],) * 3
    )
    true_ratio = lengths.sum() / sum(by_length[length] for length in lengths.tolist())
    zeros = memoryview(bytes(int(lengths.max())))
    held, errors = 0, []
    for _ in range(200):
        sample = CompressionSample()
        marks = rng.integers(0, 2**64, 2000, dtype=np.uint64).tolist()
        sample.add(lambda _, length: zeros[:length], Picked([0] * 2000, lengths.tolist(), marks))
        one = sample.result(int(lengths.sum()))[0]
        assert one.sampled_chunks <= 60
        assert one.relative_standard_error is not None
        errors.append(one.relative_standard_error)
        held += abs(1 / one.unique_ratio - 1 / true_ratio) < 1.96 * errors[-1] / true_ratio
    assert max(errors) < 0.12
    assert held >= 180


def test_what_compressors_make_of_all_chunks_is_told_only_where_the_sample_stands_for_them() -> (
    None
):
    """One block of zeros is most of the data; it is in the sample or not, by chance."""
    zeros, times = bytes(4096), 6000
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        # Their lengths differ, so that the block of zeros has another chance each time.
        length = 4096 - 128 * seed
        noise = [rng.bytes(length) for _ in range(2000)]
        source = MemorySource([*noise, *[zeros[:length]] * times])
        found = scan(source, ScanSettings((WHOLE,))).result().grains[0].compression[0]
        assert found.unique_ratio == pytest.approx(1, rel=0.01)
        assert (found.all_ratio is None) == (found.all_relative_standard_error is None)
        if found.all_ratio is not None and found.all_relative_standard_error is not None:
            # Zeros take next to nothing, so all is to noise what all chunks are to it.
            off = abs(1 / found.all_ratio - 0.25) * found.all_ratio
            assert off < 3 * found.all_relative_standard_error
        ratios.append(found.all_ratio)
    assert None in ratios
    assert len(set(ratios)) > 1


def test_a_complete_sample_stands_for_all_chunks() -> None:
    source = MemorySource(
        [*(POOL[at : at + 4096] for at in range(0, 40_960, 4096)), *[bytes(4096)] * 900]
    )
    found = scan(source, ScanSettings((WHOLE,))).result().grains[0].compression[0]
    assert found.complete
    assert found.all_relative_standard_error == 0
    assert found.all_ratio is not None
    # 910 blocks take what ten of noise do, and some bytes for each of the zeros.
    assert 50 < found.all_ratio < 91


def test_a_long_object_is_compressed_by_its_head() -> None:
    objects = [bytes(200_000) + POOL[:800_000]]
    one, other = (
        scan(MemorySource(objects, ends), ScanSettings((WHOLE,))).result().grains
        for ends in ([], [10, 300_000, 500_000])
    )
    assert one == other
    assert not one[0].compression[0].complete
    assert one[0].compression[0].sampled_bytes == 256 * 1024
    assert one[0].compression[0].unique_ratio == pytest.approx(262_144 / 62_144, rel=0.01)


class Noise(Source):
    """One object of 40 MiB that is never in memory as a whole."""

    name, left_out, length = "noise", [], 40 << 20

    def blocks(self) -> Iterator[Block]:
        rng = np.random.default_rng(6)
        offsets = np.array([0, 1 << 20])
        for at in range(1 << 20, self.length + 1, 1 << 20):
            yield Block(memoryview(rng.bytes(1 << 20)), offsets, continues=at < self.length)


@pytest.mark.parametrize("compress", [False, True])
def test_memory_is_said_beforehand(compress: bool) -> None:
    asked = ScanSettings(("fixed-4096", "cdc-4096"), compress=compress)
    scan(MemorySource([b"x"]), asked).result()  # which imports what it needs
    tracemalloc.start()
    scan(Noise(), asked).result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = exact_memory_bytes(Noise.length, asked)
    # What is not said: two blocks of data, and lists of the cuts in one.
    assert peak < said + (3 << 20)
    assert exact_memory_bytes(Noise.length, asked, object_bytes=100) > 5 * said
    assert sampled_memory_bytes(ScanSettings(sample=1 / 64)) < 64_000_000


def test_every_grain_has_limits() -> None:
    assert all(grain.never_cut_bytes <= grain.most_bytes for grain in GRAINS.values())
    assert Counter(name.partition("-")[0] for name in ALL_GRAINS) == {
        "whole": 1,
        "fixed": 5,
        "cdc": 4,
    }
