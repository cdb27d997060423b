import bz2
import gzip
import io
import lzma
import os
import random
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from zstandard import ZstdCompressor

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets import build_dataset, prove
from deduplab.datasets import spool as spool_module
from deduplab.datasets.files import UserFiles
from deduplab.errors import DatasetError, PlanError
from deduplab.units import GIB, MIB
from tests.unit.real_data import written

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
    with pytest.raises(DatasetError, match=r"8000 unique bytes .* a logical_size of at most 80000"):
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


def natural(source: Path, *, logical_bytes: int = GIB, vary: bool = False) -> UserFiles:
    spec = DatasetSpec(
        "files",
        logical_bytes,
        PIECE,
        0,
        "none",
        source=str(source),
        sizes=SizeSpec("natural"),
        vary=vary,
    )
    return UserFiles(spec)


def test_whole_files_come_once_and_in_order(folder: Path) -> None:
    (folder / "sub" / "again").write_bytes((folder / "tiny").read_bytes())
    names = (b"a", b"b", b"tiny", b"x\xff", b"sub/c")
    contents = []
    for name in names:
        with open(os.fsencode(folder) + b"/" + name, "rb") as file:  # noqa: PTH123
            contents.append(file.read())
    payloads = natural(folder)
    assert written(payloads, range(payloads.found)) == contents
    assert written(payloads, [4, 0, 4]) == [contents[4], contents[0], contents[4]]
    assert payloads.record_type.parse(contents[0]) == (contents[0],)
    assert written(natural(folder / "a"), [0]) == contents[:1]


def test_empty_files_and_too_long_ones_are_left_out(folder: Path) -> None:
    assert natural(folder, logical_bytes=100).found == 1
    with pytest.raises(DatasetError, match=r"empty' has nothing of 1 to"):
        natural(folder / "empty")
    with pytest.raises(DatasetError, match=r"/a' has nothing of 1 to 100 bytes"):
        natural(folder / "a", logical_bytes=100)


@pytest.mark.parametrize("vary", [False, True])
def test_whole_files_are_varied(folder: Path, vary: bool) -> None:
    payloads = natural(folder, vary=vary)
    # The shortest can't bear a mark.
    assert payloads.found == (4 if vary else 5)
    assert (payloads.available is None) == vary
    if vary:
        objects = written(payloads, range(12))
        assert len(set(objects)) == 12
        assert [len(one) for one in objects[:4]] == [len(one) for one in objects[4:8]]


def test_a_mark_across_two_reads_is_seen(tmp_path: Path) -> None:
    content = bytes(4 * MIB - 3) + b"[edit 1" + bytes(100)
    (tmp_path / "marked").write_bytes(content)
    assert natural(tmp_path).found == 1
    with pytest.raises(DatasetError, match="has nothing"):
        natural(tmp_path, vary=True)


def test_a_sparse_file_of_3_gib_is_not_read_into_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 * GIB)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    payloads = natural(tmp_path, logical_bytes=4 * GIB)
    assert payloads.available_bytes == 3 * GIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


def test_a_file_too_long_for_an_object_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(4 * GIB)
    with pytest.raises(DatasetError, match=r"sparse' has 4294967296 bytes, .* cut it into pieces"):
        natural(tmp_path, logical_bytes=8 * GIB)
    one = DatasetSpec("files", 8 * GIB, 4 * GIB, 0, "none", source=str(tmp_path))
    with pytest.raises(PlanError, match="an object has 1 to 4294967295 bytes"):
        UserFiles(one)


@pytest.mark.parametrize("change", [grow, rewrite, replace, Path.unlink])
def test_a_whole_file_that_changes_in_use_is_named(
    folder: Path, change: Callable[[Path], None]
) -> None:
    os.utime(folder / "b", ns=(1, 1))
    payloads = natural(folder)
    change(folder / "b")
    assert written(payloads, [0])
    with pytest.raises(DatasetError, match="/b'"):
        written(payloads, [0, 1])


