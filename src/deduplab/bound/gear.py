"""The cuts of FastCDC at several averages from one pass over the data, by code compiled from C.

The pass finds the places where a cut may be at any average (``gear.c`` says how), each
average then chooses among these. The library is built with the package where there is a C
compiler; without it, or with ``DEDUPLAB_NATIVE=0`` in the environment, ``pyfastcdc`` cuts at one
average after the other, as it does where there is but one: the same cuts.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

SETTING: Final = "DEDUPLAB_NATIVE"
LIBRARY: Final = "_gear.so"
LEAST_AVERAGE_BYTES: Final = 4096
GREATEST_AVERAGE_BYTES: Final = 4 * 1024 * 1024
LEAST_MARKED_BYTES: Final = 8192
"""Shorter pieces are not marked: the calls would take longer than cutting them."""
_BYTES_PER_MARK: Final = 64
"""Room for this many times more marks than random data has; what has more is not marked."""


class Piece:
    """Bytes that are cut at several averages, and marked when first asked to.

    Parameters
    ----------
    data
        The bytes; they must not change as long as this is used.
    averages
        At how many averages they are cut. At one alone, ``pyfastcdc`` is as fast, as it
        passes over the bytes that lie below the least length of each chunk.
    """

    __slots__ = ("_address", "_bytes", "_looked_for", "_marks", "data")

    def __init__(self, data: memoryview, averages: int) -> None:
        self.data = data
        self._looked_for = averages < 2 or len(data) < LEAST_MARKED_BYTES
        self._marks: npt.NDArray[np.uint64] | None = None

    def lengths(self, average_bytes: int, begin: int = 0) -> npt.NDArray[np.int64] | None:
        """Return the lengths of the chunks from a place on, in bytes; None if not cut here.

        Parameters
        ----------
        average_bytes
            The average of the chunks, a power of two.
        begin
            Where the first chunk begins.
        """
        library = _library()
        if library is None or not LEAST_AVERAGE_BYTES <= average_bytes <= GREATEST_AVERAGE_BYTES:
            return None
        if not self._looked_for:
            self._mark(library)
        if self._marks is None:
            return None
        most = max(0, len(self.data) - begin) * 4 // average_bytes + 1
        found = np.empty(most, dtype=np.int64)
        count = library.gear_cuts(
            self._address,
            begin,
            len(self.data),
            _address(self._marks),
            len(self._marks),
            average_bytes.bit_length() - 1,
            _address(found),
        )
        return found[:count]

    def _mark(self, library: ctypes.CDLL) -> None:
        self._looked_for = True
        self._bytes = np.frombuffer(self.data, dtype=np.uint8)
        self._address = _address(self._bytes)
        most = len(self.data) // _BYTES_PER_MARK
        room = np.empty((most, 2), dtype=np.uint64)
        count = library.gear_marks(self._address, len(self.data), _address(room), most)
        if count >= 0:
            # A copy, so that the room is let go.
            self._marks = room[:count].copy()


def cutter_name(averages: int = 2) -> str:
    """Return what cuts at so many averages: ``deduplab``'s compiled code or ``pyfastcdc``."""
    return "pyfastcdc" if averages < 2 or _library() is None else "deduplab"


@cache
def _library() -> ctypes.CDLL | None:
    """Load the library that lies beside this file, if it was built and is wanted."""
    if os.environ.get(SETTING) == "0":
        return None
    try:
        # No pathlib: a scan of files starts faster without it.
        library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), LIBRARY))  # noqa: PTH118, PTH120
        marks, cuts = library.gear_marks, library.gear_cuts
    except (OSError, AttributeError):
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    marks.argtypes = [pointer, number, pointer, number]
    cuts.argtypes = [pointer, number, number, pointer, number, number, pointer]
    marks.restype = cuts.restype = number
    return library


def _address(array: npt.NDArray[np.generic]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
