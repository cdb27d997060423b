"""The reference stores: what is synced when, what survives a crash, and what is refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from deduplab.adapter import Adapter
from deduplab.adapters import _marker, _reference
from deduplab.adapters._per_object import file_name
from deduplab.adapters.chunked import ChunkedAdapter
from deduplab.adapters.compressed import CompressedAdapter
from deduplab.adapters.plain import PlainAdapter
from deduplab.adapters.single_instance import SingleInstanceAdapter
from deduplab.errors import NamespaceRefused, OperationFailed
from deduplab.server import Endpoint
from deduplab.testing import batch_of, random_payload
from tests.unit.reference_stores import (
    FILE_STORES,
    INDEXED,
    UNIQUE,
    Make,
    reopen,
)


def synced_paths(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Record every fsync: whether of a file or a directory, and the file's length then."""
    synced: list[tuple[str, int]] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        status = os.fstat(descriptor)
        is_directory = stat.S_ISDIR(status.st_mode)
        synced.append(("directory", 0) if is_directory else ("file", status.st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return synced


@pytest.mark.parametrize("kind", [PlainAdapter, CompressedAdapter])
def test_a_put_syncs_its_file_then_its_directory(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: type[Adapter]
) -> None:
    adapter = make(kind)
    synced = synced_paths(monkeypatch)
    adapter.put("key", UNIQUE["o00000000"])
    assert synced == [("file", 8192), ("directory", 0)]


def test_a_put_syncs_the_payload_before_the_index(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make(SingleInstanceAdapter)
    synced = synced_paths(monkeypatch)
    adapter.put("key", UNIQUE["o00000000"])
    assert [what for what, _ in synced] == ["file", "directory", "file"]
    assert synced[0] == ("file", 8192)
    synced.clear()
    adapter.put("copy", UNIQUE["o00000000"])
    assert [what for what, _ in synced] == ["file"]


def test_a_batch_of_many_files_is_synced_as_a_whole_before_it_is_acknowledged(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make(PlainAdapter)
    written: list[int] = []

    def record(path: str) -> None:
        files = (tmp_path / "store").rglob("objects/*/*")
        written.append(sum(file.stat().st_size for file in files))

    monkeypatch.setattr("deduplab.adapters._reference.sync_file_system", record)
    adapter.put_many(batch_of(UNIQUE))
    assert written == [sum(map(len, UNIQUE.values()))]


def test_a_batch_of_chunks_is_synced_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make(ChunkedAdapter)
    synced = synced_paths(monkeypatch)
    adapter.put_many(batch_of(UNIQUE))
    assert [what for what, _ in synced] == ["file", "file"]
    assert synced[0] == ("file", sum(map(len, UNIQUE.values())))


@pytest.mark.parametrize("kind", FILE_STORES)
def test_a_batch_is_all_or_nothing(make: Make, tmp_path: Path, kind: type[Adapter]) -> None:
    adapter = make(kind)
    key, *_ = UNIQUE
    adapter.put(key, b"already here")
    before = adapter.engine_reading().components
    with pytest.raises(OperationFailed, match="exists"):
        adapter.put_many(batch_of(dict(reversed(UNIQUE.items()))))
    with pytest.raises(OperationFailed, match="twice"):
        adapter.put_many(batch_of([("new", b"one"), ("new", b"two")]))
    assert adapter.count() == 1
    assert adapter.get(key) == b"already here"
    assert adapter.engine_reading().components == before


@pytest.mark.parametrize("kind", FILE_STORES)
def test_a_full_disk_is_a_failed_operation_and_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Adapter]
) -> None:
    adapter = make(kind)
    adapter.put("before", b"payload")
    before = adapter.engine_reading().components
    real, calls = os.write, iter(range(1000))

    def full(descriptor: int, content: bytes) -> int:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OperationFailed, match="No space left"):
            adapter.put_many(batch_of(UNIQUE))
    assert adapter.count() == 1
    assert adapter.engine_reading().components == before
    reopen(adapter, tmp_path)
    assert adapter.count() == 1
    assert adapter.put_many(batch_of(UNIQUE)) == len(UNIQUE)
    assert all(adapter.get(key) == payload for key, payload in UNIQUE.items())


@pytest.mark.parametrize("torn", [1, 7, 8, 20])
@pytest.mark.parametrize("kind", INDEXED)
def test_a_torn_index_loses_only_what_was_not_acknowledged(
    make: Make, tmp_path: Path, kind: type[Adapter], torn: int
) -> None:
    adapter = make(kind)
    adapter.put_many(batch_of(UNIQUE))
    whole = adapter.engine_reading().components
    adapter.put("unacknowledged", random_payload(8192, 99))
    adapter.close()
    log = tmp_path / "store" / "index.log"
    os.truncate(log, whole["index"] + torn)
    adapter.open(Endpoint(directory=tmp_path))
    assert adapter.count() == len(UNIQUE)
    assert adapter.get("unacknowledged") is None
    assert adapter.engine_reading().components == whole
    adapter.put("unacknowledged", random_payload(8192, 99))
    reopen(adapter, tmp_path)
    assert adapter.count() == len(UNIQUE) + 1
    assert all(adapter.get(key) == payload for key, payload in UNIQUE.items())


def test_a_damaged_index_entry_ends_the_log(tmp_path: Path) -> None:
    path = tmp_path / "index.log"
    log = _reference.IndexLog(path)
    for record in (b"first", b"second", b"third"):
        log.append(record)
    log.close()
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"second")] ^= 1
    path.write_bytes(raw)
    log = _reference.IndexLog(path)
    assert log.replay() == [b"first"]
    log.append(b"fourth")
    assert log.replay() == [b"first", b"fourth"]
    log.close()


