"""The part of the scan that is compiled from C: where it is, and how it is called.

The library is built with the package where there is a C compiler (``hatch_build.py``). Without
it, or with ``DEDUPLAB_NATIVE=0`` in the environment, Python and the packages that it needs in
any case do the same, and take longer.

The library hashes by the very function of the package ``xxhash``, which its extension module
shows to C; where that is not so, the library is not used.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

Column = npt.NDArray[np.uint64]

SETTING: Final = "DEDUPLAB_NATIVE"
LIBRARY: Final = "_native.so"
# The first one chooses by the processor at hand; not everywhere is there more than the second.
_HASHES: Final = ("XXH3_128bits_dispatch", "XXH3_128bits")
_PROBE: Final = bytes(range(256)) * 2
MARK_BYTES: Final = 16
_BYTES_PER_MARK: Final = 64
"""Room for this many times more marks than random data has; what has more is not marked."""
_LEAST_MARKS: Final = 64


class Room:
    """Memory that the library writes to, used again and again: it only grows."""

    __slots__ = ("_address", "_memory")

    def __init__(self) -> None:
        self._memory = np.empty(0, dtype=np.uint8)
        self._address = 0

    def of(self, length_bytes: int) -> int:
        """Return the address of so many bytes; what was written to it before is lost."""
        if length_bytes > len(self._memory):
            self._memory = np.empty(length_bytes + length_bytes // 4, dtype=np.uint8)
            self._address = address(self._memory)
        return self._address

    def written(self, length_bytes: int) -> bytes:
        """Return a copy of the first bytes."""
        return self._memory[:length_bytes].tobytes()


class _Rooms(threading.local):
    """Each thread has its own, as the library lets other threads run meanwhile."""

    def __init__(self) -> None:
        self.marks, self.lengths, self.counts, self.digests = Room(), Room(), Room(), Room()


class Native:
    """The functions of the library; its sources in C say more of each.

    Numbers are int64 and digests 16 bytes each, as bytes that follow each other: what lies in
    them can be handed to C without a step of its own for each.
    """

    def __init__(self, library: ctypes.CDLL, hash_address: int) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._hash_address = hash_address
        self._rooms = _Rooms()

        def function(name: str, *arguments: Any) -> Callable[..., int]:
            found = getattr(library, name)
            found.argtypes, found.restype = arguments, number
            called: Callable[..., int] = found
            return called

        self._gear_marks = function("gear_marks", pointer, number, pointer, number)
        self._gear_cuts = function(
            "gear_cuts", pointer, pointer, pointer, number, pointer, number, number, pointer,
            pointer,
        )  # fmt: skip
        self._fixed_cuts = function("fixed_cuts", pointer, number, number, pointer, pointer)
        self._digests = function(
            "chunk_digests", pointer, pointer, pointer, pointer, number, pointer, pointer, pointer
        )

        self._rows_count = function(
            "rows_count", pointer, number, number, pointer, pointer, pointer, pointer, number,
            ctypes.c_uint64, pointer, pointer,
        )  # fmt: skip
        self._rows_move = function("rows_move", pointer, number, pointer, number, number)

    def marks(self, data_address: int, length_bytes: int) -> bytes | None:
        """Return the places where a cut may be; None if there are far more than in random data."""
        most = length_bytes // _BYTES_PER_MARK + _LEAST_MARKS
        room = self._rooms.marks
        count = self._gear_marks(data_address, length_bytes, room.of(most * MARK_BYTES), most)
        return room.written(count * MARK_BYTES) if count >= 0 else None

    def content_cuts(
        self, data_address: int, marks: bytes, begins: bytes, sizes: bytes, most: int, bits: int
    ) -> tuple[bytes, bytes]:
        """Return the lengths of the chunks, at most so many, and how many each object has."""
        rooms, objects = self._rooms, len(sizes) // 8
        count = self._gear_cuts(
            data_address, begins, sizes, objects, marks, len(marks) // MARK_BYTES, bits,
            rooms.lengths.of(8 * most), rooms.counts.of(8 * objects),
        )  # fmt: skip
        return rooms.lengths.written(8 * count), rooms.counts.written(8 * objects)

    def fixed_cuts(self, sizes: bytes, most: int, block_bytes: int) -> tuple[bytes, bytes]:
        """Return the same of blocks of one size."""
        rooms, objects = self._rooms, len(sizes) // 8
        count = self._fixed_cuts(
            sizes, objects, block_bytes, rooms.lengths.of(8 * most), rooms.counts.of(8 * objects)
        )
        return rooms.lengths.written(8 * count), rooms.counts.written(8 * objects)

    def digests(
        self, data_address: int, begins: bytes, counts: bytes, lengths: bytes, known: bytes = b""
    ) -> bytes:
        """Return the digest of each chunk, given those of the objects if they are known."""
        room, digests_bytes = self._rooms.digests, 2 * len(lengths)
        self._digests(
            self._hash_address, data_address, begins, counts, len(begins) // 8, lengths,
            known or None, room.of(digests_bytes),
        )  # fmt: skip
        return room.written(digests_bytes)

    def count_rows(
        self, slots: Column, halvings: int, behind: int, *chunks: Column
    ) -> tuple[int, Column]:
        """Count chunks (halves of fingerprints, lengths, ends) in slots.

        There must be more slots than rows, those that are to come included. Returns how many are
        new rows, and of each that ended behind a place before the bytes since then.
        """
        count = len(chunks[0])
        gaps, written = np.empty(count, dtype=np.uint64), ctypes.c_int64()
        news = self._rows_count(
            address(slots), len(slots), halvings, *map(address, chunks), count, behind,
            address(gaps), ctypes.byref(written),
        )  # fmt: skip
        return news, gaps[: written.value]

    def move_rows(self, slots: Column, wider: Column, halvings: int) -> None:
        """Put all rows of some slots into others, which are free."""
        self._rows_move(address(slots), len(slots), address(wider), len(wider), halvings)


@cache
def native() -> Native | None:
    """Return the library's functions, None if it was not built or is not wanted."""
    if os.environ.get(SETTING) == "0":
        return None
    try:
        # No pathlib: a scan of files starts faster without it.
        path = os.path.join(os.path.dirname(__file__), LIBRARY)  # noqa: PTH118, PTH120
        hash_address = _hash_address()
        found = Native(ctypes.CDLL(path), hash_address) if hash_address else None
    except (OSError, AttributeError):
        return None
    return found if found is not None and _hashes_alike(found) else None


def address(array: npt.NDArray[np.generic]) -> int:
    """Return where an array lies in memory."""
    found: int = array.__array_interface__["data"][0]
    return found


def address_of(data: memoryview) -> int:
    """Return where bytes lie in memory, at least one."""
    if data.readonly:
        return address(np.frombuffer(data, dtype=np.uint8))
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def _hash_address() -> int | None:
    """Return where XXH3-128 lies in the extension module of xxhash; None if it is not shown."""
    module = ctypes.CDLL(importlib.import_module("xxhash._xxhash").__file__)
    for name in _HASHES:
        if hasattr(module, name):
            return ctypes.cast(getattr(module, name), ctypes.c_void_p).value
    return None


def _hashes_alike(found: Native) -> bool:
    """Tell whether what is called is the hash: once for each kind of length that it tells apart."""
    data = np.frombuffer(_PROBE, dtype=np.uint8)
    zero, one = (0).to_bytes(8, sys.byteorder), (1).to_bytes(8, sys.byteorder)
    return all(
        found.digests(address(data), zero, one, length.to_bytes(8, sys.byteorder))
        == xxh3_128_digest(_PROBE[:length])
        for length in (1, 4, 9, 17, 129, 512)
    )
