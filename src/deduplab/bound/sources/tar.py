"""Tar archives, plain or compressed: an object is a member that holds data.

Own reader of the format (POSIX.1-2017, "pax Interchange Format" and "ustar
Interchange Format"; GNU tar manual, "Basic Tar Format"): every header is
checked, lengths can't be negative, and member data goes straight into the block.
Links, folders and devices hold no data. Of a sparse member, what is stored of it
is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from deduplab.bound.sources.base import ScanSource
from deduplab.bound.sources.decompress import BROKEN, EXPANSION, ExpansionLimit, opened
from deduplab.bound.sources.members import Members
from deduplab.bound.sources.tree import shown
from deduplab.bound.sources.watched import watched
from deduplab.bound.stream import Block
from deduplab.units import KIB, MIB

RECORD_BYTES: Final = 512
_ZERO: Final = bytes(RECORD_BYTES)
_WITHOUT_DATA: Final = b"123456"
_METADATA: Final = b"VDNX"
_MOST_EXTENSION_BYTES: Final = MIB


class _Header(NamedTuple):
    kind: int
    name: bytes
    length_bytes: int
    more_sparse: bool


class TarSource(ScanSource):
    """A tar archive, compressed by gzip, bzip2, xz, zstd or not at all.

    Parameters
    ----------
    path
        The archive.
    expansion
        Times its own length that it may become, above 1 GiB.
    """

    def __init__(self, path: str, expansion: int = EXPANSION) -> None:
        super().__init__(path)
        self._expansion = expansion

    def blocks(self) -> Iterator[Block]:
        """Read all members in the order of the archive."""
        self.left_out.clear()
        members = Members(self)
        with watched(self, self.name) as length_bytes, opened(self.name) as stream:
            reader = _Reader(stream, ExpansionLimit(length_bytes, self._expansion))
            try:
                yield from self._members(reader, members)
            except BROKEN as error:
                members.rest_is_lost(error)
            yield from members.buffer.hand_out()

    def _members(self, reader: _Reader, members: Members) -> Iterator[Block]:
        while header := reader.next_member():
            padding_bytes = -header.length_bytes % RECORD_BYTES
            yield from members.add(shown(header.name), header.length_bytes, reader.readinto)
            members.close()
            reader.skip(padding_bytes)
        behind_bytes = reader.bytes_behind_the_end()
        if behind_bytes:
            self.leave_out(
                self.name,
                f"{behind_bytes} bytes behind the end-of-archive mark are not counted "
                "(several archives in one file?)",
            )


class _Reader:
    """Reads headers, and what lies between them."""

    def __init__(self, stream: BinaryIO, limit: ExpansionLimit) -> None:
        self._stream = stream
        self._limit = limit

    def readinto(self, room: memoryview) -> int:
        count: int = self._stream.readinto(room) or 0  # type: ignore[attr-defined]
        self._limit.add(count)
        return count

    def next_member(self) -> _Header | None:
        """Return the next member with data, None at the end-of-archive mark."""
        name, length_bytes = b"", None
        while True:
            record = self._exactly(RECORD_BYTES)
            if record == _ZERO:
                return None
            header = _parsed(record)
            if header.kind in b"LKxg":
                extension = self._extension(header)
                if header.kind == ord("L"):
                    name = extension.rstrip(b"\0")
                elif header.kind == ord("x"):
                    pax = _pax(extension)
                    name = pax.get(b"path", name)
                    length_bytes = _pax_length(pax, length_bytes)
                continue
            if header.kind in _WITHOUT_DATA or header.name.endswith(b"/"):
                name, length_bytes = b"", None
                continue
            if length_bytes is not None:
                header = header._replace(length_bytes=length_bytes)
            self._skip_sparse_map(header)
            if header.kind not in _METADATA:
                return header._replace(name=name or header.name)
            self.skip(header.length_bytes + -header.length_bytes % RECORD_BYTES)
            name, length_bytes = b"", None

    def skip(self, count_bytes: int) -> None:
        """Pass over bytes that hold no member's data."""
        while count_bytes > 0:
            count_bytes -= len(self._exactly(min(count_bytes, 64 * KIB)))

    def bytes_behind_the_end(self) -> int:
        """Read what is left, so that checksums are checked; return its bytes if not all zero."""
        behind_bytes, zero = 0, True
        while piece := self._stream.read(64 * KIB):
            self._limit.add(len(piece))
            behind_bytes += len(piece)
            zero = zero and not piece.strip(b"\0")
        return 0 if zero else behind_bytes

    def _extension(self, header: _Header) -> bytes:
        if header.length_bytes > _MOST_EXTENSION_BYTES:
            raise ValueError(f"an extended header of {header.length_bytes} bytes")
        data = self._exactly(header.length_bytes)
        self.skip(-header.length_bytes % RECORD_BYTES)
        return data

    def _skip_sparse_map(self, header: _Header) -> None:
        more = header.more_sparse
        while more:
            more = bool(self._exactly(RECORD_BYTES)[504])

    def _exactly(self, count_bytes: int) -> bytes:
        parts = b""
        while len(parts) < count_bytes:
            piece = self._stream.read(count_bytes - len(parts))
            if not piece:
                raise EOFError("it ends without an end-of-archive mark")
            parts += piece
        self._limit.add(count_bytes)
        return parts


def _parsed(record: bytes) -> _Header:
    """Read a header.

    Raises
    ------
    ValueError
        If its checksum is wrong or a number is none.
    """
    blanked = record[:148] + b" " * 8 + record[156:]
    stated = _number(record[148:156])
    if stated not in (sum(blanked), sum(byte - 256 * (byte > 127) for byte in blanked)):
        raise ValueError("a header's checksum is wrong")
    kind = record[156] or ord("0")
    name = record[:100].split(b"\0", 1)[0]
    if record[257:263] == b"ustar\0":
        prefix = record[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    more_sparse = kind == ord("S") and bool(record[482])
    return _Header(kind, name, _number(record[124:136]), more_sparse)


def _number(field: bytes) -> int:
    """Read a number: octal digits, or base 256 after a byte 0x80 (GNU)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    if digits.translate(None, b"01234567"):
        raise ValueError(f"a header has no number where one must be: {field!r}")
    return int(digits or b"0", 8)


def _pax(data: bytes) -> dict[bytes, bytes]:
    """Read the records of an extended header: ``length key=value newline``."""
    found: dict[bytes, bytes] = {}
    while data.strip(b"\0"):
        digits, space, _ = data[:20].partition(b" ")
        length_bytes = int(digits) if space and digits.isdigit() else 0
        record = data[len(digits) + 1 : length_bytes]
        if not record.endswith(b"\n") or length_bytes > len(data):
            raise ValueError("an extended header's record is wrong")
        key, _, value = record[:-1].partition(b"=")
        found[key] = value
        data = data[length_bytes:]
    return found


def _pax_length(pax: dict[bytes, bytes], before: int | None) -> int | None:
    value = pax.get(b"size")
    if value is None:
        return before
    if not value.isdigit():
        raise ValueError("an extended header gives no number as the length")
    return int(value)
