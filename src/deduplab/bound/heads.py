"""The heads of chunks that are in samples for compression, until they are compressed."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from deduplab.units import MIB

CODECS: Final = ("zstd-1", "zstd-3", "lz4")
MOST_WAITING_BYTES: Final = 48 * MIB
"""What waits in all streams of a scan; one of them has up to 28 MiB in its samples."""

Sizes = tuple[int, ...]
"""What each codec makes of a head, in bytes."""


class _OfThread(threading.local):
    """What one thread compresses with: two that use one compressor at once break each other's work.

    Attributes
    ----------
    compressors
        One a codec; none before the first head.
    """

    def __init__(self) -> None:
        self.compressors: list[Callable[[memoryview], int]] = []


_of_thread: Final = _OfThread()


class Head:
    """The head of a chunk, and what each codec makes of it, once it was asked for.

    Without data and sizes it is one that another process compresses.
    """

    __slots__ = ("__weakref__", "_data", "_sizes")

    def __init__(self, data: bytes | None, sizes: Sizes = ()) -> None:
        self._data = data
        self._sizes = sizes

    @property
    def waiting_bytes(self) -> int:
        """What it takes as long as it is not compressed."""
        return 0 if self._data is None else len(self._data)

    @property
    def known_bytes(self) -> Sizes:
        """The sizes, one a codec; none if it was not compressed yet."""
        return self._sizes

    @property
    def compressed_bytes(self) -> Sizes:
        """The sizes, one a codec; the data is let go of."""
        if self._data is not None:
            self._sizes, self._data = _compressed(self._data), None
        return self._sizes


class WaitingHeads:
    """Heads that wait until samples are complete, since most of them are dropped before.

    A table has a stream a column, each with samples of its own: where all that waits takes too
    much memory, it is compressed.
    """

    def __init__(self, most_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most_bytes = most_bytes
        self._heads: WeakSet[Head] = WeakSet()
        self._bytes = 0  # at most: what was dropped meanwhile is not known

    def new(self, data: bytes) -> Head:
        """Return a head that waits from now on."""
        head = Head(data)
        self._heads.add(head)
        self._bytes += len(data)
        if self._bytes > self._most_bytes:
            self._bytes = sum(one.waiting_bytes for one in self._heads)
            # Were it done only where it is as much, nearly every further head would come here.
            if self._bytes > self._most_bytes * 2 // 3:
                for one in self._heads:
                    _ = one.compressed_bytes
                self._heads.clear()
                self._bytes = 0
        return head


def _compressed(head: bytes) -> Sizes:
    """Return what each codec makes of bytes; what does not get smaller is left as it is."""
    if not _of_thread.compressors:
        _of_thread.compressors = _compressors()
    compressors = _of_thread.compressors
    return tuple(min(len(head), compress(memoryview(head))) for compress in compressors)


def _compressors() -> list[Callable[[memoryview], int]]:
    # Imported late: a scan that compresses nothing starts faster without them.
    import zstandard

    lz4 = importlib.import_module("lz4.block")  # it brings no types

    fast = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=True)
    usual = zstandard.ZstdCompressor(level=3, write_checksum=False, write_content_size=True)
    return [
        lambda head: len(fast.compress(head)),
        lambda head: len(usual.compress(head)),
        lambda head: len(lz4.compress(head, store_size=False)),
    ]
