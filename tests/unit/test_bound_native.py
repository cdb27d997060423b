"""The compiled part: the same cuts and digests as without it, whatever the data; and its build."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from deduplab.bound import native
from deduplab.bound.chunkers import cut_points
from deduplab.bound.chunks import Objects, marks_of
from deduplab.bound.grains import GRAINS, Grain
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.plain_scan import PlainScan
from deduplab.bound.scan import ScanSettings
from deduplab.bound.stream_scan import cutter_name, stream_scan
from tests.unit.bound_memory import MemorySource
from tests.unit.bound_scans import (
    KINDS,
    ChunksInC,
    ScanInC,
    compiled,
    found,
    found_native,
    scan_by,
    told,
)
from tests.unit.test_bound_chunkers import GEAR, KNOWN_CUTS, noise

ROOT = Path(__file__).parents[2]
AVERAGES = [1 << bits for bits in range(12, 23)]
COMMON = 0xD90003530000
"""The bits that all masks have: a place is marked where they are 0."""


def content_defined(average: int) -> Grain:
    return Grain(f"cdc-{average}", average, content_defined=True)


def lengths_in_c(data: memoryview, average: int) -> list[int]:
    with ScanInC(content_defined(average)) as scan:
        return scan.cut(data).lengths


def expected_lengths(data: memoryview, average: int) -> list[int]:
    return np.diff(cut_points(data, average), prepend=0).tolist()


def expected_chunks(
    data: memoryview, grain: Grain, begins: list[int], ends: list[int]
) -> tuple[ChunksInC, list[int]]:
    """Cut and hash each object by itself; return also how many chunks each has."""
    lengths, digests, counts = [], [], []
    for begin, end in zip(begins, ends, strict=True):
        cuts = grain.cut(data[begin:end])
        counts.append(len(cuts))
        for a, b in pairwise([0, *cuts]):
            lengths.append(b - a)
            digests.append(xxh3_128_digest(data[begin + a : begin + b]))
    return ChunksInC(lengths, digests), counts


def digests_of(data: memoryview, begins: list[int], ends: list[int]) -> bytes:
    pairs = zip(begins, ends, strict=True)
    return b"".join(xxh3_128_digest(data[begin:end]) for begin, end in pairs)


def marked_in_each_period() -> bytes:
    """Return a period of 20 bytes that has a mark, so data that repeats it has too many."""
    source = random.Random(1)
    while True:
        period = source.randbytes(20)
        hashed = 0
        for byte in period * 4:
            hashed = (2 * hashed + GEAR[byte]) % 2**64
        if hashed & COMMON == 0:
            return period


MARKED = marked_in_each_period()


def stretch(source: random.Random, kind: str, length: int) -> bytes:
    if kind == "noise":
        return source.randbytes(length)
    if kind == "text":
        return bytes(source.choices(b"some text, \n", k=length))
    period = {
        "zeros": b"\0",
        "one byte": source.randbytes(1),
        "period": source.randbytes(source.randint(2, 200)),
        "marks": MARKED,
    }[kind]
    return (period * (length // len(period) + 1))[:length]


PLACES = st.lists(st.integers(0, 480_000), max_size=12)


@compiled
@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kinds=st.lists(
        st.sampled_from(["noise", "zeros", "one byte", "period", "text", "marks"]),
        min_size=1,
        max_size=4,
    ),
    lengths=st.lists(st.integers(1, 120_000), min_size=4, max_size=4),
    places=PLACES,
    grain=st.sampled_from([*map(content_defined, AVERAGES), *GRAINS.values()]),
    apart=st.booleans(),
    known=st.booleans(),
)
def test_objects_are_cut_like_each_by_itself(
    seed: int,
    kinds: list[str],
    lengths: list[int],
    places: list[int],
    grain: Grain,
    apart: bool,
    known: bool,
) -> None:
    source = random.Random(seed)
    pairs = zip(kinds, lengths, strict=False)
    data = memoryview(b"".join(stretch(source, kind, length) for kind, length in pairs))
    # Some are empty, as two places may be the same.
    bounds = sorted(min(place, len(data)) for place in places)
    begins, ends = bounds[:-1], bounds[1:]
    if apart:
        begins, ends = begins[::2], ends[::2]
    if known:
        filled = [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin < end]
        begins, ends = [begin for begin, _ in filled], [end for _, end in filled]
    digests = digests_of(data, begins, ends) if known else None
    with ScanInC(grain) as scan:
        chunks = scan.cut_objects(data, begins, ends, digests) if begins else ChunksInC([], [])
    assert chunks == expected_chunks(data, grain, begins, ends)[0]


@pytest.mark.parametrize("grain", GRAINS)
def test_objects_are_cut_like_each_by_itself_without_the_library(grain: str) -> None:
    data, bounds = memoryview(noise(300_000)), [3, 4, 3000, 9000, 9001, 250_000, 300_000]
    begins, ends = bounds[:-1], bounds[1:]
    starts, lengths = np.array(begins), np.diff(bounds)
    objects = Objects(data, starts, lengths, marks_of(digests_of(data, begins, ends)))
    cut = objects.cut(GRAINS[grain], 0, len(begins))
    chunks, counts = expected_chunks(data, GRAINS[grain], begins, ends)
    assert (cut.lengths.tolist(), cut.digests) == (chunks.lengths, b"".join(chunks.digests))
    assert cut.counts.tolist() == counts
    some = objects.cut(GRAINS[grain], 2, 4)
    assert some.counts.tolist() == counts[2:4]
    assert some.lengths.sum() == bounds[4] - bounds[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_digest_is_not_found_again(kind: str) -> None:
    data = memoryview(noise(9000))
    marks = marks_of(b"a" * 16 + b"b" * 16)
    scan = scan_by(kind, ScanSettings(("fixed-4096",), compress=False))
    scan.add_whole(data, np.array([0, 100]), np.array([100, 8900]), marks)
    table = scan.finish()["fixed-4096"].rows.table()
    digests = {
        first.tobytes() + second.tobytes()
        for first, second in zip(table.first, table.second, strict=True)
    }
    cuts = pairwise([100, 4196, 8292, 9000])
    assert digests == {b"a" * 16, *(xxh3_128_digest(data[a:b]) for a, b in cuts)}


@compiled
def test_digests_of_every_length_are_those_of_xxhash() -> None:
    # XXH3 tells apart up to 16, 128, 240 bytes and longer, and works in blocks of 1024.
    lengths = [*range(1, 1100), 2048, 2049, 4095, 4096, 4097]
    ends = np.cumsum(lengths).tolist()
    begins = [0, *ends[:-1]]
    data = memoryview(noise(ends[-1]))
    with ScanInC(None) as scan:
        assert scan.hash_objects(data, begins, ends).lengths == lengths
        assert b"".join(scan.hash_objects(data, begins, ends).digests) == digests_of(
            data, begins, ends
        )
    library = found_native()
    for begin, end in zip(begins, ends, strict=True):
        assert library.hash_of(bytes(data[begin:end])) == xxh3_128_digest(data[begin:end])
    assert library.hash_of(b"") == xxh3_128_digest(b"")


@compiled
@pytest.mark.parametrize("average", AVERAGES)
def test_cuts_of_long_data_are_those_of_pyfastcdc(average: int) -> None:
    # Long enough for chunks of the greatest length, and of each residue of four.
    for length in range(3_000_000, 3_000_004):
        data = memoryview(noise(2_000_000) + bytes(length - 2_000_000))
        assert lengths_in_c(data, average) == expected_lengths(data, average)


@compiled
@pytest.mark.parametrize("average", [AVERAGES[0], 65_536])
def test_lengths_around_each_limit(average: int) -> None:
    limits = [60, 8192, average // 4, average, 4 * average]
    data = memoryview(noise(5 * average))
    for length in {limit + around for limit in limits for around in (-1, 0, 1, 2, 47, 48, 49)}:
        assert lengths_in_c(data[:length], average) == expected_lengths(data[:length], average)


@compiled
@pytest.mark.parametrize("average", KNOWN_CUTS)
def test_cuts_are_those_of_another_implementation(average: int) -> None:
    data = memoryview(noise(393_216))
    assert np.cumsum(lengths_in_c(data, average)).tolist() == KNOWN_CUTS[average]


@compiled
@pytest.mark.parametrize("average", [65_536, 4096, 16_384])
def test_an_object_is_cut_alike_wherever_it_lies(average: int) -> None:
    data = memoryview(noise(500_000))
    for begin in (0, 1, 77_777, 499_999):
        chunks = ChunksInC(expected_lengths(data[begin:], average), [])
        with ScanInC(content_defined(average)) as scan:
            assert scan.cut(data[begin:]).lengths == chunks.lengths
            # A short one before it, so that it begins within what is marked.
            around = [begin // 2, begin], [begin, len(data)]
            lengths = scan.cut_objects(data, *around).lengths
            assert lengths[-len(chunks.lengths) :] == chunks.lengths


@compiled
@pytest.mark.parametrize("average", AVERAGES[:5])
def test_what_has_more_marks_than_there_is_room_for_is_cut_alike(average: int) -> None:
    # A mark in every 20 bytes, and room for one in every 64.
    marked = MARKED * 20_000
    for content in (marked, noise(150_000) + marked, marked[7:] + noise(150_000) + marked):
        data = memoryview(content)
        assert lengths_in_c(data, average) == expected_lengths(data, average)


def test_every_grain_has_an_average_that_the_part_in_c_has_masks_for() -> None:
    header = (ROOT / "src/deduplab/bound/gear.h").read_text()
    least, greatest = (
        int(bits)
        for name in ("LEAST", "GREATEST")
        for bits in re.findall(rf"GEAR_{name}_AVERAGE_BITS (\d+)", header)
    )
    assert [1 << bits for bits in range(least, greatest + 1)] == AVERAGES
    assert {one.size_bytes for one in GRAINS.values() if one.content_defined} <= set(AVERAGES)


def test_what_was_built_is_used() -> None:
    built = Path(native.__file__).with_name(native.LIBRARY)
    if not built.exists() or os.environ.get(native.SETTING) == "0":
        pytest.skip("the part in C was not built, or is switched off")
    assert cutter_name() == "deduplab"
    assert isinstance(stream_scan(ScanSettings()), NativeScan)


@pytest.mark.usefixtures("without_library")
def test_it_can_be_switched_off() -> None:
    assert cutter_name() == "pyfastcdc"
    assert native.native() is None
    assert isinstance(stream_scan(ScanSettings()), PlainScan)


@pytest.mark.parametrize("shown", [(), ("XXH128_isEqual",)])
def test_without_the_hash_of_xxhash_it_is_not_used(
    shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not shown, or another function under its name.
    monkeypatch.setattr(native, "_HASHES", shown)
    if shown:
        monkeypatch.setattr(native.Native, "hash_of", lambda *_: bytes(16))
    native.native.cache_clear()
    try:
        assert cutter_name() == "pyfastcdc"
    finally:
        monkeypatch.undo()
        native.native.cache_clear()


@compiled
def test_a_hash_that_differs_at_one_length_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    library, real = found_native(), native.Native.hash_of
    assert native._hashes_alike(library)
    for wrong in native._PROBED_LENGTHS:
        monkeypatch.setattr(
            native.Native,
            "hash_of",
            lambda self, data, wrong=wrong: bytes(16) if len(data) == wrong else real(self, data),
        )
        assert not native._hashes_alike(library)


@compiled
def test_a_scan_finds_the_same_without_it() -> None:
    objects = [noise(400_000), noise(70_000, "b"), b"short", noise(400_000)[1000:], bytes(90_000)]
    source = MemorySource(objects, list(range(0, 2_000_000, 150_000)))
    one, other = (
        found(told(scan_by(kind, ScanSettings()), source.blocks())) for kind in ("native", "plain")
    )
    assert one == other


def test_what_is_no_library_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / native.LIBRARY).write_bytes(b"of another machine")
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    native.native.cache_clear()
    try:
        assert cutter_name() == "pyfastcdc"
    finally:
        monkeypatch.undo()
        native.native.cache_clear()


@pytest.fixture
def source_tree(tmp_path: Path) -> Path:
    """Return a copy of what a wheel is built from."""
    pytest.importorskip("hatchling", reason="what builds the package is not installed")
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT / "src" / "deduplab" / "bound",
        tree / "src" / "deduplab" / "bound",
        ignore=shutil.ignore_patterns("__pycache__", "_native.so*"),
    )
    shutil.copy(ROOT / "src" / "deduplab" / "__init__.py", tree / "src" / "deduplab")
    for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    for name in ("plans", "examples"):
        shutil.copytree(ROOT / name, tree / name)
    return tree


def built(tree: Path, **environment: str) -> tuple[Path, set[str], str]:
    """Build a wheel; return it, the names in it, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tree / "out")],
        cwd=tree,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (wheel,) = (tree / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return wheel, set(archive.namelist()), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DEDUPLAB_NATIVE": "0"}, "DEDUPLAB_NATIVE is 0"),
        ({"PATH": "/nonexistent"}, "there is no C compiler"),
        ({"CC": "/nonexistent/cc"}, "can't compile it"),
    ],
)
def test_a_wheel_without_a_compiler_runs_anywhere(
    source_tree: Path, environment: dict[str, str], reason: str
) -> None:
    stale = source_tree / "src" / "deduplab" / "bound" / native.LIBRARY
    stale.write_bytes(b"of an earlier build")
    wheel, names, said = built(source_tree, **environment)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "deduplab/bound/native.py" in names
    assert {"deduplab/plans/quick.toml", "deduplab/examples/dataset.toml"} < names
    assert not [name for name in names if name.endswith(".so")]
    assert reason in said
    assert not stale.exists()


def test_a_wheel_with_a_compiler_is_for_its_platform(source_tree: Path) -> None:
    (source_tree / "probe.c").write_text("#include <string.h>\n")
    command = ["cc", "-c", "-o", os.devnull, str(source_tree / "probe.c")]
    if shutil.which("cc") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("there is no C compiler that works")
    wheel, names, _ = built(source_tree)
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    assert f"deduplab/bound/{native.LIBRARY}" in names
    assert not [name for name in names if name.endswith((".c", ".h"))]
