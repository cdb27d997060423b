import os
import random
from pathlib import Path

import pytest

from deduplab.datasets import build_dataset, prove
from deduplab.errors import DatasetError, PlanError
from deduplab.model import DatasetSpec

PIECE = 1000


def spec(source: Path, unique: int, grade: int = 0, distance: str | int = "none") -> DatasetSpec:
    logical_bytes = unique * 100 // (100 - grade) * PIECE
    return DatasetSpec("files", logical_bytes, PIECE, grade, distance, source=str(source))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight distinct pieces in order a0 a1 a2, b0 b1, x-byte name, and sub/c0 c1."""
    noise = random.Random(1)
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    first = noise.randbytes(3 * PIECE)
    (source / "a").write_bytes(first + b"short rest")
    (source / "b").write_bytes(first[:PIECE] + noise.randbytes(2 * PIECE) + first[PIECE:])
    (source / "tiny").write_bytes(b"too short")
    (source / "empty").write_bytes(b"")
    (source / "sub" / "c").write_bytes(noise.randbytes(2 * PIECE))
    with open(os.fsencode(source) + b"/x\xff", "wb") as file:  # noqa: PTH123
        file.write(noise.randbytes(PIECE))
    (source / "link").symlink_to(source / "a")
    os.mkfifo(source / "pipe")
    return source


def expected_pieces(folder: Path) -> list[bytes]:
    found: dict[bytes, None] = {}
    for name in (b"a", b"b", b"x\xff", b"sub/c"):
        with open(os.fsencode(folder) + b"/" + name, "rb") as file:  # noqa: PTH123
            while len(piece := file.read(PIECE)) == PIECE:
                found[piece] = None
    return list(found)


def test_pieces_come_in_order_and_once(folder: Path) -> None:
    pieces = expected_pieces(folder)
    assert len(pieces) == 8
    dataset = build_dataset(spec(folder, 8))
    streamed = [bytes(payload) for batch in dataset.batches(3000) for payload in batch.payloads]
    assert streamed == pieces
    assert [dataset.payload(ordinal) for ordinal in range(8)] == pieces


def test_copies_are_made_of_them(folder: Path) -> None:
    manifest = prove(build_dataset(spec(folder, 8, 50, 2 * PIECE)))
    assert (manifest.objects, manifest.unique_objects) == (16, 8)
    assert manifest.distance_bytes == (2 * PIECE,) * 3


def test_a_single_file_and_a_part_of_the_source_will_do(folder: Path) -> None:
    dataset = build_dataset(spec(folder / "a", 2))
    assert [dataset.payload(0), dataset.payload(1)] == expected_pieces(folder)[:2]
    linked = build_dataset(spec(folder / "link", 2))
    assert linked.payload(1) == dataset.payload(1)


def test_pieces_of_many_reads_are_found(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(9_500_000)
    (tmp_path / "big").write_bytes(data)
    dataset = build_dataset(spec(tmp_path, 9500))
    assert dataset.payload(9499) == data[-PIECE:]
    assert b"".join(bytes(batch.data) for batch in dataset.batches(1_000_000)) == data


def test_too_few_unique_bytes_say_what_to_ask_for(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"8000 unique bytes .* at most 80000 logical_bytes"):
        build_dataset(spec(folder, 9, 90, "shuffled"))
    asked = DatasetSpec("files", 80_000, PIECE, 90, "shuffled", source=str(folder))
    assert prove(build_dataset(asked)).unique_bytes == 8000


@pytest.mark.parametrize("name", ["missing", "pipe", "empty", "tiny", "nothing"])
def test_a_source_that_gives_nothing_is_refused(folder: Path, name: str) -> None:
    (folder / "nothing").mkdir()
    with pytest.raises(DatasetError, match=name):
        build_dataset(spec(folder / name, 1))


def test_an_unreadable_source_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def refused(path: bytes, *flags: int) -> int:
        if path.endswith(b"/b"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *flags)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(DatasetError, match=r"/b' can't be read: Permission denied"):
        build_dataset(spec(folder, 8))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def replace(path: Path) -> None:
    aside = path.with_name("new")
    aside.write_bytes(path.read_bytes())
    os.utime(aside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    aside.rename(path)


@pytest.mark.parametrize(
    "change", [grow, rewrite, replace, lambda path: os.truncate(path, 10), Path.unlink]
)
def test_a_file_that_changes_in_use_is_named(folder: Path, change: object) -> None:
    # Written long ago, so that a change at once is not lost in the clock of the file system.
    os.utime(folder / "b", ns=(1, 1))
    dataset = build_dataset(spec(folder, 8))
    assert callable(change)
    change(folder / "b")
    assert dataset.payload(0)
    with pytest.raises(DatasetError, match="/b'"):
        list(dataset.batches(3000))
    with pytest.raises(DatasetError, match="/b'"):
        dataset.payload(3)


def test_a_source_must_be_named() -> None:
    with pytest.raises(PlanError, match="needs a source"):
        build_dataset(DatasetSpec("files", 1000, 10, 0, "none"))
