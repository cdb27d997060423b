"""What is in the page cache of files, and that it can be dropped: on a real disk."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab.bench import page_cache
from deduplab.units import KIB, MIB

LENGTH = 2 * MIB + 5 * KIB  # the last page is not full
PAGES_BYTES = -(-LENGTH // mmap.PAGESIZE) * mmap.PAGESIZE


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="deduplab-test-", dir="/var/tmp") as name:
        if kind := page_cache.file_system_in_memory(Path(name)):
            pytest.skip(f"/var/tmp is a {kind}, of which nothing can be dropped")
        yield Path(name)


def test_what_was_written_is_cached_until_it_is_dropped(directory: Path) -> None:
    (directory / "below").mkdir()
    path = directory / "below" / "file"
    path.write_bytes(os.urandom(LENGTH))
    assert page_cache.file_bytes(directory) == LENGTH
    assert page_cache.resident_bytes(directory) == PAGES_BYTES
    page_cache.drop(directory)  # it is not even written out yet
    assert page_cache.resident_bytes(directory) == 0
    with path.open("rb") as file:
        file.seek(MIB)
        file.read(1)
    assert 0 < page_cache.resident_bytes(directory) < PAGES_BYTES
    path.read_bytes()
    assert page_cache.resident_bytes(directory) == PAGES_BYTES


def test_content_stays_what_it_is(directory: Path) -> None:
    content = os.urandom(LENGTH)
    (directory / "file").write_bytes(content)
    page_cache.drop(directory)
    assert (directory / "file").read_bytes() == content


def test_what_somebody_has_mapped_is_told_to_stay(directory: Path) -> None:
    path = directory / "file"
    path.write_bytes(os.urandom(MIB))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
        assert held[0] + held[-1] >= 0  # two pages are mapped now, and perhaps some around them
        page_cache.drop(directory)
        assert page_cache.resident_bytes(directory) >= 2 * mmap.PAGESIZE
    page_cache.drop(directory)
    assert page_cache.resident_bytes(directory) == 0


def test_a_file_of_two_names_counts_once_and_what_is_no_file_does_not(directory: Path) -> None:
    (directory / "file").write_bytes(os.urandom(MIB))
    (directory / "again").hardlink_to(directory / "file")
    (directory / "link").symlink_to("/etc/passwd")
    (directory / "empty").touch()
    os.mkfifo(directory / "pipe")
    assert page_cache.file_bytes(directory) == MIB
    assert page_cache.resident_bytes(directory) == MIB


def test_holes_are_not_in_memory(directory: Path) -> None:
    with (directory / "file").open("wb") as file:
        file.truncate(3 << 30)  # more than is looked at in one piece
        file.seek(2 << 30)
        file.write(b"x" * mmap.PAGESIZE)
    assert page_cache.resident_bytes(directory) == mmap.PAGESIZE


def test_a_file_system_of_memory_is_known_as_one() -> None:
    with tempfile.TemporaryDirectory(prefix="deduplab-test-", dir="/dev/shm") as name:
        assert page_cache.file_system_in_memory(Path(name)) == "tmpfs"
    assert page_cache.file_system_in_memory(Path("/proc")) == ""
