import hashlib
from itertools import pairwise

import numpy as np
import pytest

from deduplab.bound.chunkers import cut_points, fixed_cut_points
from deduplab.bound.grains import GRAINS, cut

# FastCDC 2020 written down once more, a byte at a time: the gear table of its authors is the first
# half of the MD5 of each byte value repeated 64 times, the masks are those of their publication.
GEAR = [
    int.from_bytes(hashlib.md5(bytes([value]) * 64).digest()[:8], "big") for value in range(256)
]
MASKS = {
    4096: (0x0000D90303530000, 0x0000D90003530000),
    8192: (0x0000D90313530000, 0x0000D90103530000),
    16384: (0x0000D90F03530000, 0x0000D90303530000),
    65536: (0x0000D90703537000, 0x0000D90F03530000),
}


def reference_cut(data: bytes, average: int) -> int:
    if len(data) <= average // 4:
        return len(data)
    strict, lenient = MASKS[average]
    end = min(len(data), 4 * average)
    rolling = 0
    for place in range(average // 4, end - end % 2):
        rolling = ((rolling << 1) + GEAR[data[place]]) % 2**64
        if not rolling & (strict if place < min(average, end) else lenient):
            return place
    return end


def reference_cuts(data: bytes, average: int) -> list[int]:
    cuts = [0]
    while cuts[-1] < len(data):
        cuts.append(cuts[-1] + reference_cut(data[cuts[-1] :], average))
    return cuts[1:]


def noise(length: int, name: str = "noise") -> bytes:
    return hashlib.shake_128(name.encode()).digest(length)


@pytest.mark.parametrize("average", MASKS)
def test_cuts_equal_those_of_a_second_implementation(average: int) -> None:
    data = noise(600_000) + bytes(100_000) + b"abcde" * 10_001
    assert cut_points(data, average) == reference_cuts(data, average)


# Ends of the chunks of the first 384 KiB of SHAKE128(b"noise"), as found by the crate ``fastcdc``
# 5.0.0 for Rust: v2020, Normalization::Level1, least A / 4 and greatest 4 A for an average of A.
# fmt: off
KNOWN_CUTS = {
    4096: [
        5837, 10203, 14597, 20096, 28219, 35976, 40468, 45932, 51062, 55714, 60311, 64833, 68923,
        71250, 76332, 81621, 86096, 90559, 96994, 101860, 106810, 108266, 112504, 117434, 122312,
        128992, 136670, 141701, 147319, 148982, 153366, 155572, 156819, 157970, 162513, 168532,
        175176, 179980, 184674, 191176, 195826, 200558, 201727, 209716, 215423, 221724, 234146,
        238569, 246473, 248807, 256604, 260905, 262520, 268152, 273144, 277448, 281581, 286195,
        290847, 298797, 303384, 305285, 309054, 317085, 318722, 324577, 329671, 338278, 340797,
        345568, 349637, 355281, 359815, 364950, 369261, 371626, 374369, 383354, 389818, 390964,
        393216,
    ],
    8192: [
        9414, 21396, 45932, 58745, 68923, 71250, 85639, 96994, 108266, 112504, 117434, 136670,
        138750, 147319, 155572, 166409, 175176, 183369, 196331, 201727, 213782, 246473, 248807,
        259541, 268152, 273144, 281581, 298797, 305285, 309054, 317616, 324577, 329671, 340797,
        346603, 355281, 357330, 359815, 365397, 371626, 374369, 389818, 393216,
    ],
    16384: [
        65536, 86325, 108266, 117434, 136690, 155572, 175176, 196331, 221724, 246473, 268152,
        273144, 305285, 324577, 345568, 365397, 390964, 393216,
    ],
    65536: [108266, 175176, 246473, 365397, 393216],
}
# fmt: on


@pytest.mark.parametrize("average", KNOWN_CUTS)
def test_cuts_are_those_of_another_implementation(average: int) -> None:
    assert cut_points(noise(393_216), average) == KNOWN_CUTS[average]


@pytest.mark.parametrize("length", [0, 1, 1023, 1024, 1025, 4095, 4096, 4097])
def test_short_payloads_are_cut_like_long_ones(length: int) -> None:
    data = noise(length)
    assert cut_points(data, 4096) == reference_cuts(data, 4096)
    assert cut_points(memoryview(data), 4096) == cut_points(data, 4096)


@pytest.mark.parametrize("average", [256, 4096, 65_536])
def test_chunks_keep_their_limits(average: int) -> None:
    lengths = np.diff([0, *cut_points(noise(400 * average), average)])
    assert lengths[:-1].min() >= average // 4
    assert lengths.max() <= 4 * average
    assert average * 0.9 < lengths.mean() < average * 1.3


def test_one_inserted_byte_changes_chunks_nearby_only() -> None:
    data = noise(500_000)
    edited = data[:250_000] + b"!" + data[250_000:]
    before, after = set(pieces(data)), set(pieces(edited))
    assert 1 <= len(after - before) <= 4
    assert sum(map(len, after - before)) < 30_000


def pieces(data: bytes) -> list[bytes]:
    return [data[a:b] for a, b in pairwise([0, *cut_points(data, 4096)])]


@pytest.mark.parametrize("average", [0, 128, 5000, 8 * 1024 * 1024])
def test_an_average_that_cannot_be_had_is_refused(average: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        cut_points(bytes(10_000), average)


def test_fixed_cuts() -> None:
    assert fixed_cut_points(0, 10) == []
    assert fixed_cut_points(9, 10) == [9]
    assert fixed_cut_points(10, 10) == [10]
    assert fixed_cut_points(25, 10) == [10, 20, 25]
    with pytest.raises(ValueError, match="at least one byte"):
        fixed_cut_points(10, 0)


def test_grains_have_the_names_of_the_result_format() -> None:
    assert list(GRAINS) == [
        "fixed-4096",
        "fixed-8192",
        "fixed-16384",
        "fixed-65536",
        "fixed-131072",
        "cdc-4096",
        "cdc-8192",
        "cdc-16384",
        "cdc-65536",
    ]
    data = noise(200_000)
    for name, grain in GRAINS.items():
        size = int(name.partition("-")[2])
        expected = fixed_cut_points(len(data), size) if "fixed" in name else cut_points(data, size)
        assert cut(data, name) == expected
        assert cut(data[: grain.never_cut_bytes], name) == [grain.never_cut_bytes]