def test_a_file_that_vanishes_while_it_is_indexed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def vanishing(path: bytes, *flags: int) -> int:
        if path.endswith(b"/b"):
            os.unlink(path)  # noqa: PTH108
        return real_open(path, *flags)

    monkeypatch.setattr(os, "open", vanishing)
    with pytest.raises(DatasetError, match=r"/b' can't be read: No such file"):
        natural(folder)


def test_a_file_that_changes_while_it_is_indexed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_read = os.preadv
    os.utime(folder / "a", ns=(1, 1))

    def disturbed(descriptor: int, *arguments: object) -> int:
        grow(folder / "a")
        return real_read(descriptor, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", disturbed)
    for kind in ("natural", "fixed"):
        one = DatasetSpec(
            "files", GIB, PIECE, 0, "none", source=str(folder / "a"), sizes=SizeSpec(kind)
        )
        with pytest.raises(DatasetError, match=r"/a' changed while it was in use"):
            UserFiles(one)


MEMBERS = {
    "first": random.Random(3).randbytes(3000),
    "naïve/\udcff": b"text " * 50,
    "again": b"text " * 50,
    "empty": b"",
    "long": random.Random(4).randbytes(2 * MIB + 5),
}


def packed(path: Path) -> Path:
    """Pack the members by the path's ending; with a folder and a link among them."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "first"
        archive.addfile(link)
        within = tarfile.TarInfo("folder")
        within.type = tarfile.DIRTYPE
        archive.addfile(within)
    if path.name.endswith(".tar"):
        path.write_bytes(plain.getvalue())
    elif path.name.endswith(".zst"):
        path.write_bytes(ZstdCompressor().compress(plain.getvalue()))
    else:
        pack: dict[str, Callable[[bytes], bytes]] = {".bz2": bz2.compress, ".xz": lzma.compress}
        path.write_bytes(pack.get(path.suffix, gzip.compress)(plain.getvalue()))
    return path


@pytest.mark.parametrize("ending", ["tar", "tgz", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_members_of_an_archive_come_once(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "cache"))
    payloads = natural(packed(tmp_path / f"all.{ending}"))
    expected = [MEMBERS[name] for name in ("first", "naïve/\udcff", "long")]
    assert written(payloads, range(payloads.found)) == expected
    assert written(payloads, [2, 0]) == [expected[2], expected[0]]


def test_a_greater_spool_lies_in_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spool_module, "_RESIDENT_BYTES", 1000)
    monkeypatch.setattr(spool_module, "_WAITING_BYTES", 1000)
    payloads = natural(packed(tmp_path / "all.tgz"))
    expected = [MEMBERS[name] for name in ("first", "naïve/\udcff", "long")]
    assert written(payloads, range(payloads.found)) == expected
    assert written(payloads, [1, 2, 0, 2]) == [expected[place] for place in (1, 2, 0, 2)]
    assert list((tmp_path / "cache" / "spool").iterdir()) == []
    (tmp_path / "all.jsonl").write_text("\n".join(f'"{number:0500d}"' for number in range(99)))
    lines = natural(tmp_path / "all.jsonl")
    assert written(lines, [98, 0, 1]) == [f'"{number:0500d}"'.encode() for number in (98, 0, 1)]


def test_a_cache_that_can_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spool_module, "_RESIDENT_BYTES", 1000)
    with pytest.raises(DatasetError, match="set DEDUPLAB_CACHE to a folder with enough room"):
        natural(packed(tmp_path / "all.tgz"))


@pytest.mark.parametrize("ending", ["tar", "tgz", "tar.zst"])
def test_a_damaged_archive_is_named(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"all.{ending}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"all\.[a-z.]+' (can't be read|changed)"):
        natural(path)
    path.write_bytes(b"no archive at all " * 100)
    with pytest.raises(DatasetError, match=r"all\.[a-z.]+' can't be read"):
        natural(path)


def test_an_archive_that_changes_in_use_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "all.tar")
    payloads = natural(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DatasetError, match=r"all\.tar' changed"):
        written(payloads, [0])
