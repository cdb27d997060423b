"""Samples for compression that forked processes agree on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import permutations

import pytest

from deduplab.bound.agreed_samples import AgreedSamples
from deduplab.bound.compression import CompressionSample, Picked
from deduplab.bound.limits import COMPRESSED_BYTES
from deduplab.bound.native import native
from deduplab.bound.native_samples import _Reader
from deduplab.units import KIB

library = native()
pytestmark = pytest.mark.skipif(library is None, reason="the part in C was not built")

_SIZES = (KIB, 8 * KIB)
"""Lengths of the chunks of two samples."""


class _Samples:
    """The samples of one process, as :class:`NativeSamples` shows them."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._samples = [CompressionSample() for _ in _SIZES]
        for number in numbers:
            for sample, length in zip(self._samples, _SIZES, strict=True):
                data = number.to_bytes(4, "little") * (length // 4)
                mark = random.Random(number).getrandbits(64)
                sample.add(_Reader(memoryview(data)), Picked((0,), (length,), (mark,)))

    def each(self) -> list[CompressionSample]:
        return self._samples


def _compressed(sample: CompressionSample) -> set[int]:
    return {mark for mark, one in sample.chunks.items() if one.head.known_bytes}


def _merged(samples: Sequence[_Samples], place: int) -> CompressionSample:
    merged = samples[0].each()[place]
    for other in samples[1:]:
        merged = merged.merged(other.each()[place])
    return merged


def _agreed(processes: int) -> AgreedSamples:
    assert library is not None
    return AgreedSamples(library, processes, [COMPRESSED_BYTES] * len(_SIZES))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_all_that_the_sample_of_all_needs_is_compressed_whoever_comes_last(
    order: Sequence[int],
) -> None:
    # The second half of each has the first half of the next one.
    samples = [_Samples(range(900 * number, 900 * number + 1800)) for number in range(3)]
    agreed = _agreed(3)
    for number in order:
        agreed.compress(number, samples[number])  # type: ignore[arg-type]
    alone = _Samples(range(3600))
    for place in range(len(_SIZES)):
        merged = _merged(samples, place)
        assert _compressed(merged) == merged.chunks.keys() == alone.each()[place].chunks.keys()
        ratios = [
            sample.result(5400 * _SIZES[place])[0].unique_ratio
            for sample in (merged, alone.each()[place])
        ]
        assert ratios[0] == ratios[1]


def test_who_knows_all_samples_compresses_nothing_that_is_another_s_or_is_dropped() -> None:
    samples = [_Samples(range(1800)), _Samples(range(900, 2700))]
    agreed = _agreed(2)
    agreed._tell(0, samples[0].each())
    for number in (1, 0):
        agreed.compress(number, samples[number])  # type: ignore[arg-type]
    for place in range(len(_SIZES)):
        first, second = (_compressed(each.each()[place]) for each in samples)
        assert not first & second
        assert first | second == _merged(samples, place).chunks.keys()
        assert first, second


def test_who_comes_first_begins_with_what_is_likeliest_kept() -> None:
    samples = [_Samples(range(1800)), _Samples(range(900, 2700))]
    agreed = _agreed(2)
    told = iter([False] * 100 + [True])
    agreed._all_told = lambda: next(told)  # type: ignore[method-assign]
    agreed._tell(1, samples[1].each())
    agreed.compress(0, samples[0])  # type: ignore[arg-type]
    early = set().union(*map(_compressed, samples[0].each()))
    kept = set().union(*(_merged(samples, place).chunks for place in range(len(_SIZES))))
    assert early
    assert early <= kept
