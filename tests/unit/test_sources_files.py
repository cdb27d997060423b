"""Files, folders, devices and pipes: every byte once, nothing written, what fails is said."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import string_at
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deduplab.bound.scan import ScanSettings, scan_sources
from deduplab.bound.sources import open_source
from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.files import FileSource, count_links_once
from deduplab.bound.sources.raw import DeviceSource, StandardInput
from deduplab.bound.stream import Source
from deduplab.errors import DatasetError, PlanError
from tests.unit.bound_scans import compiled, found_native, switched_off
from tests.unit.sources_reading import objects_of, reasons, rows_of

_NOBODY = 65534


def _bytes(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    lengths = (0, 1, 4096, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 17)
    for folder in ("a", "b/c"):
        (root / folder).mkdir(parents=True)
        for number, length in enumerate(lengths):
            (root / folder / f"{number}").write_bytes(_bytes(length, number))
    for number in range(700):
        (root / f"small{number:04d}").write_bytes(_bytes(5000, number))
    return root


def _contents(root: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in root.rglob("*") if path.is_file())


def _states(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        state = path.lstat()
        found[str(path)] = (state.st_mtime_ns, state.st_ctime_ns, state.st_size)
    return found


def test_a_folder_gives_every_file_once_and_is_not_changed(tree: Path) -> None:
    before, contents = _states(tree), _contents(tree)
    source = open_source(str(tree))
    assert sorted(rows_of(source)) == contents
    assert source.left_out == []
    assert source.total_bytes() == sum(map(len, contents))
    assert rows_of(source) == rows_of(source), "the same order again"
    assert _states(tree) == before


def test_a_single_file_and_a_link_to_it(tree: Path) -> None:
    path = tree / "a/6"
    assert rows_of(open_source(str(path))) == [path.read_bytes()]
    link = tree.parent / "link"
    link.symlink_to(path)
    source = open_source(str(link))
    assert rows_of(source) == [path.read_bytes()]
    assert source.left_out == []


@pytest.mark.parametrize("count", [1, 2, 3, 8, 2000])
def test_shards_have_all_files_between_them_and_travel(tree: Path, count: int) -> None:
    parts = [pickle.loads(pickle.dumps(part)) for part in FileSource(str(tree)).shards(count)]
    assert 1 <= len(parts) <= count
    found = [content for part in parts for content in rows_of(part)]
    assert sorted(found) == _contents(tree)
    assert sum(part.total_bytes() for part in parts) == sum(map(len, found))


def test_shards_are_about_even(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03d}").write_bytes(bytes(20_000))
    sizes = [part.total_bytes() for part in FileSource(str(tmp_path)).shards(4)]
    assert sizes == [500_000] * 4


def test_what_is_no_regular_file_is_left_out_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        source = open_source(str(tmp_path))
        assert rows_of(source) == [b"data"]
    assert len(source.left_out) == 5
    assert reasons(source).count("symbolic link") == 3
    assert reasons(source).count("not a regular file") == 2


def test_hard_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"data")
    os.link(tmp_path / "one", tmp_path / "two")
    source = FileSource(str(tmp_path))
    assert rows_of(source) == [b"data"]
    assert "hard link" in reasons(source)
    parts = source.shards(2)
    assert [rows_of(part) for part in parts] == [[b"data"]]
    assert "hard link" in reasons(parts[0])


@pytest.mark.parametrize("processes", [1, 2])
def test_hard_links_count_once_over_all_sources(tmp_path: Path, processes: int) -> None:
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "monday" / name).write_bytes(name.encode())
        os.link(tmp_path / "monday" / name, tmp_path / "tuesday" / name)
    (tmp_path / "tuesday" / "new").write_bytes(b"four")
    places = ["monday/one", "tuesday/one", "monday", "tuesday"]
    for chosen in (places[2:], places[:2], [places[0], places[3]], [places[2], places[1]]):
        sources = [open_source(str(tmp_path / place)) for place in chosen]
        count_links_once(sources)
        found = scan_sources(sources, ScanSettings(["whole"]), processes)
        (whole,) = found.result().grains
        assert whole.chunks == whole.unique_chunks > 0
        assert any("hard link" in one.reason for one in found.left_out)
        # Names of its own are no further links when it is read again.
        assert scan_sources(sources, ScanSettings(["whole"])).result().grains[0].chunks == (
            whole.chunks
        )


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(name)).write_bytes(b"data")
    Path(os.fsdecode(name + b"link")).symlink_to("x")
    source = open_source(str(tmp_path))
    assert rows_of(source) == [b"data"]
    assert "caf\\xe9link" in reasons(source)
    reasons(source).encode()


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Act as an account to which permissions mean something."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_left_out() -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "open").write_bytes(b"data")
        (root / "closed").write_bytes(b"secret")
        (root / "closed").chmod(0)
        (root / "folder").mkdir(mode=0o700)
        (root / "folder/inside").write_bytes(b"secret")
        (root / "folder").chmod(0)
        source = FileSource(name)
        with _unprivileged():
            assert rows_of(source) == [b"data"]
        (root / "folder").chmod(0o700)
    assert len(source.left_out) == 2
    assert reasons(source).count("Permission denied") == 2


def test_a_large_file_that_shrinks_is_said_with_what_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(_bytes(3 * BLOCK_BYTES))
    (tmp_path / "next").write_bytes(b"next")
    source = FileSource(str(tmp_path))
    blocks = source.blocks()
    counted_bytes = next(blocks).logical_bytes
    os.truncate(path, BLOCK_BYTES + 5)
    counted_bytes += sum(block.logical_bytes for block in blocks)
    assert counted_bytes == BLOCK_BYTES + 5 + 4
    assert f"changed while it was read; the {BLOCK_BYTES + 5} bytes" in reasons(source)


def test_a_large_file_that_is_overwritten_is_said(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(3 * BLOCK_BYTES))
    source = FileSource(str(path))
    blocks = source.blocks()
    next(blocks)
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))
    assert sum(block.logical_bytes for block in blocks) == 2 * BLOCK_BYTES
    assert "changed while it was read" in reasons(source)


# Between two calls of Python nothing can happen to a file that the part in C reads.
@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize("length", [1, 0, 9000, 2 * BLOCK_BYTES])
def test_a_small_file_that_changes_before_it_is_read_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    (tmp_path / "b").write_bytes(_bytes(5000))
    (tmp_path / "c").write_bytes(b"kept too")
    real, calls = os.readv, iter(range(100))

    def readv(number: int, buffers: list[memoryview]) -> int:
        if next(calls) == 1:
            os.truncate(tmp_path / "b", length)
        return real(number, buffers)

    monkeypatch.setattr("os.readv", readv)
    source = FileSource(str(tmp_path))
    assert rows_of(source) == [b"kept", b"kept too"]
    assert "b: changed while it was read; nothing of it is counted" in reasons(source)


@pytest.mark.usefixtures("without_library")
def test_a_small_file_that_changes_after_it_was_read_counts_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(_bytes(5000))
    real = os.readv

    def readv(number: int, buffers: list[memoryview]) -> int:
        count = real(number, buffers)
        path.write_bytes(_bytes(9000, 2))
        return count

    monkeypatch.setattr("os.readv", readv)
    source = FileSource(str(path))
    assert rows_of(source) == [_bytes(5000)]
    assert source.left_out == []


@pytest.mark.usefixtures("without_library")
def test_a_small_file_that_comes_in_two_reads_is_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(_bytes(5000))
    real = os.readv
    monkeypatch.setattr("os.readv", lambda number, buffers: real(number, [buffers[0][:3000]]))
    source = FileSource(str(tmp_path))
    assert rows_of(source) == [_bytes(5000)]
    assert source.left_out == []


def test_a_file_that_fails_on_the_way_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(_bytes(2 * BLOCK_BYTES))
    os.utime(tmp_path / "a", ns=(1, 1))
    (tmp_path / "b").write_bytes(b"kept")
    real, calls = os.readv, iter(range(10))

    def readv(number: int, buffers: list[memoryview]) -> int:
        if next(calls) == 1:
            raise OSError(5, "Input/output error")
        return real(number, buffers)

    monkeypatch.setattr("os.readv", readv)
    source = FileSource(str(tmp_path))
    assert [len(content) for content in rows_of(source)] == [BLOCK_BYTES, 4]
    assert f"Input/output error; the {BLOCK_BYTES} bytes" in reasons(source)


def test_files_that_vanish_after_the_listing_are_said(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    (part,) = FileSource(str(tmp_path)).shards(1)
    (tmp_path / "b").unlink()
    assert rows_of(part) == [b"a", b"c"]
    assert "b: can't be read: No such file" in reasons(part)


def test_a_folder_that_became_a_link_after_the_listing_is_not_followed(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    for folder in (elsewhere, root / "a", root / "b"):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(folder.name.encode())
    (part,) = FileSource(str(root)).shards(1)
    shutil.rmtree(root / "a")
    (root / "a").symlink_to(elsewhere)
    assert rows_of(part) == [b"b"]
    assert "a: can't be read: " in reasons(part)
    # What was asked for may be a link all the same.
    (tmp_path / "link").symlink_to(elsewhere)
    assert rows_of(FileSource(str(tmp_path / "link"))) == [b"elsewhere"]


def test_files_without_a_length_of_their_own_are_not_taken_for_empty() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    source = FileSource("/proc/self/status")
    assert rows_of(source) == []
    assert "changed while it was read" in reasons(source)


def _handed_out(source: Source) -> tuple[list[tuple[bytes, list[int], bool]], str]:
    """Return the blocks, and what was left out with its reasons."""
    blocks = [
        (bytes(block.data), list(block.offsets), block.continues) for block in source.blocks()
    ]
    return blocks, reasons(source)


def _same_without_the_library(make: Callable[[], Source]) -> list[bytes]:
    """Read with the library and without it: the same; return the objects."""
    with_it = _handed_out(make())
    with switched_off():
        assert _handed_out(make()) == with_it
    return rows_of(make())


@compiled
def test_small_files_are_read_by_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [_bytes(length, length) for length in (0, 1, 5000, 200_000, 0, 300_000)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}").write_bytes(content)

    def refused(*_: object) -> int:
        raise OSError(5, "not by Python")

    monkeypatch.setattr("os.readv", refused)
    source = FileSource(str(tmp_path))
    assert rows_of(source) == contents
    assert source.left_out == []
    with switched_off():
        assert rows_of(source) == []
    assert reasons(source).count("not by Python") == len(contents)


@compiled
@pytest.mark.parametrize("count", [1, 3])
def test_files_of_all_lengths_are_the_same_without_the_library(tree: Path, count: int) -> None:
    # Two that just fit into the room that is left, and two that fill it.
    for folder, less in (("d", 1), ("e", 0), ("f", -1)):
        (tree / folder).mkdir()
        (tree / folder / "0").write_bytes(_bytes(BLOCK_BYTES))
        (tree / folder / "1").write_bytes(_bytes(600_000))
        (tree / folder / "2").write_bytes(_bytes(BLOCK_BYTES - 600_000 - less))
        (tree / folder / "3").write_bytes(b"behind")
    assert sorted(_same_without_the_library(lambda: FileSource(str(tree)))) == _contents(tree)
    for number in range(count):
        _same_without_the_library(lambda number=number: FileSource(str(tree)).shards(count)[number])  # type: ignore[misc]


@compiled
def test_names_of_all_kinds_are_the_same_without_the_library(tmp_path: Path) -> None:
    names = [
        b"\xff\xfe",
        b"caf\xc3\xa9",
        b"new\nline",
        b" ",
        b"-",
        b"a" * 255,
        b"%s",
        b"\x01",
        b"'",
    ]
    for number, name in enumerate(names):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(b"content %d" % number)
    found = _same_without_the_library(lambda: FileSource(str(tmp_path)))
    assert found == [b"content %d" % names.index(name) for name in sorted(names)]


@compiled
def test_what_needs_care_is_the_same_without_the_library(tmp_path: Path) -> None:
    """Links, special files and a closed one, each between files that are read."""
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for number in range(0, 100, 2):
            (root / f"{number:02d}").write_bytes(_bytes(number * 100, number))
        os.link(root / "00", root / "01")
        os.link(root / "20", root / "03")
        os.link(root / "20", root / "99")
        (root / "05").symlink_to("20")
        os.mkfifo(root / "07")
        (root / "09").write_bytes(b"secret")
        (root / "09").chmod(0)
        (root / "11").write_bytes(_bytes(2 * BLOCK_BYTES + 5))
        (root / "13").mkdir()
        (root / "13/15").write_bytes(b"")
        with _unprivileged():
            found = _same_without_the_library(lambda: FileSource(name))
            source = FileSource(name)
            list(source.blocks())
        said = reasons(source)
    expected = [_bytes(number * 100, number) for number in range(0, 100, 2)]
    assert sorted(found) == sorted([*expected, _bytes(2 * BLOCK_BYTES + 5), b""])
    assert said.count("hard link") == 3
    assert said.count("symbolic link") == 1
    assert said.count("not a regular file") == 1
    assert said.count("09: can't be read: Permission denied") == 1


@compiled
def test_what_changed_since_the_listing_is_the_same_without_the_library(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(name.encode())
    (part,) = FileSource(str(tmp_path)).shards(1)
    for name in "bcde":
        (tmp_path / name).unlink()
    (tmp_path / "c").mkdir()
    (tmp_path / "d").symlink_to("a")
    os.mkfifo(tmp_path / "e")
    (tmp_path / "f").write_bytes(b"longer than it was")
    (tmp_path / "g").write_bytes(b"")
    assert _same_without_the_library(lambda: part) == [b"a", b"longer than it was", b"", b"h"]
    assert [Path(left.name).name for left in part.left_out] == list("bcde")


@compiled
def test_names_are_not_copied_for_each_file_that_needs_care(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of many hard links, the library is called for each: it is told where to go on."""
    for number in range(20):
        (tmp_path / f"{number:02d}").write_bytes(bytes([number]))
        os.link(tmp_path / f"{number:02d}", tmp_path / f"{number:02d} too")
    library, heard = found_native(), list[tuple[int, bytes]]()
    read = library.files_read

    def listening(folder: int, names: int, *others: Any) -> Any:
        heard.append((names, string_at(names)))
        return read(folder, names, *others)

    monkeypatch.setattr(library, "files_read", listening)
    assert rows_of(FileSource(str(tmp_path))) == [bytes([number]) for number in range(20)]
    names = sorted(path.name.encode() for path in tmp_path.iterdir())
    assert [name for _, name in heard] == names
    behind = heard[0][0]
    for place, name in heard:
        assert place == behind
        behind = place + len(name) + 1


