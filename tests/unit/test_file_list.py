"""Files listed before any is read, by the part in C and without it: the same, whatever is there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deduplab.bound.native import native
from deduplab.bound.sources.file_list import Folder, files_below
from deduplab.bound.sources.native_tree import APART, PLAIN, UNREAD, listed_below
from deduplab.bound.stream import LeftOut
from deduplab.hard_links import HardLinks
from tests.unit.bound_scans import compiled, found_native, switched_off

pytestmark = compiled

MANY = 8192
"""More files than one call lists, with those in other folders."""


def plain_tree(root: Path) -> None:
    for name in ("b", "a/deep/er", "a-b", "a/zz", "\xff"):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(len(name)):
            (folder / f"{number}{name[-1]}").write_bytes(b"x" * number * 1000)
    (root / "file").write_bytes(b"")


def mixed_tree(root: Path) -> None:
    plain_tree(root)
    (root / "a/link").symlink_to("../file")
    (root / "b/folder link").symlink_to("../a", target_is_directory=True)
    os.link(root / "file", root / "a/zz/second name")
    os.mkfifo(root / "a-b/pipe")
    (root / "a-b/below").mkdir()
    (root / "a-b/below/it").write_bytes(b"found all the same")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(root / "s"))


def many_files(root: Path) -> None:
    plain_tree(root)
    for folder in ("many", "z"):
        (root / folder).mkdir()
        for number in range(MANY // 2 + 1):
            (root / folder / f"{number}").touch()


def listed(root: bytes) -> tuple[list[Folder], list[LeftOut]]:
    left_out: list[LeftOut] = []
    return files_below(root, left_out, HardLinks()), left_out


@pytest.mark.parametrize("tree", [plain_tree, mixed_tree, many_files])
def test_a_tree_is_listed_alike_without_the_library(
    tree: Callable[[Path], None], tmp_path: Path
) -> None:
    tree(tmp_path)
    for root in (bytes(tmp_path), bytes(tmp_path) + b"/", bytes(tmp_path / "none")):
        found = listed(root)
        with switched_off():
            assert native() is None
            expected = listed(root)
        assert found == expected
    folders, left_out = listed(bytes(tmp_path))
    names = sum(len(folder.names) for folder in folders)
    regular = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert names + sum("hard link" in one.reason for one in left_out) == len(regular)


def test_only_what_is_not_plain_is_looked_at_apart(tmp_path: Path) -> None:
    mixed_tree(tmp_path)
    states = {
        os.fsdecode(one.path).removeprefix(str(tmp_path)): one.state
        for one in listed_below(found_native(), bytes(tmp_path))
    }
    apart = {"", "/a", "/a/zz", "/b", "/a-b"}
    assert {path for path, state in states.items() if state == APART} == apart
    assert {path for path, state in states.items() if state == PLAIN} == {
        "/a-b/below", "/a/deep", "/a/deep/er", "/\xff"
    }  # fmt: skip


def test_a_folder_that_can_not_be_read_is_left_to_others() -> None:
    with TemporaryDirectory() as name:
        gone = Path(name) / "gone"
        (one,) = listed_below(found_native(), bytes(gone))
    assert one == (bytes(gone), [], [], UNREAD)


def test_what_one_of_two_threads_fails_of_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_tree(tmp_path)
    library = found_native()
    begun_by = threading.current_thread()
    in_c = library.tree_next

    def no_memory_for_others(*arguments: int) -> int:
        listed: int = in_c(*arguments)
        return listed if threading.current_thread() is begun_by else -1

    monkeypatch.setattr(library, "tree_next", no_memory_for_others)
    with pytest.raises(MemoryError):
        files_below(bytes(tmp_path), [], HardLinks())
