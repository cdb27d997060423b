"""What the file-based reference stores share: files in a fan-out, an index log, the simple verbs.

A reference store is a system with a known answer. It is durable at every
acknowledgement, finds its objects again after a restart, and does nothing in
the background. Here the adapter is the store, so it writes files and hashes.
"""

from __future__ import annotations

import os
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from struct import Struct
from typing import Final, TypeAlias

from deduplab import __version__
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter, now_unix_ns
from deduplab.adapters._marker import sync_directory, sync_file_system
from deduplab.batch import Batch
from deduplab.model import Reading
from deduplab.record import Stored

Buffer: TypeAlias = bytes | memoryview

REFERENCE_COMPONENTS: Final = (*METADATA_COMPONENTS, ("*/index.log*", "index"))
_FAN_OUT: Final = 64
_SYNCED_SINGLY: Final = 8  # files or directories; more of them are synced by one call
_FRAME: Final = Struct("<II")  # length of the body, CRC-32 of the body


class ReferenceAdapter(EmbeddedAdapter):
    """Base of the reference stores: synced at every acknowledgement, idle ever after.

    In the layout native an object is the record's canonical serialisation, which
    ``get`` returns; a file that holds one object ends as its content type asks.
    """

    def _load_driver(self) -> None:
        return

    def _version(self) -> str:
        return __version__

    @abstractmethod
    def _insert(self, keys: Sequence[str], payloads: Sequence[Buffer]) -> None:
        """Store objects durably, all or none; an existing key is an error."""

    @abstractmethod
    def _components(self) -> dict[str, int]:
        """Return the bytes that the store holds, by component."""

    def put(self, key: str, payload: Stored) -> None:
        """Store one object, a record by its canonical bytes; on stable storage at the return."""
        record_type = self._entered().layout.record_type
        content = payload if record_type is None else record_type.canonical(payload)
        if not isinstance(content, bytes):
            raise self._failed(f"put of {key!r}", "the layout blob stores payloads, not records")
        try:
            self._insert((key,), (content,))
        except OSError as error:
            raise self._failed(f"put of {key!r}", error) from error

    def put_many(self, batch: Batch) -> int:
        """Store a batch, synced once at its end."""
        data = batch.data
        bounds = batch.offsets.tolist()
        views = [data[start:stop] for start, stop in pairwise(bounds)]
        try:
            self._insert(batch.keys, views)
        except OSError as error:
            raise self._failed(f"put of {len(batch)} objects", error) from error
        return len(batch)

    def flush(self) -> None:
        """Do nothing: what was acknowledged is on stable storage."""
        self._entered()

    def engine_reading(self) -> Reading:
        """Return the lengths of what the store holds; directories and block rounding excluded."""
        self._entered()
        components = self._components()
        return Reading.of_parts(
            components,
            source=f"{self.product}: lengths of its files",
            at_unix_ns=now_unix_ns(),
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return nothing: there is no work in the background."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Return nothing: the files tell all."""
        return {}

    def _check_new(self, keys: Sequence[str], exists: Callable[[str], bool]) -> None:
        """Refuse a batch with a key that is stored already, or twice in the batch."""
        if len(keys) > 1 and len(set(keys)) != len(keys):
            raise self._failed("put of a batch", "a key is in it twice")
        for key in keys:
            if exists(key):
                raise self._exists(key)


class FanOut:
    """Files of one kind in 64 directories, all made at the start.

    The directories belong to the empty store, so that (until a directory
    outgrows its first block) a file costs its own blocks and nothing else.
    Where a file goes depends on its name alone: equal names, equal directories.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        if not (path / f"{_FAN_OUT - 1:02x}").exists():  # made last, so all are there
            for number in range(_FAN_OUT):
                (path / f"{number:02x}").mkdir(parents=True, exist_ok=True)
            sync_directory(path)
            sync_directory(path.parent)

    def path_of(self, name: str) -> str:
        """Return where the file of that name is or would be."""
        return f"{self._path}/{zlib.crc32(name.encode()) % _FAN_OUT:02x}/{name}"

    def write(self, files: Iterable[tuple[str, Buffer]]) -> None:
        """Make files that must not exist; all are on stable storage when this returns.

        A few are synced one by one, many by one call for their file system. If
        one can't be made, none is left.

        Raises
        ------
        FileExistsError
            If there is a file of such a name.
        """
        made: list[str] = []
        unsynced: list[int] = []
        try:
            for name, content in files:
                path = self.path_of(name)
                unsynced.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                made.append(path)
                write_all(unsynced[-1], content)
                if len(made) > _SYNCED_SINGLY:
                    _close(unsynced)
            if len(made) > _SYNCED_SINGLY:
                sync_file_system(self._path)
            else:
                _sync_and_close(unsynced)
                self._sync_parents(made)
        except BaseException:
            for descriptor in unsynced:
                os.close(descriptor)
            for path in made:
                os.unlink(path)  # noqa: PTH108 - the paths are plain text here, for speed
            raise

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name."""
        return os.path.lexists(self.path_of(name))

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None if there is none of that name."""
        try:
            descriptor = os.open(self.path_of(name), os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return file.read()

    def remove(self, names: Iterable[str]) -> int:
        """Remove files; return how many there were. Durable when this returns."""
        removed: list[str] = []
        for name in names:
            path = self.path_of(name)
            try:
                os.unlink(path)  # noqa: PTH108
            except FileNotFoundError:
                continue
            removed.append(path)
        self._sync_parents(removed)
        return len(removed)

    def _sync_parents(self, paths: Iterable[str]) -> None:
        """Make made or removed names durable."""
        directories = {path.rpartition("/")[0] for path in paths}
        if len(directories) > _SYNCED_SINGLY:
            sync_file_system(self._path)
            return
        for directory in directories:
            sync_directory(directory)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """Yield all files."""
        for number in range(_FAN_OUT):
            with os.scandir(f"{self._path}/{number:02x}") as entries:
                yield from entries

    def total_bytes(self) -> int:
        """Return the sum of all files' lengths."""
        return sum(entry.stat().st_size for entry in self.entries())


class IndexLog:
    """An append-only log of framed records with checksums; a torn end is cut off at the start.

    Parameters
    ----------
    path
        The log's file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.new")
        self._aside.unlink(missing_ok=True)  # a compaction that was cut off
        new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if new:
            sync_directory(path.parent)

    def replay(self) -> list[bytes]:
        """Return all whole records in order, and cut off what follows them."""
        raw = self._path.read_bytes()
        records: list[bytes] = []
        position = 0
        while position + _FRAME.size <= len(raw):
            length, checksum = _FRAME.unpack_from(raw, position)
            start = position + _FRAME.size
            body = raw[start : start + length]
            if len(body) < length or zlib.crc32(body) != checksum:
                break
            records.append(body)
            position = start + length
        if position < len(raw):
            os.ftruncate(self._descriptor, position)
            os.fsync(self._descriptor)
        return records

    def append(self, record: bytes) -> None:
        """Append one record: whole on stable storage when this returns, or not there at all."""
        before = self.size_bytes
        try:
            write_all(self._descriptor, _framed(record))
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise

    def rewrite(self, records: Iterable[bytes]) -> None:
        """Replace the log by these records in one step: compaction."""
        descriptor = os.open(self._aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            for record in records:
                write_all(descriptor, _framed(record))
            os.fsync(descriptor)
            self._aside.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        sync_directory(self._path.parent)
        self.close()
        self._descriptor = descriptor

    @property
    def size_bytes(self) -> int:
        """The log's length."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def write_all(descriptor: int, content: Buffer) -> None:
    """Write everything; one ``write`` may take only a part."""
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, memoryview(content)[written:])


def _framed(record: bytes) -> bytes:
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _sync_and_close(descriptors: list[int]) -> None:
    while descriptors:
        os.fsync(descriptors[-1])
        os.close(descriptors.pop())