def test_a_repack_that_was_cut_off_is_undone(make: Make, tmp_path: Path) -> None:
    adapter = make(ChunkedAdapter)
    adapter.put_many(batch_of(UNIQUE))
    before = adapter.engine_reading().components
    adapter.close()
    (tmp_path / "store" / "packs" / "000002.pack").write_bytes(b"copied, not committed")
    (tmp_path / "store" / "index.log.new").write_bytes(b"half an index")
    adapter.open(Endpoint(directory=tmp_path))
    assert adapter.engine_reading().components == before
    assert [path.name for path in (tmp_path / "store" / "packs").iterdir()] == ["000001.pack"]
    assert not (tmp_path / "store" / "index.log.new").exists()
    assert all(adapter.get(key) == payload for key, payload in UNIQUE.items())


def test_a_lost_payload_is_an_error_and_not_a_missing_key(make: Make, tmp_path: Path) -> None:
    for kind, pattern in ((SingleInstanceAdapter, "payloads/*/*"), (ChunkedAdapter, "packs/*")):
        adapter = make(kind)
        adapter.put("key", b"payload")
        (file,) = (tmp_path / "store").glob(pattern)
        file.write_bytes(b"") if kind is ChunkedAdapter else file.unlink()
        with pytest.raises(OperationFailed, match="get of 'key'"):
            adapter.get("key")
        adapter.close()


def test_keys_of_every_letter_have_files_of_their_own() -> None:
    keys = ["", ".", "..", "%", "%2E", "a/b", "a%2Fb", "/", "a b", "A", "a", *map(chr, range(128))]
    names = {key: file_name(key) for key in keys}
    assert len(set(names.values())) == len(names)
    assert not any("/" in name or "\0" in name or name in (".", "..") for name in names.values())


def test_a_moved_namespace_is_not_ours(make: Make, tmp_path: Path) -> None:
    adapter = make(PlainAdapter)
    adapter.put("key", b"payload")
    (tmp_path / "store").rename(tmp_path / "moved")
    with pytest.raises(NamespaceRefused, match="marker"):
        adapter.destroy()
    with pytest.raises(NamespaceRefused, match="moved here"):
        adapter.create("moved", layout="blob", variant="default", durability="fsync")
    assert len(list((tmp_path / "moved" / "objects").glob("*/*"))) == 1


def test_a_foreign_marker_is_not_ours(tmp_path: Path) -> None:
    for content in ("[]", "{}", '{"mark": "other"}', "not json"):
        directory = tmp_path / "foreign"
        directory.mkdir(exist_ok=True)
        (directory / _marker.MARKER_NAME).write_text(content)
        with pytest.raises(NamespaceRefused):
            _marker.MarkedDirectory(directory).remove()
        assert (directory / _marker.MARKER_NAME).read_text() == content
