"""Archives: members as objects; a broken archive ends in a sentence, not in a wrong count."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from deduplab.bound.sources import open_source
from deduplab.bound.sources.base import BLOCK_BYTES
from deduplab.bound.sources.tar import TarSource
from deduplab.bound.sources.zip_archive import ZipSource
from deduplab.errors import DatasetError
from tests.unit.sources_reading import reasons, rows_of

CONTENTS = [
    random.Random(length).randbytes(length)
    for length in (0, 1, 511, 512, 513, 70_000, BLOCK_BYTES, 2 * BLOCK_BYTES + 5, 3)
]
_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def tar_bytes(contents: list[bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"folder/{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zip_bytes(contents: list[bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.mkdir("folder")
        for number, content in enumerate(contents):
            archive.writestr(f"folder/{number}", content)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", _COMPRESSORS)
def test_members_of_tar_archives(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"archive.tar{suffix}"
    path.write_bytes(_COMPRESSORS[suffix](tar_bytes(CONTENTS)))
    before = path.stat()
    source = open_source(str(path))
    assert isinstance(source, TarSource)
    assert rows_of(source) == CONTENTS
    assert source.left_out == []
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_links_and_other_kinds(tmp_path: Path, kind: int) -> None:
    long = "d" * 90 + "/" + "n" * 95
    with tarfile.open(tmp_path / "a.tar", "w", format=kind) as archive:
        for name, content in ((long, b"long"), ("short", b"short")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for kind_of_link in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("other" + kind_of_link.decode())
            member.type, member.linkname = kind_of_link, "short"
            archive.addfile(member)
        member = tarfile.TarInfo("last")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"last"))
    source = TarSource(str(tmp_path / "a.tar"))
    assert rows_of(source) == [b"long", b"short", b"last"]
    assert source.left_out == []


def test_lengths_in_base_256_and_in_extended_headers(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("member")
        member.size = 700
        member.pax_headers = {"size": "700", "comment": "any"}
        archive.addfile(member, io.BytesIO(bytes(700)))
    data = bytearray(stream.getvalue())
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert rows_of(TarSource(str(path))) == [bytes(700)]
    header = bytearray(tarfile.TarInfo("big").tobuf())
    header[124:136] = b"\x80" + (5).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + b"12345".ljust(512, b"\0") + bytes(1024))
    assert rows_of(TarSource(str(path))) == [b"12345"]


@pytest.mark.parametrize("suffix", _COMPRESSORS)
def test_a_tar_archive_cut_short_counts_what_came_before(tmp_path: Path, suffix: str) -> None:
    contents = [random.Random(number).randbytes(3000) for number in range(100)]
    whole = _COMPRESSORS[suffix](tar_bytes(contents))
    path = tmp_path / f"a.tar{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    source = TarSource(str(path))
    found = rows_of(source)
    assert found == contents[: len(found)]
    assert len(found) < 55
    assert f"broken after {len(found)} members, which are counted" in reasons(source)


def test_a_tar_archive_cut_at_a_member_s_end_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([bytes(512)] * 3)[: 512 * 3])
    source = TarSource(str(path))
    assert rows_of(source) == [bytes(512)]
    assert "without an end-of-archive mark" in reasons(source)


def test_a_large_member_that_is_cut_is_said_with_its_counted_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([bytes(3 * BLOCK_BYTES)])[: 2 * BLOCK_BYTES + 1024])
    source = TarSource(str(path))
    (found,) = rows_of(source)
    assert f"its first {len(found)} bytes are counted" in reasons(source)


def test_what_lies_behind_the_end_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([b"one"]) + tar_bytes([b"two"]))
    source = TarSource(str(path))
    assert rows_of(source) == [b"one"]
    assert "behind the end-of-archive mark are not counted" in reasons(source)


def test_a_wrong_checksum_of_the_compressed_stream_is_noticed(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(tar_bytes([b"data"])))
    data[-6] ^= 1
    path = tmp_path / "a.tar.gz"
    path.write_bytes(data)
    source = TarSource(str(path))
    assert rows_of(source) == [b"data"]
    assert "CRC check failed" in reasons(source)


def test_no_archive_at_all(tmp_path: Path) -> None:
    for name in ("a.tar", "a.tar.gz", "a.tgz"):
        path = tmp_path / name
        path.write_bytes(b"this is text, not an archive\n" * 30)
        source = open_source(str(path))
        assert rows_of(source) == []
        assert "broken after 0 members" in reasons(source)
    with pytest.raises(DatasetError, match="No such file"):
        rows_of(TarSource(str(tmp_path / "none.tar")))


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(tar_bytes([bytes(9 * BLOCK_BYTES)])))
    source = TarSource(str(path), expansion=10)
    assert len(rows_of(source)[0]) == 9 * BLOCK_BYTES, "below 1 GiB nothing is refused"
    import deduplab.bound.sources.decompress as module

    limit = module.ExpansionLimit(1000, times=5)
    limit.add(2**30)
    with pytest.raises(ValueError, match="decompression bomb"):
        limit.add(1)


def test_a_growing_archive_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deduplab.bound.sources.decompress.GIB", BLOCK_BYTES)
    tar = tmp_path / "bomb.tar.gz"
    tar.write_bytes(gzip.compress(tar_bytes([b"first", bytes(9 * BLOCK_BYTES)])))
    zipped = tmp_path / "bomb.zip"
    zipped.write_bytes(zip_bytes([b"first", bytes(9 * BLOCK_BYTES), b"last"]))
    for path in (tar, zipped):
        source = open_source(str(path), expansion=2)
        found = rows_of(source)
        assert found[0] == b"first"
        assert sum(map(len, found)) <= 2 * BLOCK_BYTES
        assert "decompression bomb" in reasons(source)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_members_of_zip_archives(tmp_path: Path, method: int) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(zip_bytes(CONTENTS, method))
    source = open_source(str(path))
    assert isinstance(source, ZipSource)
    assert rows_of(source) == CONTENTS
    assert source.left_out == []
    assert source.total_bytes() == sum(map(len, CONTENTS))


def test_a_damaged_zip_member_counts_nothing_and_the_others_all(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([b"A" * 5000, b"B" * 5000, b"C" * 5000], zipfile.ZIP_STORED))
    data[data.index(b"B" * 100) + 50] ^= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    source = ZipSource(str(path))
    assert rows_of(source) == [b"A" * 5000, b"C" * 5000]
    assert "folder/1: broken: Bad CRC-32" in reasons(source)
    assert "nothing of it is counted" in reasons(source)


def test_a_damaged_large_zip_member_is_said_with_its_counted_bytes(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([bytes(3 * BLOCK_BYTES), b"last"], zipfile.ZIP_STORED))
    data[2 * BLOCK_BYTES] ^= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    source = ZipSource(str(path))
    found = rows_of(source)
    assert found[-1] == b"last"
    assert f"its first {len(found[0])} bytes are counted" in reasons(source)


def test_a_zip_archive_cut_short_has_no_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes(CONTENTS)[:-30])
    with pytest.raises(DatasetError, match="nothing of it is counted"):
        rows_of(ZipSource(str(path)))
    assert ZipSource(str(path)).total_bytes() is None


def test_an_encrypted_member_is_left_out(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([b"one", b"two"], zipfile.ZIP_STORED))
    local, central = data.index(b"PK\x03\x04", 40), data.index(b"PK\x01\x02", 40)
    central = data.index(b"PK\x01\x02", central + 4)
    data[local + 6] |= 1
    data[central + 8] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    source = ZipSource(str(path))
    assert rows_of(source) == [b"two"]
    assert "encrypted" in reasons(source)


def test_a_member_without_a_name_is_an_object(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"nameless")
        archive.writestr("named", b"another")
    assert rows_of(open_source(str(path))) == [b"nameless", b"another"]


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([b"one" * 100, b"two" * 100], zipfile.ZIP_STORED))
    last = data.rindex(b"PK\x01\x02")
    first = data.index(b"folder/0") - 30
    data[last + 42 : last + 46] = (first + 5).to_bytes(4, "little")
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="overlap"):
        rows_of(ZipSource(str(path)))


def test_an_archive_that_changes_while_it_is_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes(CONTENTS))
    source = TarSource(str(path))
    blocks = source.blocks()
    next(blocks)
    with path.open("ab") as file:
        file.write(bytes(512))
    list(blocks)
    assert "changed while it was read" in reasons(source)
