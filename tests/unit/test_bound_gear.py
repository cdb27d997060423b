"""The compiled cutter: the same cuts as pyfastcdc's, whatever the data; and its build."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from deduplab.bound import native
from deduplab.bound.chunkers import cut_points
from deduplab.bound.gear import (
    GREATEST_AVERAGE_BYTES,
    LEAST_AVERAGE_BYTES,
    CutObjects,
    Piece,
    cutter_name,
)
from deduplab.bound.grains import GRAINS, Grain
from deduplab.bound.scan import ScanSettings, scan
from tests.unit.bound_memory import MemorySource
from tests.unit.test_bound_chunkers import KNOWN_CUTS, noise

ROOT = Path(__file__).parents[2]
compiled = pytest.mark.skipif(
    cutter_name() == "pyfastcdc", reason="the part in C was not built, or is switched off"
)
AVERAGES = [1 << bits for bits in range(12, 23)]


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DEDUPLAB_NATIVE", "0")
    native.native.cache_clear()
    yield
    native.native.cache_clear()


def content_defined(average: int) -> Grain:
    return Grain(f"cdc-{average}", average, content_defined=True)


def cut(piece: Piece, grain: Grain, bounds: list[int], digests: bytes = b"") -> CutObjects:
    """Cut the objects that lie between these places."""
    begins = np.array(bounds[:-1], dtype=np.int64)
    return piece.cut(grain, begins, np.diff(bounds).astype(np.int64), digests)


def lengths_in_c(data: memoryview, average: int) -> list[int]:
    piece = Piece(data)
    lengths: list[int] = cut(piece, content_defined(average), [0, len(data)]).lengths.tolist()
    assert piece._marks is not None
    return lengths


def expected(data: memoryview, average: int) -> list[int]:
    return np.diff(cut_points(data, average), prepend=0).tolist()


def checked(data: memoryview, grain: Grain, bounds: list[int], found: CutObjects) -> None:
    """Compare with cutting and hashing each object by itself."""
    lengths, digests, counts = [], b"", []
    for begin, end in pairwise(bounds):
        ends = grain.cut(data[begin:end])
        counts.append(len(ends))
        for a, b in pairwise([0, *ends]):
            lengths.append(b - a)
            digests += xxh3_128_digest(data[begin + a : begin + b])
    assert found.lengths.tolist() == lengths
    assert found.counts.tolist() == counts
    assert found.digests == digests


def stretch(source: random.Random, kind: str, length: int) -> bytes:
    if kind == "noise":
        return source.randbytes(length)
    if kind == "text":
        return bytes(source.choices(b"some text, \n", k=length))
    period = {
        "zeros": b"\0",
        "one byte": source.randbytes(1),
        "period": source.randbytes(source.randint(2, 200)),
    }[kind]
    return (period * (length // len(period) + 1))[:length]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kinds=st.lists(
        st.sampled_from(["noise", "zeros", "one byte", "period", "text"]), min_size=1, max_size=4
    ),
    lengths=st.lists(st.integers(1, 120_000), min_size=4, max_size=4),
    places=st.lists(st.integers(0, 480_000), max_size=12),
    grain=st.sampled_from([*map(content_defined, AVERAGES), *GRAINS.values()]),
    known=st.booleans(),
)
def test_objects_are_cut_like_each_by_itself(
    seed: int, kinds: list[str], lengths: list[int], places: list[int], grain: Grain, known: bool
) -> None:
    source = random.Random(seed)
    pairs = zip(kinds, lengths, strict=False)
    data = memoryview(b"".join(stretch(source, kind, length) for kind, length in pairs))
    bounds = sorted({min(place, len(data) - 1) for place in places} | {len(data)})
    digests = b"".join(xxh3_128_digest(data[a:b]) for a, b in pairwise(bounds)) if known else b""
    if len(bounds) > 1:
        checked(data, grain, bounds, cut(Piece(data), grain, bounds, digests))


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize("grain", GRAINS)
def test_objects_are_cut_like_each_by_itself_without_the_library(grain: str) -> None:
    data, bounds = memoryview(noise(300_000)), [3, 4, 3000, 9000, 9001, 250_000, 300_000]
    digests = b"".join(xxh3_128_digest(data[a:b]) for a, b in pairwise(bounds))
    for known in (b"", digests):
        checked(data, GRAINS[grain], bounds, cut(Piece(data), GRAINS[grain], bounds, known))
    assert Piece(data).digests(np.array([3, 9]), np.array([6, 1])) == xxh3_128_digest(
        data[3:9]
    ) + xxh3_128_digest(data[9:10])


@compiled
def test_a_known_digest_is_not_found_again() -> None:
    data = memoryview(noise(9000))
    found = cut(Piece(data), GRAINS["fixed-4096"], [0, 100, 9000], b"a" * 16 + b"b" * 16)
    assert found.digests[:16] == b"a" * 16
    assert found.digests[16:] == b"".join(
        xxh3_128_digest(data[a:b]) for a, b in pairwise([100, 4196, 8292, 9000])
    )


@compiled
def test_digests_of_every_length_are_those_of_xxhash() -> None:
    # XXH3 tells apart up to 16, 128, 240 bytes and longer, and works in blocks of 1024.
    data = memoryview(noise(5000))
    lengths = [*range(1, 1100), 2048, 2049, 4095, 4096, 4097]
    begins = [length % 7 for length in lengths]
    found = Piece(data).digests(np.array(begins), np.array(lengths))
    pairs = zip(begins, lengths, strict=True)
    assert found == b"".join(xxh3_128_digest(data[a : a + length]) for a, length in pairs)


@compiled
@pytest.mark.parametrize("average", AVERAGES)
def test_cuts_of_long_data_are_those_of_pyfastcdc(average: int) -> None:
    # Long enough for chunks of the greatest length, and of each residue of four.
    for length in range(3_000_000, 3_000_004):
        data = memoryview(noise(2_000_000) + bytes(length - 2_000_000))
        assert lengths_in_c(data, average) == expected(data, average)


@compiled
@pytest.mark.parametrize("average", [LEAST_AVERAGE_BYTES, 65_536])
def test_lengths_around_each_limit(average: int) -> None:
    limits = [60, 8192, average // 4, average, 4 * average]
    data = memoryview(noise(5 * average))
    for length in {limit + around for limit in limits for around in (-1, 0, 1, 2, 47, 48, 49)}:
        assert lengths_in_c(data[:length], average) == expected(data[:length], average)


@compiled
@pytest.mark.parametrize("average", KNOWN_CUTS)
def test_cuts_are_those_of_another_implementation(average: int) -> None:
    data = memoryview(noise(393_216))
    assert np.cumsum(lengths_in_c(data, average)).tolist() == KNOWN_CUTS[average]


@compiled
def test_one_piece_is_cut_at_many_averages_from_many_places() -> None:
    data = memoryview(noise(500_000))
    piece = Piece(data)
    for average in (65_536, 4096, 16_384):
        for begin in (0, 1, 77_777, 499_999):
            found = cut(piece, content_defined(average), [begin, len(data)])
            assert found.lengths.tolist() == expected(data[begin:], average)


@compiled
def test_what_has_more_marks_than_there_is_room_for_is_left_to_pyfastcdc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = noise(50_000)
    before = tables([data])
    monkeypatch.setattr(native, "_BYTES_PER_MARK", 10_000)
    monkeypatch.setattr(native, "_LEAST_MARKS", 0)
    piece = Piece(memoryview(data))
    cut(piece, GRAINS["cdc-4096"], [0, len(data)])
    assert piece._marks is None
    assert tables([data]) == before


@compiled
def test_averages_without_marks_are_left_to_pyfastcdc() -> None:
    for average in (LEAST_AVERAGE_BYTES // 2, 2 * GREATEST_AVERAGE_BYTES):
        piece = Piece(memoryview(noise(20_000)))
        assert not piece._marked(found_native(), content_defined(average))


def found_native() -> native.Native:
    found = native.native()
    assert found is not None
    return found


def test_what_was_built_is_used() -> None:
    built = Path(native.__file__).with_name(native.LIBRARY)
    if not built.exists() or os.environ.get(native.SETTING) == "0":
        pytest.skip("the part in C was not built, or is switched off")
    assert cutter_name() == "deduplab"


@pytest.mark.usefixtures("without_library")
def test_it_can_be_switched_off() -> None:
    assert cutter_name() == "pyfastcdc"
    assert native.native() is None


@pytest.mark.parametrize("shown", [(), ("XXH128_isEqual",)])
def test_without_the_hash_of_xxhash_it_is_not_used(
    shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not shown, or another function under its name.
    monkeypatch.setattr(native, "_HASHES", shown)
    if shown:
        monkeypatch.setattr(native.Native, "digests", lambda *_: bytes(16))
    native.native.cache_clear()
    try:
        assert cutter_name() == "pyfastcdc"
    finally:
        monkeypatch.undo()
        native.native.cache_clear()


def tables(objects: list[bytes]) -> dict[str, list[list[int]]]:
    sketch = scan(MemorySource(objects, list(range(0, 2_000_000, 150_000))), ScanSettings())
    return {
        name: [
            column.tolist()
            for column in (
                grain.table.first,
                grain.table.second,
                grain.table.lengths,
                grain.table.counts,
                grain.distances.counts,
            )
        ]
        for name, grain in sketch.streams[""].grains.items()
    }


@compiled
def test_a_scan_finds_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [noise(400_000), noise(70_000, "b"), b"short", noise(400_000)[1000:], bytes(90_000)]
    with_it = tables(objects)
    monkeypatch.setenv("DEDUPLAB_NATIVE", "0")
    native.native.cache_clear()
    try:
        assert tables(objects) == with_it
    finally:
        monkeypatch.undo()
        native.native.cache_clear()


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
