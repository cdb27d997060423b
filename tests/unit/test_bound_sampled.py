from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from deduplab.bound.chunks import Chunks
from deduplab.bound.grains import WHOLE
from deduplab.bound.limits import MOST_ROWS
from deduplab.bound.results import GrainResult
from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.sketch import merge
from deduplab.bound.stream import Block, Source
from deduplab.bound.tally import Tally
from tests.unit.bound_memory import MemorySource
from tests.unit.bound_scans import KINDS, compiled, found, scan_by, told

NONE = memoryview(b"")


def told_at_random(
    rng: np.random.Generator, unique: int, sizes: npt.NDArray[np.int64], halvings: int
) -> tuple[Tally, int]:
    """Return a tally that was told of chunks with random fingerprints, some of them often."""
    marks = rng.integers(0, 2**64, size=(unique, 2), dtype=np.uint64)
    rows = np.concatenate([np.arange(unique), rng.integers(0, unique, unique)])
    tally = Tally(halvings, None)
    for part in np.array_split(rows, 5):
        tally.add(Chunks.tiling(NONE, sizes[part], marks[part]))
    tally.settle()
    return tally, int(sizes.sum())


@pytest.mark.parametrize(
    ("unique", "halvings", "spread"),
    [(3000, 4, 0.0), (3000, 4, 1.0), (20_000, 6, 0.5), (2000, 1, 0.5), (600, 6, 0.5)],
)
def test_intervals_hold_their_confidence(unique: int, halvings: int, spread: float) -> None:
    """Of 200 intervals of 95 %, 180 or more hold: with a sound one fewer come once in 700 times.

    The last case has 9 chunks in the sample, where the normal approximation fails.
    """
    rng = np.random.default_rng([unique, halvings, int(10 * spread)])
    held, errors, said = 0, [], []
    for _ in range(200):
        sizes = (4096 * rng.lognormal(0, spread, unique)).astype(np.int64) + 1
        tally, true_bytes = told_at_random(rng, unique, sizes, halvings)
        grain = summarized(tally)
        assert grain.error is not None
        least, greatest = grain.error.unique_bytes_interval
        held += least <= true_bytes <= greatest
        errors.append(grain.unique_bytes / true_bytes - 1)
        said.append(grain.error.relative_standard_error or 1.0)
    assert held >= 180
    # The error that is printed is the one that is made, and on average there is none.
    assert np.std(errors) == pytest.approx(np.mean(said), rel=0.2)
    assert abs(np.mean(errors)) < 3 * np.mean(said) / np.sqrt(200)


def summarized(tally: Tally) -> GrainResult:
    from deduplab.bound.sketch import GrainSketch
    from deduplab.bound.summary import summarize

    return summarize(WHOLE, GrainSketch.of(tally))


def test_the_error_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(1000, 9000, 5000)
    grain = summarized(told_at_random(rng, 5000, sizes, 3)[0])
    assert grain.error is not None
    assert grain.sizes is not None
    p, unique, cv = 1 / 8, 8 * grain.error.sampled_chunks, grain.sizes.cv
    formula = np.sqrt((1 - p) / (p * unique) * (1 + cv**2))
    assert grain.error.p == p
    assert grain.error.relative_standard_error == pytest.approx(formula)


def test_a_sample_of_a_64th_is_close_at_a_hundred_thousand_chunks() -> None:
    rng = np.random.default_rng(64)
    errors = []
    for _ in range(15):
        sizes = rng.integers(2048, 20_000, 100_000)
        tally, true_bytes = told_at_random(rng, 100_000, sizes, 6)
        errors.append(abs(summarized(tally).unique_bytes / true_bytes - 1))
    assert np.median(errors) < 0.03


def test_the_state_is_bounded_and_the_estimate_sound() -> None:
    rng = np.random.default_rng(7)
    tally = Tally(0, None)
    for _ in range(20):
        marks = rng.integers(0, 2**64, size=(50_000, 2), dtype=np.uint64)
        tally.add(Chunks.tiling(NONE, np.full(50_000, 100), marks))
        assert len(tally.rows) <= MOST_ROWS
        assert tally._waiting.nbytes + 40 * len(tally.rows) < 2 << 20
    tally.settle()
    grain = summarized(tally)
    assert tally.halvings is not None
    assert 2**-tally.halvings * 1_000_000 <= MOST_ROWS
    assert grain.unique_bytes == pytest.approx(100_000_000, rel=0.03)
    assert grain.chunks == 1_000_000
    assert grain.logical_bytes == 100_000_000


def test_a_sample_of_everything_is_exact() -> None:
    objects = [bytes([i % 7]) * 2000 for i in range(50)]
    exact = scan(MemorySource(objects), ScanSettings(compress=False)).result()
    sampled = scan(MemorySource(objects), ScanSettings(sample=1.0, compress=False)).result()
    assert sampled.sampled
    assert not exact.sampled
    for one, two in zip(exact.grains, sampled.grains, strict=True):
        assert two.error is not None
        assert two.error.relative_standard_error == 0
        assert two.error.unique_bytes_interval == (one.unique_bytes, one.unique_bytes)
        assert (one.unique_bytes, one.copies, one.distances, one.sizes) == (
            two.unique_bytes,
            two.copies,
            two.distances,
            two.sizes,
        )


