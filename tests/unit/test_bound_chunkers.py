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
    16384: (0x0000D90F03530000, 0x0000D90303530000),
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
    data = noise(300_000) + bytes(100_000) + b"abcde" * 10_001
    assert cut_points(data, average) == reference_cuts(data, average)


def test_cuts_are_known() -> None:
    data = noise(65_536)
    assert cut_points(data, 4096) == [
        5837,
        10203,
        14597,
        20096,
        28219,
        35976,
        40468,
        45932,
        51062,
        55714,
        60311,
        64833,
        65536,
    ]
    assert cut_points(data, 16384) == [65536]


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
        "fixed-16384",
        "fixed-65536",
        "fixed-131072",
        "cdc-4096",
        "cdc-16384",
    ]
    data = noise(200_000)
    for name, grain in GRAINS.items():
        size = int(name.partition("-")[2])
        expected = fixed_cut_points(len(data), size) if "fixed" in name else cut_points(data, size)
        assert cut(data, name) == expected
        assert cut(data[: grain.never_cut_bytes], name) == [grain.never_cut_bytes]
