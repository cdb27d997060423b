"""The compiled cutter: the same cuts as pyfastcdc's, whatever the data; and its build."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound import gear
from deduplab.bound.chunkers import content_chunks
from deduplab.bound.gear import GREATEST_AVERAGE_BYTES, LEAST_AVERAGE_BYTES, Piece, cutter_name
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
    gear._library.cache_clear()
    yield
    gear._library.cache_clear()


def expected(data: memoryview, average: int) -> list[int]:
    return [chunk.length for chunk in content_chunks(data, average)]


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


@compiled
@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kinds=st.lists(
        st.sampled_from(["noise", "zeros", "one byte", "period", "text"]), min_size=1, max_size=4
    ),
    lengths=st.lists(st.integers(0, 120_000), min_size=4, max_size=4),
    begin=st.one_of(st.just(0), st.integers(0, 300_000)),
    average=st.sampled_from(AVERAGES),
)
def test_cuts_are_those_of_pyfastcdc(
    seed: int, kinds: list[str], lengths: list[int], begin: int, average: int
) -> None:
    source = random.Random(seed)
    pairs = zip(kinds, lengths, strict=False)
    data = memoryview(b"".join(stretch(source, kind, length) for kind, length in pairs))
    found = Piece(data, 2).lengths(average, min(begin, len(data)))
    if found is not None:
        assert found.tolist() == expected(data[begin:], average)
    else:
        assert len(data) < gear.LEAST_MARKED_BYTES or kinds != ["noise"] * len(kinds)


@compiled
@pytest.mark.parametrize("average", AVERAGES)
def test_cuts_of_long_data_are_those_of_pyfastcdc(average: int) -> None:
    # Long enough for chunks of the greatest length, and of each residue of four.
    for length in range(3_000_000, 3_000_004):
        data = memoryview(noise(2_000_000) + bytes(length - 2_000_000))
        found = Piece(data, 2).lengths(average)
        assert found is not None
        assert found.tolist() == expected(data, average)


@compiled
@pytest.mark.parametrize("average", [LEAST_AVERAGE_BYTES, 65_536])
def test_lengths_around_each_limit(average: int) -> None:
    limits = [gear.LEAST_MARKED_BYTES, average // 4, average, 4 * average]
    data = memoryview(noise(5 * average))
    for length in {limit + around for limit in limits for around in (-1, 0, 1, 2, 47, 48, 49)}:
        found = Piece(data[:length], 2).lengths(average)
        assert (found is None) == (length < gear.LEAST_MARKED_BYTES)
        if found is not None:
            assert found.tolist() == expected(data[:length], average)


@compiled
@pytest.mark.parametrize("average", KNOWN_CUTS)
def test_cuts_are_those_of_another_implementation(average: int) -> None:
    found = Piece(memoryview(noise(393_216)), 2).lengths(average)
    assert found is not None
    assert np.cumsum(found).tolist() == KNOWN_CUTS[average]


@compiled
def test_one_piece_is_cut_at_many_averages_from_many_places() -> None:
    data = memoryview(noise(500_000))
    piece = Piece(data, 2)
    for average in (65_536, 4096, 16_384):
        for begin in (0, 1, 77_777, 499_999, 500_000):
            found = piece.lengths(average, begin)
            assert found is not None
            assert found.tolist() == expected(data[begin:], average)


@compiled
def test_what_has_more_marks_than_there_is_room_for_is_left_to_pyfastcdc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = noise(50_000)
    assert Piece(memoryview(data), 2).lengths(4096) is not None
    before = tables([data])
    monkeypatch.setattr(gear, "_BYTES_PER_MARK", 10_000)
    assert Piece(memoryview(data), 2).lengths(4096) is None
    assert tables([data]) == before


def test_one_average_alone_is_left_to_pyfastcdc() -> None:
    assert Piece(memoryview(noise(20_000)), 1).lengths(4096) is None


def test_averages_without_marks_are_left_to_pyfastcdc() -> None:
    piece = Piece(memoryview(noise(20_000)), 2)
    assert piece.lengths(LEAST_AVERAGE_BYTES // 2) is None
    assert piece.lengths(2 * GREATEST_AVERAGE_BYTES) is None


@pytest.mark.usefixtures("without_library")
def test_it_can_be_switched_off() -> None:
    assert cutter_name() == "pyfastcdc"
    assert Piece(memoryview(noise(20_000)), 2).lengths(4096) is None


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
    gear._library.cache_clear()
    try:
        assert tables(objects) == with_it
    finally:
        monkeypatch.undo()
        gear._library.cache_clear()


def test_what_is_no_library_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / gear.LIBRARY).write_bytes(b"of another machine")
    monkeypatch.setattr(gear, "__file__", str(tmp_path / "gear.py"))
    gear._library.cache_clear()
    try:
        assert cutter_name() == "pyfastcdc"
    finally:
        monkeypatch.undo()
        gear._library.cache_clear()


@pytest.fixture
def source_tree(tmp_path: Path) -> Path:
    """Return a copy of what a wheel is built from."""
    pytest.importorskip("hatchling", reason="what builds the package is not installed")
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT / "src" / "deduplab" / "bound",
        tree / "src" / "deduplab" / "bound",
        ignore=shutil.ignore_patterns("__pycache__", "_gear.so*"),
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
    stale = source_tree / "src" / "deduplab" / "bound" / gear.LIBRARY
    stale.write_bytes(b"of an earlier build")
    wheel, names, said = built(source_tree, **environment)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "deduplab/bound/gear.py" in names
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
    assert f"deduplab/bound/{gear.LIBRARY}" in names
