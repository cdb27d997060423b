"""The file of a sketch.

::

    magic    8 bytes      89 44 53 4B 54 43 0D 0A
    version  u32          2
    header   u32          length of the header in bytes
    columns  u64          length of the columns in bytes
    header   JSON         sources, streams, and for each tally its numbers
    columns  u64 each     for each tally: first, second, lengths, counts; then, if it has
                          compressed chunks: mark, length, count, and bytes for each codec
    check    32 bytes     BLAKE3 of all of the above

Numbers are little-endian. Nothing in a file is trusted: the lengths are held
against the file's before anything is allocated, then the check sum, then every
number against what a scan can have found.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from blake3 import blake3

from deduplab.bound.grains import ALL_GRAINS
from deduplab.bound.sketch import GrainSketch, Sketch, StreamSketch
from deduplab.bound.sketch_tallies import Count, Refused, Tally, described, read_tallies
from deduplab.bound.stream import LeftOut
from deduplab.errors import StoreError

MAGIC: Final = b"\x89DSKTC\r\n"
VERSION: Final = 2
_PREFIX: Final = struct.Struct("<8sIIQ")
_CHECK_BYTES: Final = 32


class _Stream(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    objects: Count
    logical_bytes: Count
    grains: dict[str, Count]  # the tally's place; grains may share one


class _LeftOut(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    reason: str


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    sources: list[str]
    left_out: list[_LeftOut]
    shards: Count
    streams: list[_Stream]
    tallies: list[Tally]


def save(sketch: Sketch, path: Path) -> None:
    """Write a sketch: aside, synced, then renamed.

    Raises
    ------
    StoreError
        If it can't be written, or if there is something that is no regular file.
    """
    try:
        # Only a file is ever replaced: renamed over, a device would be gone from the machine.
        if path.exists() and not path.is_file():
            raise StoreError(
                f"the sketch can't be written to {path}: it is no regular file; name another"
            )
        target = path.resolve()  # what a link points at, so that the link stays
        aside = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with aside.open("wb") as file:
                file.write(to_bytes(sketch))
                file.flush()
                os.fsync(file.fileno())
            aside.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):  # what is said is why it could not be written
                aside.unlink()
            raise
    except OSError as error:
        raise StoreError(f"the sketch can't be written to {path}: {error.strerror}") from error


def load(path: Path) -> Sketch:
    """Read a sketch, and check all of it.

    Raises
    ------
    StoreError
        If it can't be read, is no sketch, of another version, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_PREFIX.size)
            _lengths(start, os.fstat(file.fileno()).st_size)
            content = start + file.read()
    except OSError as error:
        raise StoreError(f"the sketch {path} can't be read: {error.strerror}") from error
    except Refused as refused:
        raise StoreError(f"{path}: {refused}") from None
    return from_bytes(content, str(path))


def to_bytes(sketch: Sketch) -> bytes:
    """Return a sketch as the content of its file."""
    places: dict[int, int] = {}
    tallies: list[Tally] = []
    columns: list[bytes] = []
    streams = []
    for name, stream in sketch.streams.items():
        for grain in stream.grains.values():
            if id(grain) not in places:
                places[id(grain)] = len(tallies)
                tallies.append(described(grain, columns))
        grains = {each: places[id(grain)] for each, grain in stream.grains.items()}
        streams.append(_Stream(name, stream.objects, stream.logical_bytes, grains))
    left_out = [_LeftOut(one.name, one.reason) for one in sketch.left_out]
    header = msgspec.json.encode(_Header(sketch.sources, left_out, sketch.shards, streams, tallies))
    prefix = _PREFIX.pack(MAGIC, VERSION, len(header), sum(map(len, columns)))
    content = b"".join([prefix, header, *columns])
    return content + blake3(content).digest()


def from_bytes(content: bytes, name: str) -> Sketch:
    """Read a sketch from the content of its file, and check all of it.

    Parameters
    ----------
    content
        The whole file.
    name
        Where it is from, for messages.

    Raises
    ------
    StoreError
        If it is no sketch, of another version, truncated or damaged.
    """
    try:
        return _read(content)
    except Refused as refused:
        raise StoreError(f"{name}: {refused}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{name}: the sketch is damaged ({error}); scan again") from None


def _lengths(start: bytes, file_bytes: int) -> tuple[int, int]:
    """Return the lengths of header and columns, which agree with that of the file."""
    if len(start) < _PREFIX.size or start[: len(MAGIC)] != MAGIC:
        raise Refused("this is not a sketch; sketches are written by: deduplab scan --sketch FILE")
    _, version, header_bytes, columns_bytes = _PREFIX.unpack(start[: _PREFIX.size])
    if version != VERSION:
        raise Refused(
            f"the sketch has version {version}, and this deduplab reads {VERSION}; scan again"
        )
    expected = _PREFIX.size + header_bytes + columns_bytes + _CHECK_BYTES
    if expected != file_bytes or columns_bytes % 8:
        raise Refused(
            f"the sketch is damaged: it has {file_bytes} bytes and says {expected}; "
            "copy it again, or scan again"
        )
    return header_bytes, columns_bytes


def _read(content: bytes) -> Sketch:
    header_bytes, columns_bytes = _lengths(content, len(content))
    view = memoryview(content)
    if blake3(view[:-_CHECK_BYTES]).digest() != content[-_CHECK_BYTES:]:
        raise Refused("the sketch is damaged: its check sum is wrong; copy it, or scan, again")
    columns_at = _PREFIX.size + header_bytes
    header = msgspec.json.decode(view[_PREFIX.size : columns_at], type=_Header)
    columns = np.frombuffer(content, "<u8", columns_bytes // 8, columns_at).astype(
        np.uint64, copy=False
    )
    tallies = read_tallies(header.tallies, columns)
    streams: dict[str, StreamSketch] = {}
    for stream in header.streams:
        if stream.name in streams or not _grains_fit(stream, tallies):
            raise Refused("the sketch is damaged: its streams contradict themselves; scan again")
        grains = {
            name: tallies[stream.grains[name]] for name in ALL_GRAINS if name in stream.grains
        }
        streams[stream.name] = StreamSketch(stream.objects, stream.logical_bytes, grains)
    left_out = [LeftOut(one.name, one.reason) for one in header.left_out]
    return Sketch(header.sources, streams, left_out, header.shards)


def _grains_fit(stream: _Stream, tallies: list[GrainSketch]) -> bool:
    return all(
        name in ALL_GRAINS
        and place < len(tallies)
        and tallies[place].logical_bytes == stream.logical_bytes
        for name, place in stream.grains.items()
    )
