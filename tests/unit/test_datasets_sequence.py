import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import sequence as sequences
from deduplab.datasets.multiplicity import GREATEST_OBJECTS, Lengths, build_classes
from deduplab.datasets.permutation import Permutation
from deduplab.datasets.sequence import Sequence, check_grade
from deduplab.errors import PlanError

SPEC = DatasetSpec("random_binary", 1000 * 64, 64, 50, "adjacent")


def build_sequence(spec: DatasetSpec) -> Sequence:
    check_grade(spec)
    lengths = Lengths(spec.object_bytes, lambda ids: ids, spec.logical_bytes, None)
    return sequences.build_sequence(spec, build_classes(spec, lengths), spec.object_bytes)


def all_ids(sequence: Sequence) -> list[int]:
    ids: list[int] = sequence.payload_ids(np.arange(sequence.objects, dtype=np.int64)).tolist()
    return ids


def gaps(ids: list[int]) -> list[int]:
    """Objects between each copy and the copy before it, found with a plain dictionary."""
    last: dict[int, int] = {}
    found = []
    for place, payload in enumerate(ids):
        if payload in last:
            found.append(place - last[payload] - 1)
        last[payload] = place
    return found


@settings(max_examples=80, deadline=None)
@given(objects=st.integers(1, 700), grade=st.integers(1, 99), seed=st.integers(-5, 2**70))
def test_grade_and_multiplicities_hold_at_any_distance(objects: int, grade: int, seed: int) -> None:
    duplicates = objects * grade // 100
    for distance in ("adjacent", "shuffled", 0):
        spec = DatasetSpec("p", objects * 64, 64, grade, distance, seed=seed)
        if not duplicates:
            with pytest.raises(PlanError, match=r"% needs .* a logical_size of"):
                build_sequence(spec)
            continue
        ids = all_ids(build_sequence(spec))
        counts = Counter(ids)
        assert len(ids) == objects
        assert set(counts) == set(range(objects - duplicates))
        assert max(counts.values()) - min(counts.values()) <= 1
        if distance != "shuffled":
            assert not any(gaps(ids))
            assert ids == sorted(ids)


@settings(max_examples=80, deadline=None)
@given(
    objects=st.integers(2, 700),
    grade=st.integers(1, 99),
    between=st.integers(0, 60),
    start=st.integers(0, 700),
)
def test_every_copy_has_exactly_the_distance(
    objects: int, grade: int, between: int, start: int
) -> None:
    unique = objects - objects * grade // 100
    spec = DatasetSpec("p", objects * 64, 64, grade, between * 64)
    if unique == objects or between + 1 > unique:
        with pytest.raises(PlanError):
            build_sequence(spec)
        return
    sequence = build_sequence(spec)
    ids = all_ids(sequence)
    assert gaps(ids) == [between] * (objects - unique)
    assert set(ids) == set(range(unique))
    some = np.arange(min(start, objects), objects, dtype=np.int64)
    assert sequence.payload_ids(some).tolist() == ids[start:]


def test_without_copies_every_payload_stands_once() -> None:
    spec = dataclasses.replace(SPEC, grade_percent=0, distance="none")
    assert all_ids(build_sequence(spec)) == list(range(1000))


def test_an_incomplete_group_stays_single_at_the_end() -> None:
    spec = DatasetSpec("p", 10 * 64, 64, 50, 128)
    assert all_ids(build_sequence(spec)) == [0, 1, 2, 0, 1, 2, 0, 1, 3, 4]


def test_shuffled_copies_are_far_and_spread() -> None:
    spec = DatasetSpec("p", 20_000 * 64, 64, 50, "shuffled")
    ids = all_ids(build_sequence(spec))
    distances = np.array(gaps(ids))
    # Two uniform places in N have a mean difference of N / 3.
    assert distances.mean() == pytest.approx(20_000 / 3, rel=0.05)
    # A quarter of the payloads have both places in the second half.
    firsts = np.unique(ids, return_index=True)[1]
    assert np.count_nonzero(firsts < 10_000) == pytest.approx(7500, rel=0.03)
    other = build_sequence(dataclasses.replace(spec, seed=2))
    assert all_ids(other) != ids


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 3000), seed=st.integers())
def test_a_permutation_takes_every_value_once(length: int, seed: int) -> None:
    permuted = Permutation(length, seed)(np.arange(length, dtype=np.int64))
    assert sorted(permuted.tolist()) == list(range(length))


def test_a_permutation_of_a_huge_range_needs_no_table() -> None:
    length = GREATEST_OBJECTS
    positions = np.array([0, 1, length // 2, length - 1], dtype=np.int64)
    permuted = Permutation(length, 1)(positions)
    assert len(set(permuted.tolist())) == 4
    assert permuted.min() >= 0
    assert permuted.max() < length


def test_a_permutation_is_known() -> None:
    assert Permutation(10, 1)(np.arange(10, dtype=np.int64)).tolist() == [
        4,
        2,
        6,
        3,
        5,
        0,
        9,
        1,
        8,
        7,
    ]


def test_places_in_a_huge_sequence_do_not_overflow() -> None:
    spec = DatasetSpec("p", GREATEST_OBJECTS * 64, 64, 1, 64)
    sequence = build_sequence(spec)
    ids = sequence.payload_ids(np.array([0, 2, GREATEST_OBJECTS - 1], dtype=np.int64))
    assert ids.min() >= 0
    assert ids.max() == sequence.unique - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grade_percent": 100}, "between 0 and 99"),
        ({"grade_percent": -1}, "between 0 and 99"),
        ({"grade_percent": 0}, "its distance is 'none'"),
        ({"distance": "none"}, "it needs a distance"),
        ({"distance": "near"}, "unknown distance 'near'"),
        ({"distance": 100}, "the nearest are 64 and 128"),
        ({"distance": -64}, "can't be negative"),
        ({"distance": 500 * 64}, "at most 31936 bytes"),
        ({"logical_bytes": 63}, "no whole object of 64 bytes"),
        ({"logical_bytes": 2**70}, "too many"),
        (
            {"grade_percent": 50, "logical_bytes": 64},
            "needs 2 objects, that is a logical_size of about 128 bytes",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(
    change: dict[str, int | str], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        build_sequence(dataclasses.replace(SPEC, **change))  # type: ignore[arg-type]


def test_the_greatest_distance_is_possible() -> None:
    sequence = build_sequence(dataclasses.replace(SPEC, distance=499 * 64))
    assert set(gaps(all_ids(sequence))) == {499}
