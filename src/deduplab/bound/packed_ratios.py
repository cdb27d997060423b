"""From a sample of chunks and what codecs make of them to ratios, and how far these may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING

from deduplab.bound.heads import CODECS
from deduplab.bound.results import Compression

if TYPE_CHECKING:
    from deduplab.bound.compression import Sampled


def packed_ratios(chunks: Sequence[Sampled], thinning: int) -> list[Compression]:
    """Return the ratios, codec by codec, that a sample of this thinning lets expect.

    They are ratios of Horvitz-Thompson sums: a chunk of L bytes, which is in the sample with
    probability p = min(1, L / 2^thinning), stands for 1 / p of its kind. What a codec makes of
    the head of a chunk, it is taken to make of all of it.
    """
    lengths = [one.length_bytes for one in chunks]
    heads = [one.head_bytes for one in chunks]
    counts = [one.count for one in chunks]
    weights = [max(1.0, 2.0**thinning / length) for length in lengths]
    weighed = list(map(mul, weights, lengths))
    unique_bytes, all_bytes = math.fsum(weighed), math.fsum(map(mul, weighed, counts))
    # What lies behind a head is as unknown as a chunk that is not in the sample.
    known = [
        head / length / weight for head, length, weight in zip(heads, lengths, weights, strict=True)
    ]
    complete = min(known) == 1
    found = []
    for index, codec in enumerate(CODECS):
        packed = [
            weighed_bytes * one.compressed_bytes[index] / head
            for weighed_bytes, one, head in zip(weighed, chunks, heads, strict=True)
        ]
        packed_bytes = math.fsum(packed)
        share = packed_bytes / unique_bytes
        error = _relative_error(weighed, packed, known, share)
        found.append(
            Compression(
                codec=codec,
                unique_ratio=unique_bytes / packed_bytes,
                all_ratio=all_bytes / math.fsum(map(mul, packed, counts)),
                relative_standard_error=0.0 if complete else error,
                sampled_bytes=sum(heads),
                sampled_chunks=len(chunks),
                complete=complete,
            )
        )
    return found


def _relative_error(
    weighed: Sequence[float], packed: Sequence[float], known: Sequence[float], share: float
) -> float | None:
    """Return the relative standard error of a ratio; None where one chunk says nothing of it.

    That of Poisson sampling, sqrt(sum (1 - p) (e / p)^2), e by how much a chunk is off the
    common share, times sqrt(n / (n - 1)).
    """
    count = len(weighed)
    if count == 1:
        return None
    squares = math.fsum(
        (1 - part) * (size - length * share) ** 2
        for length, size, part in zip(weighed, packed, known, strict=True)
    )
    return math.sqrt(squares * count / (count - 1)) / math.fsum(packed)
