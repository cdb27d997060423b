"""From a sample of chunks and what codecs make of them to ratios, and how far these may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Final

from deduplab.bound.heads import CODECS
from deduplab.bound.results import Compression

if TYPE_CHECKING:
    from deduplab.bound.compression import Sampled

_MOST_DEVIATIONS: Final = 3
"""So far the bytes that a sample stands for may be off what is there, in standard deviations."""


def packed_ratios(
    chunks: Sequence[Sampled], thinning: int, logical_bytes: int
) -> list[Compression]:
    """Return the ratios, codec by codec, that a sample of this thinning lets expect.

    They are ratios of Horvitz-Thompson sums: a chunk of L bytes, which is in the sample with
    probability p = min(1, L / 2^thinning), stands for 1 / p of its kind. What a codec makes of
    the head of a chunk, it is taken to make of all of it.

    A chunk is the likelier in the sample the longer it is, not the more often it is there. Where
    few chunks (zeros, most often) are much of the data, the sample has them or lacks them by
    chance. It is held against ``logical_bytes``, the length of all chunks, which is known.
    """
    lengths = [one.length_bytes for one in chunks]
    heads = [one.head_bytes for one in chunks]
    counts = [one.count for one in chunks]
    weights = [max(1.0, 2.0**thinning / length) for length in lengths]
    weighed = list(map(mul, weights, lengths))
    weighed_all = list(map(mul, weighed, counts))
    # What lies behind a head is as unknown as a chunk that is not in the sample.
    known = [
        head / length / weight for head, length, weight in zip(heads, lengths, weights, strict=True)
    ]
    complete = min(known) == 1
    stands_for_all = _stands_for(logical_bytes, weighed_all, weights)
    found = []
    for index, codec in enumerate(CODECS):
        packed = [
            weighed_bytes * one.compressed_bytes[index] / head
            for weighed_bytes, one, head in zip(weighed, chunks, heads, strict=True)
        ]
        packed_all = list(map(mul, packed, counts))
        found.append(
            Compression(
                codec=codec,
                unique_ratio=math.fsum(weighed) / math.fsum(packed),
                all_ratio=math.fsum(weighed_all) / math.fsum(packed_all)
                if stands_for_all
                else None,
                relative_standard_error=0.0
                if complete
                else _relative_error(weighed, packed, known),
                all_relative_standard_error=_relative_error(weighed_all, packed_all, known)
                if stands_for_all and not complete
                else (0.0 if complete else None),
                sampled_bytes=sum(heads),
                sampled_chunks=len(chunks),
                complete=complete,
            )
        )
    return found


def _stands_for(logical_bytes: int, weighed_all: Sequence[float], weights: Sequence[float]) -> bool:
    """Tell whether a sample's estimate of the length of all chunks is that length.

    To within three of its standard deviations, those of Poisson sampling: sqrt(sum (1 - p) x^2),
    x what a chunk stands for.
    """
    squares = math.fsum(
        (1 - 1 / weight) * size**2 for size, weight in zip(weighed_all, weights, strict=True)
    )
    off_bytes = abs(math.fsum(weighed_all) - logical_bytes)
    return off_bytes <= _MOST_DEVIATIONS * math.sqrt(squares) + 1e-6 * logical_bytes


def _relative_error(
    weighed: Sequence[float], packed: Sequence[float], known: Sequence[float]
) -> float | None:
    """Return the relative standard error of a ratio; None where one chunk says nothing of it.

    That of Poisson sampling, sqrt(sum (1 - p) (e / p)^2), e by how much a chunk is off the
    common share, times sqrt(n / (n - 1)).
    """
    count = len(weighed)
    if count == 1:
        return None
    share = math.fsum(packed) / math.fsum(weighed)
    squares = math.fsum(
        (1 - part) * (size - length * share) ** 2
        for length, size, part in zip(weighed, packed, known, strict=True)
    )
    return math.sqrt(squares * count / (count - 1)) / math.fsum(packed)
