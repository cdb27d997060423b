"""Compressed files as streams: gzip, bzip2, xz and zstd, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, cast

import zstandard

from deduplab.bound.sources.tree import unreadable
from deduplab.errors import DatasetError
from deduplab.units import GIB, KIB

BROKEN: Final = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What the decompressors raise on data that is cut short or damaged."""

EXPANSION: Final = 2_000
"""Times its own length that a compressed file may grow to, above 1 GiB, before it is refused."""

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_PIECE_BYTES: Final = 4 * KIB
"""Compressed bytes at a time for zstd: 4 KiB can become 128 MiB at most."""


class Expanded(ValueError):
    """A compressed file grows beyond the limit; see :data:`EXPANSION`."""


class ExpansionLimit:
    """Counts bytes that come out of a compressed file, and refuses too many.

    Parameters
    ----------
    compressed_bytes
        The file's own length.
    times
        How often its own length it may become; always at least 1 GiB.
    """

    def __init__(self, compressed_bytes: int, times: int = EXPANSION) -> None:
        self._most_bytes = max(GIB, times * compressed_bytes)
        self._times = times
        self._bytes = 0

    def add(self, count_bytes: int) -> None:
        """Count bytes.

        Raises
        ------
        Expanded
            If there are too many now.
        """
        self._bytes += count_bytes
        if self._bytes > self._most_bytes:
            raise Expanded(
                f"it grows beyond 1 GiB and {self._times} times its own length, as a "
                "decompression bomb does (raise the limit with expansion=...)"
            )


def format_of(head: bytes) -> str:
    """Return the compression that a file's first bytes tell, ``""`` for none."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file and decompress it where its first bytes ask for that.

    Raises
    ------
    DatasetError
        If it can't be opened.
    """
    try:
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - closed below
    except OSError as error:
        raise DatasetError(f"{path!r} {unreadable(error)}") from error
    with file:
        head = file.read(6) or b""
        file.seek(0)
        buffered = cast("BinaryIO", io.BufferedReader(file, 256 * KIB))
        yield _decompressed(format_of(head), buffered)


def _decompressed(name: str, file: BinaryIO) -> BinaryIO:
    if name == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if name == "bzip2":
        return cast("BinaryIO", bz2.BZ2File(file))
    if name == "xz":
        return cast("BinaryIO", lzma.LZMAFile(file))
    if name == "zstd":
        return cast("BinaryIO", io.BufferedReader(_Zstd(file), 256 * KIB))
    return file


class _Zstd(io.RawIOBase):
    """Frames of zstd one after another; unlike the library's reader it tells a cut last frame."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, out: Any) -> int:
        """Fill ``out`` as far as there is something; 0 at the end.

        Raises
        ------
        EOFError
            If the last frame is cut short.
        """
        while not self._ready:
            self._compressed = self._compressed or self._file.read(_PIECE_BYTES)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("the compressed file ends before its last frame does")
                return 0
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        count = min(len(out), len(self._ready))
        out[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