def test_an_empty_sample_claims_nothing() -> None:
    result = scan(MemorySource([b"x" * 100]), ScanSettings((WHOLE,), sample=2.0**-40)).result()
    error = result.grains[0].error
    assert error is not None
    assert error.sampled_chunks == 0
    assert error.relative_standard_error is None
    assert error.unique_bytes_interval == (0, 100)
    assert error.ratio_interval == (1.0, None)
    assert result.grains[0].ratio is None


class Copies(Source):
    """Twice 4 MiB of objects of 64 bytes."""

    name, left_out = "copies", []

    def blocks(self) -> Iterator[Block]:
        data = memoryview(np.random.default_rng(3).bytes(4 << 20))
        offsets = np.arange(0, len(data) + 1, 64)
        yield Block(data, offsets)
        yield Block(data, offsets)


def test_copies_and_distances_are_estimated() -> None:
    settings = ScanSettings((WHOLE,), sample=1 / 16, compress=False)
    grain = scan(Copies(), settings).result().grains[0]
    assert grain.ratio == pytest.approx(2, rel=0.05)
    assert [(one.least, one.greatest) for one in grain.copies] == [(2, 2)]
    assert grain.copies[0].count == pytest.approx(65_536, rel=0.05)
    assert grain.distances.copies == pytest.approx(65_536, rel=0.05)
    assert grain.distances.median_bytes == pytest.approx((4 << 20) - 64, rel=0.04)


def test_merged_samples_are_that_of_all() -> None:
    rng = np.random.default_rng(9)
    objects = [number.tobytes() for number in rng.integers(0, 60_000, 120_000)]
    settings = ScanSettings((WHOLE, "fixed-4096"), sample=1.0)
    whole = scan(MemorySource(objects), settings)
    parts = [scan(one, settings) for one in MemorySource(objects).shards(5)]
    merged = merge(parts)
    one, other = whole.result().grains[0], merged.result().grains[0]
    assert one.error is not None
    assert one.error.p == 0.25
    assert (one.error, one.unique_bytes, one.copies, one.sizes, one.compression) == (
        other.error,
        other.unique_bytes,
        other.copies,
        other.sizes,
        other.compression,
    )


def passing_the_limit(kind: str, objects: list[bytes], ends: list[int]) -> dict[str, object]:
    """Return what a scan finds of objects that begin again in the middle, in a part of its own."""
    scan = scan_by(kind, ScanSettings((WHOLE, "cdc-4096"), sample=1.0, compress=False))
    half = len(objects) // 2
    told(scan, MemorySource(objects[:half], ends).blocks())
    scan.begin_part()
    return dict(found(told(scan, MemorySource(objects[half:], ends).blocks())))


def many_objects() -> list[bytes]:
    """Return some 240,000, a third of them copies, and between them some that are cut."""
    rng = np.random.default_rng(12)
    objects = [number.tobytes() for number in rng.integers(0, 160_000, 240_000)]
    for place in range(0, 240_000, 6_000):
        objects[place] = rng.bytes(30_000)
    return objects


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_that_is_halved_again_does_not_depend_on_blocks(kind: str) -> None:
    objects = many_objects()
    length = sum(map(len, objects))
    # One block has it all in one case; in others objects go on in the next one.
    results = [
        passing_the_limit(kind, objects, list(range(step, length, step)))
        for step in (length, 700_001, 9_001)
    ]
    assert results[1:] == results[:1] * 2
    halvings = [results[0][name]["halvings"] for name in (WHOLE, "cdc-4096")]  # type: ignore[index]
    assert halvings == [3, 3]
    assert sum(results[0][WHOLE]["distances"]) > 0  # type: ignore[index]


@compiled
def test_a_sample_that_is_halved_again_is_the_same_in_c() -> None:
    objects = many_objects()
    ends = list(range(0, sum(map(len, objects)), 300_007))
    one, other = (passing_the_limit(kind, objects, ends) for kind in ("native", "plain"))
    assert one == other


@compiled
@pytest.mark.parametrize("most_rows", [1, 7, 100])
@pytest.mark.parametrize("sample", [1.0, 1 / 4])
def test_a_small_limit_is_passed_at_the_same_chunks(
    most_rows: int, sample: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("native_scan", "tally", "table"):
        monkeypatch.setattr(f"deduplab.bound.{module}.MOST_ROWS", most_rows)
    rng = np.random.default_rng(most_rows)
    noise = [rng.bytes(int(length)) for length in rng.integers(1, 40_000, 60)]
    objects = [noise[int(place)] for place in rng.integers(0, 60, 200)]
    asked = ScanSettings(sample=sample, compress=False)
    results = []
    for kind in ("native", "plain"):
        for step in (5_003, 90_001):
            ends = list(range(step, sum(map(len, objects)), step))
            results.append(found(told(scan_by(kind, asked), MemorySource(objects, ends).blocks())))
    assert results[1:] == results[:1] * 3
