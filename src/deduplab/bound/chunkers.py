"""Chunkers: where a payload is cut, at fixed offsets or where its content says so.

Content-defined cuts are those of FastCDC 2020 (W. Xia et al., "The Design of
Fast Content-Defined Chunking for Data Deduplication Based Storage Systems",
IEEE TPDS 31(9), 2020) with normalised chunking at level 1 and the gear table of
its authors, as computed by ``pyfastcdc``. For an average of A bytes a chunk has
at least A / 4 bytes (but the last one of a payload may be shorter) and at most
4 A. Bytes before the minimum are skipped, so that the mean over random data is
about 1.1 A.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

LEAST_AVERAGE_BYTES: Final = 256
GREATEST_AVERAGE_BYTES: Final = 4 * 1024 * 1024
NORMALISATION_LEVEL: Final = 1


def cut_points(data: bytes | memoryview, average_bytes: int) -> list[int]:
    """Cut a payload where its content says so.

    A change of the payload moves only the cuts near it; this is what finds
    near duplicates.

    Parameters
    ----------
    data
        The payload.
    average_bytes
        The average that the chunker aims at: a power of two, 256 to 4 MiB.

    Returns
    -------
    list of int
        The end of each chunk, as an offset in bytes, ascending; the last is the
        payload's length. Empty for an empty payload.

    Raises
    ------
    ValueError
        If the average is not a power of two or out of range.
    """
    if len(data) <= least_chunk_bytes(average_bytes):
        return [len(data)] if len(data) else []
    return [chunk.offset + chunk.length for chunk in _chunker(average_bytes).cut_buf(data)]


def first_cut_point(data: bytes | memoryview, average_bytes: int) -> int:
    """Return the first of :func:`cut_points` of a payload that is not empty, and look no further.

    Raises
    ------
    ValueError
        If the average is not a power of two or out of range.
    """
    return next(iter(_chunker(average_bytes).cut_buf(data))).length


def fixed_cut_points(length_bytes: int, block_bytes: int) -> list[int]:
    """Cut a payload of a length into blocks of one size; the last block may be shorter.

    Returns
    -------
    list of int
        The end of each block, as an offset in bytes, ascending; the last is the
        payload's length. Empty for an empty payload.

    Raises
    ------
    ValueError
        If the block is not at least one byte.
    """
    if block_bytes < 1:
        raise ValueError(f"a block has at least one byte, not {block_bytes}")
    cuts = list(range(block_bytes, length_bytes, block_bytes))
    return [*cuts, length_bytes] if length_bytes else cuts


def least_chunk_bytes(average_bytes: int) -> int:
    """Return the length up to which a payload is never cut, for an average in bytes.

    Raises
    ------
    ValueError
        If the average is not a power of two or out of range.
    """
    power_of_two = average_bytes & (average_bytes - 1) == 0
    if not (power_of_two and LEAST_AVERAGE_BYTES <= average_bytes <= GREATEST_AVERAGE_BYTES):
        raise ValueError(
            f"an average of {average_bytes} bytes can't be cut at: take a power of two, "
            f"{LEAST_AVERAGE_BYTES} to {GREATEST_AVERAGE_BYTES}"
        )
    return average_bytes // 4


def greatest_chunk_bytes(average_bytes: int) -> int:
    """Return the length of the longest chunk, for an average in bytes."""
    return 4 * average_bytes


@cache
def _chunker(average_bytes: int) -> FastCDC:
    # Imported late: blocks of a fixed size do without it.
    from pyfastcdc import FastCDC

    return FastCDC(
        average_bytes,
        min_size=least_chunk_bytes(average_bytes),
        max_size=greatest_chunk_bytes(average_bytes),
        normalized_chunking=NORMALISATION_LEVEL,
    )
