"""The part of the scan that is compiled from C: where it is, and how it is called.

The library is built with the package where there is a C compiler (``hatch_build.py``). Without
it, or with ``DEDUPLAB_NATIVE=0`` in the environment, Python and the packages that it needs in
any case do the same, and take longer.

The library hashes by the very function of the package ``xxhash``, which its extension module
shows to C; where that is not so, the library is not used. Nothing here needs numpy, whose
import takes as long as the scan of some hundred MiB.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Iterable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_uint64, c_void_p
from functools import cache
from typing import Any, Final

from xxhash import xxh3_128_digest

from deduplab.bound.figures import COUNTED_APART, OCTAVES, PERCENTS
from deduplab.bound.histogram import BINS

SETTING: Final = "DEDUPLAB_NATIVE"
LIBRARY: Final = "_native.so"
# The first one chooses by the processor at hand; not everywhere is there more than the second.
_HASHES: Final = ("XXH3_128bits_dispatch", "XXH3_128bits")
_PROBE: Final = bytes(range(256)) * 2
_PROBED_LENGTHS: Final = (1, 4, 9, 17, 129, 512)
"""One of each kind that the hash tells apart."""

CUTS_HEAD_BYTES: Final = 16
CHUNK_BYTES: Final = 24
"""A chunk in the library's memory: its length, and the halves of its fingerprint, each u64."""
ANY_LENGTH: Final = 2**63 - 1
WHOLE_NUMBER: Final = -1
"""The number of whole objects among the grains of a scan."""


class TallyNumbers(ctypes.Structure):
    """What stands first in ``struct tally``; see ``tally.h``."""

    _fields_ = (
        ("chunks", c_uint64),
        ("logical_bytes", c_uint64),
        ("used", c_int64),
        ("most_rows", c_int64),
        ("halvings", c_int64),
        ("distances", c_uint64 * BINS),
    )


class TreeNumbers(ctypes.Structure):
    """What stands first in ``struct tree``; see ``tree.c``."""

    _fields_ = (
        ("names", c_void_p),
        ("names_bytes", c_int64),
        ("lengths", c_void_p),
        ("files", c_int64),
        ("paths", c_void_p),
        ("paths_bytes", c_int64),
        ("counts", c_void_p),
        ("folders", c_int64),
        ("waits", c_int64),
    )


class FiguresNumbers(ctypes.Structure):
    """``struct figures`` of ``figures.h``."""

    _fields_ = (
        ("unique_chunks", c_uint64),
        ("unique_bytes", c_uint64),
        ("squares_low", c_uint64),
        ("squares_high", c_uint64),
        ("copies", c_uint64 * (COUNTED_APART + OCTAVES)),
        ("lengths", c_uint64 * OCTAVES),
        ("percentiles", c_uint64 * len(PERCENTS)),
    )


class Native:
    """The functions of the library, under their names; its sources in C say what they do.

    Where a function wants a place in memory, an address does, or ``bytes`` that it only reads.
    """

    def __init__(self, library: ctypes.CDLL, hash_address: int) -> None:
        self.hash_address = hash_address

        def function(name: str, *arguments: Any, result: Any = c_int) -> Callable[..., Any]:
            found: Any = getattr(library, name)
            found.argtypes, found.restype = arguments, result
            called: Callable[..., Any] = found
            return called

        place, number = c_void_p, c_int64
        self.scan_hash = function("scan_hash", place, place, number, POINTER(c_uint64), result=None)
        self.scan_new = function(
            "scan_new", place, number, place, place, place, place, number, number, number,
            result=place,
        )  # fmt: skip
        self.scan_free = function("scan_free", place, result=None)
        self.scan_tally = function("scan_tally", place, number, result=place)
        self.scan_ascends = function("scan_ascends", place, number)
        self.scan_objects = function(
            "scan_objects", place, place, place, place, place, number, number, number,
            result=number,
        )  # fmt: skip
        self.scan_cut = function("scan_cut", place, place, number, number, number, result=number)
        self.scan_cuts = function("scan_cuts", place, result=place)
        self.scan_hashed = function("scan_hashed", place, result=place)
        self.scan_pick_objects = function(
            "scan_pick_objects", place, place, place, number, number, number, place, result=number
        )
        self.scan_pick_cuts = function("scan_pick_cuts", place, place, number, place, result=number)
        self.scan_picked = function("scan_picked", place, result=place)
        self.scan_count_object = function(
            "scan_count_object", place, place, number, c_uint64, c_uint64
        )
        self.scan_count_part = function("scan_count_part", place, place, place, number)
        self.scan_count_whole = function("scan_count_whole", place, number, c_uint64, c_uint64)
        self.scan_expect = function("scan_expect", place, number)
        self.scan_carried = function("scan_carried", place, number, POINTER(c_int64), result=place)
        self.scan_begin_part = function("scan_begin_part", place, result=None)
        self.tally_close = function("tally_close", place)
        self.tally_settle = function("tally_settle", place)
        self.tally_columns = function(
            "tally_columns", place, place, place, place, place, result=None
        )
        self.tally_occurrences = function("tally_occurrences", place, place, result=None)
        self.tally_rows = function("tally_rows", place, result=place)
        self.tally_absorb = function("tally_absorb", place, place, place)
        self.claim = function("claim", place)
        self.is_claimed = function("is_claimed", place)
        self.tally_figures = function("tally_figures", place, POINTER(FiguresNumbers))
        self.tree_new = function("tree_new", c_char_p, result=place)
        self.tree_next = function("tree_next", place, number, result=number)
        self.tree_split = function("tree_split", place, result=place)
        self.tree_free = function("tree_free", place, result=None)
        self.files_read = function(
            "files_read", number, place, number, place, number, number, number, number, number,
            place, POINTER(c_int64), result=number,
        )  # fmt: skip

    def hash_of(self, data: bytes) -> bytes:
        """Return the fingerprint of some bytes: two halves, little-endian."""
        halves = (c_uint64 * 2)()
        self.scan_hash(self.hash_address, data, len(data), halves)
        return b"".join(half.to_bytes(8, "little") for half in halves)


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


def checked(result: int) -> int:
    """Return what a function of the library returned, unless it found no memory."""
    if result < 0:
        raise MemoryError("there is no memory for what a scan has to count")
    return result


def int64s(numbers: Iterable[int]) -> bytes:
    """Return whole numbers as the library takes them."""
    listed = list(numbers)
    return bytes((c_int64 * len(listed))(*listed))


def address_of(data: memoryview) -> int:
    """Return where bytes lie in memory; 0 if there are none."""
    if not len(data):
        return 0
    if not data.readonly:
        return ctypes.addressof(ctypes.c_char.from_buffer(data))
    import numpy as np  # late, as only some sources hand out what can't be written to

    address: int = np.frombuffer(data, dtype=np.uint8).__array_interface__["data"][0]
    return address


def _hash_address() -> int | None:
    """Return where XXH3-128 lies in the extension module of xxhash; None if it is not shown."""
    module = ctypes.CDLL(importlib.import_module("xxhash._xxhash").__file__)
    for name in _HASHES:
        if hasattr(module, name):
            return ctypes.cast(getattr(module, name), c_void_p).value
    return None


def _hashes_alike(found: Native) -> bool:
    """Tell whether what is called is the hash."""
    return all(
        found.hash_of(_PROBE[:length]) == xxh3_128_digest(_PROBE[:length])
        for length in _PROBED_LENGTHS
    )
