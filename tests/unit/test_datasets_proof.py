import hashlib
import statistics
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.batch import Batch
from deduplab.bound.grains import GRAINS
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.datasets import Dataset, StreamDigest, build_dataset, proof, prove
from deduplab.errors import DatasetError
from deduplab.units import KIB, MIB

SPEC = DatasetSpec("random_binary", 1, 1, 0, "none")


class GivenObjects:
    """A dataset of any payloads, to see that a proof counts bytes and believes nothing."""

    def __init__(self, payloads: list[bytes], declared: int | None = None) -> None:
        self.spec = SPEC
        self.objects = len(payloads) if declared is None else declared
        self.logical_bytes = 0
        self.varied_objects = 0
        self._payloads = payloads

    def near_copies(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        return np.zeros(stop - start, dtype=np.bool_)

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        for start in range(0, len(self._payloads), batch_bytes):
            part = self._payloads[start : start + batch_bytes]
            offsets = np.cumsum([0, *map(len, part)], dtype=np.int64)
            yield Batch([str(n) for n in range(len(part))], memoryview(b"".join(part)), offsets)


def proven(payloads: list[bytes], at_once: int) -> Manifest:
    return prove(cast("Dataset", GivenObjects(payloads)), at_once)


def expected_unique_bytes(payloads: list[bytes], grain: str) -> int:
    chunks: dict[bytes, int] = {}
    for payload in payloads:
        for start, end in pairwise([0, *GRAINS[grain].cut(payload)]):
            chunks[hashlib.sha256(payload[start:end]).digest()] = end - start
    return sum(chunks.values())


def expected_distances(payloads: list[bytes]) -> list[int]:
    ends: dict[bytes, int] = {}
    place, found = 0, []
    for payload in payloads:
        if payload in ends:
            found.append(place - ends[payload])
        place += len(payload)
        ends[payload] = place
    return found


def check(manifest: Manifest, payloads: list[bytes]) -> None:
    distances = expected_distances(payloads)
    assert manifest.objects == len(payloads)
    assert manifest.logical_bytes == sum(map(len, payloads))
    assert manifest.unique_objects == len(set(payloads))
    assert manifest.unique_bytes == sum(map(len, set(payloads)))
    assert manifest.multiplicity == tuple(sorted(Counter(Counter(payloads).values()).items()))
    assert manifest.distance_bytes == (
        (min(distances), statistics.median_low(distances), max(distances)) if distances else None
    )
    assert manifest.grain_unique_bytes == {
        grain: expected_unique_bytes(payloads, grain) for grain in GRAINS
    }


# Lengths around every limit at which a grain begins to cut, and a few contents that share chunks.
LENGTH = st.sampled_from([0, 1, 900, 1024, 1025, 4096, 4097, 9000, 20_000, 70_000, 140_000])
NOISE = [hashlib.shake_128(name).digest(140_000) for name in (b"a", b"b", b"c")]


@settings(max_examples=40, deadline=None)
@given(
    choices=st.lists(st.tuples(st.integers(0, 2), LENGTH), max_size=25),
    at_once=st.integers(1, 26),
)
def test_any_objects_are_counted_from_their_bytes(
    choices: list[tuple[int, int]], at_once: int
) -> None:
    payloads = [NOISE[which][:length] for which, length in choices]
    check(proven(payloads, at_once), payloads)


def test_short_objects_first_and_long_ones_later() -> None:
    noise = NOISE[0]
    payloads = [noise[:100], noise[:4096], noise[4096:8192], noise[:100], noise, noise[:4096]]
    for at_once in range(1, 7):
        check(proven(payloads, at_once), payloads)


@pytest.mark.parametrize(("grade", "distance"), [(0, "none"), (50, "adjacent"), (90, "shuffled")])
def test_a_dataset_proves_its_grade(grade: int, distance: str) -> None:
    spec = DatasetSpec("random_binary", 4 * MIB, 20 * KIB, grade, distance)
    dataset = build_dataset(spec)
    manifest = prove(dataset, 100_000)
    check(manifest, [dataset.payload(ordinal) for ordinal in range(dataset.objects)])
    assert manifest.spec == spec
    assert abs(manifest.grade_achieved - grade / 100) * dataset.objects < 1
    # Random objects share no chunk, so every grain sees the same unique bytes.
    assert set(manifest.grain_unique_bytes.values()) == {manifest.unique_bytes}
    assert prove(dataset, MIB) == manifest


def test_the_digest_can_be_derived_again_while_loading() -> None:
    dataset = build_dataset(DatasetSpec("text_document", MIB, 5000, 50, "shuffled"))
    digest = StreamDigest()
    for batch in dataset.batches(70_000):
        digest.update(batch)
    assert prove(dataset).digest == digest.hexdigest()


def test_an_object_that_the_lengths_of_a_proof_can_not_hold_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proof, "GREATEST_OBJECT_BYTES", 3)
    with pytest.raises(DatasetError, match="an object has 4 bytes; 3 are the most"):
        prove(cast("Dataset", GivenObjects([b"abc", b"abcd"])))


def test_more_objects_than_declared_are_an_error() -> None:
    with pytest.raises(DatasetError, match="more objects than the 1"):
        prove(cast("Dataset", GivenObjects([b"a", b"b"], declared=1)), 1)