def test_an_image_is_one_object_and_so_is_a_device(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(_bytes(2 * BLOCK_BYTES + 512))
    source = DeviceSource(str(image))
    assert source.total_bytes() == 2 * BLOCK_BYTES + 512
    assert rows_of(source) == [image.read_bytes()]
    with pytest.raises(DatasetError, match="No such file"):
        list(DeviceSource(str(tmp_path / "none")).blocks())


def test_a_device_that_ends_early_is_said(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(_bytes(3 * BLOCK_BYTES))
    source = DeviceSource(str(image))
    blocks = source.blocks()
    next(blocks)
    os.truncate(image, 2 * BLOCK_BYTES)
    list(blocks)
    assert f"ended {BLOCK_BYTES} bytes early" in reasons(source)


def test_a_real_block_device(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(_bytes(2 * BLOCK_BYTES + 512))
    losetup = shutil.which("losetup")
    if losetup is None:
        pytest.skip("losetup is not installed")
    attach = [losetup, "--read-only", "--find", "--show", str(image)]
    answer = subprocess.run(attach, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        pytest.skip(f"no loop device may be made here: {answer.stderr.strip()}")
    device = answer.stdout.strip()
    try:
        source = open_source(device)
        assert isinstance(source, DeviceSource)
        assert source.total_bytes() == 2 * BLOCK_BYTES + 512
        assert rows_of(source) == [image.read_bytes()]
    finally:
        subprocess.run([losetup, "--detach", device], timeout=30, check=True)


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _bytes(2 * BLOCK_BYTES + 3)
    source = StandardInput(io.BytesIO(data))
    assert rows_of(source) == [data]
    with pytest.raises(PlanError, match="only once"):
        list(source.blocks())
    with pytest.raises(PlanError, match="without workers"):
        pickle.dumps(source)
    assert rows_of(StandardInput(io.BytesIO(b""))) == [b""]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"typed")))
    assert rows_of(open_source("-")) == [b"typed"]


def test_a_pipe_is_read_until_its_writer_ends(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = _bytes(BLOCK_BYTES + 77)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert objects_of(open_source(str(pipe))) == {"": [data]}
    writer.join(timeout=10)
    assert not writer.is_alive()
