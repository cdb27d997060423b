"""Pack files: chunks back to back, appended only, so that no chunk is rounded up to a block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from deduplab.adapters._marker import sync_directory
from deduplab.adapters._reference import Buffer, write_all

PACK_BYTES: Final = 64 * 1024 * 1024
_SUFFIX: Final = ".pack"


class PackFiles:
    """Numbered files of at most 64 MiB; the newest is appended to, whole packs are removed.

    Nothing is preallocated: a pack takes what its chunks take, rounded up once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptors: dict[int, int] = {}
        path.mkdir(exist_ok=True)
        for file in sorted(path.glob(f"*{_SUFFIX}")):
            self._descriptors[int(file.stem)] = _open(file)
        if not self._descriptors:
            self.begin()

    @property
    def newest(self) -> int:
        """The number of the pack that is appended to."""
        return max(self._descriptors)

    def begin(self) -> int:
        """Begin a new pack and return its number."""
        number = max(self._descriptors, default=0) + 1
        self._descriptors[number] = _open(self._file(number))
        sync_directory(self._path)
        return number

    def append(self, chunks: Sequence[Buffer]) -> list[tuple[int, int]]:
        """Append chunks; return the pack and offset of each. On stable storage on return.

        If they can't all be written, none is left.
        """
        before = self.ends()
        try:
            return self._append(chunks)
        except OSError:
            self.keep(before)
            raise

    def _append(self, chunks: Sequence[Buffer]) -> list[tuple[int, int]]:
        pack = self.newest
        offset = self.size_bytes(pack)
        places: list[tuple[int, int]] = []
        waiting: list[Buffer] = []
        for chunk in chunks:
            if offset and offset + len(chunk) > PACK_BYTES:
                self._write(pack, waiting)
                waiting = []
                pack, offset = self.begin(), 0
            places.append((pack, offset))
            waiting.append(chunk)
            offset += len(chunk)
        self._write(pack, waiting)
        return places

    def _write(self, pack: int, chunks: list[Buffer]) -> None:
        if chunks:
            write_all(self._descriptors[pack], b"".join(chunks))
            os.fsync(self._descriptors[pack])

    def read(self, pack: int, offset: int, length: int) -> bytes:
        """Return a chunk.

        Raises
        ------
        OSError
            If the pack is gone or too short.
        """
        descriptor = self._descriptors.get(pack)
        content = b"" if descriptor is None else os.pread(descriptor, length, offset)
        if len(content) != length:
            raise OSError(f"pack {pack} has no {length} bytes at {offset}")
        return content

    def keep(self, ends: dict[int, int]) -> None:
        """Keep these packs alone, each cut at its end; begin a new one if none is kept."""
        self.remove([pack for pack in self._descriptors if pack not in ends])
        for pack, end in ends.items():
            if self.size_bytes(pack) > end:
                os.ftruncate(self._descriptors[pack], end)
                os.fsync(self._descriptors[pack])
        if not self._descriptors:
            self.begin()

    def ends(self) -> dict[int, int]:
        """Return the length of each pack, by number."""
        return {pack: self.size_bytes(pack) for pack in self._descriptors}

    def remove(self, packs: Iterable[int]) -> None:
        """Remove whole packs."""
        for pack in packs:
            os.close(self._descriptors.pop(pack))
            self._file(pack).unlink()
        sync_directory(self._path)

    def size_bytes(self, pack: int) -> int:
        """Return the length of a pack."""
        return os.fstat(self._descriptors[pack]).st_size

    def total_bytes(self) -> int:
        """Return the length of all packs."""
        return sum(map(self.size_bytes, self._descriptors))

    def close(self) -> None:
        """Close all files."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _file(self, pack: int) -> Path:
        return self._path / f"{pack:06d}{_SUFFIX}"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
