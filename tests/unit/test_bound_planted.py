from __future__ import annotations

import random

import pytest

from deduplab.bound import planted
from deduplab.bound.planted import PlantedProbes

_RANDOM = random.Random(11)
A, B, C = (_RANDOM.randbytes(3000) for _ in range(3))


def probes_of(*objects: bytes) -> PlantedProbes:
    return PlantedProbes(lambda: iter(objects))


@pytest.mark.parametrize("step", [1, 7, 63, 64, 1000, 1 << 20])
def test_copies_are_found_however_the_bytes_come(step: int) -> None:
    probes = probes_of(A, B, B, C)
    stream = b"." + A + b"..." + B + A + b"." * 70 + A
    for at in range(0, len(stream), step):
        probes.feed(stream[at : at + step])
    found = probes.result()
    assert (found.payloads, found.planted, found.found) == (3, 4, 4)
    assert found.copies == [(0, 1), (1, 1), (3, 1)]
    assert found.stored == [(1, 2), (2, 1)]
    assert found.uneven == 0


def test_a_header_within_one_window_hides_no_copy() -> None:
    probes = probes_of(A, B)
    probes.feed(b"".join(A[at : at + 1000] + b"header" for at in range(0, 3000, 1000)))
    assert probes.result().copies == [(0, 1), (1, 1)]


def test_near_duplicates_are_told_apart_by_what_is_theirs_alone() -> None:
    edited = A[:1500] + _RANDOM.randbytes(300) + A[1800:]
    probes = probes_of(A, edited)
    probes.feed(edited + edited)
    found = probes.result()
    assert (found.payloads, found.not_told_apart) == (2, 0)
    assert found.copies == [(0, 1), (2, 1)]


def test_what_cannot_be_followed_is_counted() -> None:
    probes = probes_of(b"short", bytes(5000), A)
    probes.feed(A)
    found = probes.result()
    assert (found.payloads, found.too_short, found.not_told_apart) == (1, 1, 1)
    assert found.found == 1


def test_half_of_a_payload_is_uneven() -> None:
    probes = probes_of(A)
    probes.feed(A + A[:1000])
    assert probes.result().uneven == 1
    assert probes.result().found == 1


def test_nothing_planted_is_nothing_found() -> None:
    probes = probes_of()
    probes.feed(A)
    assert probes.result().copies == []
    assert probes.result().found == 0


def test_many_payloads_are_sampled_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planted, "MOST_PAYLOADS", 64)
    objects = [_RANDOM.randbytes(200) for _ in range(600)]
    probes = probes_of(*objects, *objects)
    probes.feed(b"".join(objects))
    found = probes.result()
    assert 0 < found.payloads <= 64
    assert found.share in {2.0**-k for k in range(3, 7)}
    assert found.copies == [(1, found.payloads)]
    assert found.planted == 2 * found.payloads
