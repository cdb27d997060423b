"""What a specification asks for is what the bytes hold, re-derived with plain dictionaries."""

import dataclasses
import difflib
import gzip
import hashlib
import json
import statistics
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from deduplab.cell import hash_of
from deduplab.dataset_spec import CopySpec, DatasetSpec, SizeSpec
from deduplab.datasets import build_dataset, prove
from deduplab.errors import PlanError
from deduplab.units import KIB, MIB

SIZES = st.one_of(
    st.just(SizeSpec()),
    st.builds(
        SizeSpec,
        st.just("uniform"),
        least_bytes=st.just(100),
        greatest_bytes=st.integers(200, 4000),
    ),
    st.builds(
        SizeSpec,
        st.just("lognormal"),
        least_bytes=st.just(64),
        greatest_bytes=st.just(30_000),
        sigma=st.sampled_from([0.3, 1.0, 2.0]),
    ),
)
MULTIPLICITIES = st.sampled_from(["equal", "zipf", ((2, 5), (3, 2), (7, 1), (1, 9))])


BASE = DatasetSpec("random_binary", 300 * KIB, 1000, 40, "shuffled")


def objects_of(spec: DatasetSpec, batch_bytes: int = 64 * KIB) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for batch in build_dataset(spec).batches(batch_bytes):
        found += zip(batch.keys, batch.payloads, strict=True)
    return found


def spec_of(**changes: Any) -> DatasetSpec:
    return dataclasses.replace(BASE, **changes)


@settings(max_examples=60, deadline=None)
@given(
    sizes=SIZES,
    multiplicity=MULTIPLICITIES,
    grade=st.sampled_from([0, 20, 40]),
    distance=st.sampled_from(["adjacent", "shuffled"]),
    placement=st.sampled_from(["within", "across"]),
    seed=st.integers(0, 2**40),
    logical_bytes=st.integers(100 * KIB, 400 * KIB),
    batch_bytes=st.integers(1, 100_000),
)
def test_the_manifest_says_what_the_bytes_hold(
    sizes: SizeSpec,
    multiplicity: Any,
    grade: int,
    distance: str,
    placement: str,
    seed: int,
    logical_bytes: int,
    batch_bytes: int,
) -> None:
    spec = spec_of(
        sizes=sizes,
        multiplicity=multiplicity,
        grade_percent=grade,
        distance=distance if grade else "none",
        placement=placement,
        seed=seed,
        logical_bytes=logical_bytes,
    )
    try:
        objects = objects_of(spec, batch_bytes)
    except PlanError as error:
        if "bytes for copies, and the first object has" not in str(error):
            raise
        reject()
    manifest = prove(build_dataset(spec))
    payloads = [payload for _, payload in objects]
    seen: dict[bytes, int] = {}
    distances, total_bytes = [], 0
    for payload in payloads:
        mark = hashlib.sha256(payload).digest()
        if mark in seen:
            distances.append(total_bytes - seen[mark])
        total_bytes += len(payload)
        seen[mark] = total_bytes
    longest = max(map(len, payloads))
    unique_bytes = sum(map(len, set(payloads)))
    assert len({key for key, _ in objects}) == len(objects) == manifest.objects
    assert total_bytes == manifest.logical_bytes <= logical_bytes
    assert manifest.unique_bytes == unique_bytes
    # The grade, to within one object, and the size, to within the copies that one payload has.
    assert abs((total_bytes - unique_bytes) - total_bytes * grade / 100) <= longest
    assert total_bytes > logical_bytes - 2 * longest * 100 / (100 - grade)
    assert manifest.distance_bytes == (
        (min(distances), statistics.median_low(distances), max(distances)) if distances else None
    )
    assert manifest.multiplicity == tuple(sorted(Counter(Counter(payloads).values()).items()))
    in_second = sum(len(payload) for key, payload in objects if key.endswith("x"))
    assert manifest.container_bytes == (total_bytes - in_second, in_second)
    if placement == "within":
        assert not in_second


def test_a_first_object_that_is_longer_than_all_copies_is_said() -> None:
    spec = spec_of(
        sizes=SizeSpec("lognormal", least_bytes=64, greatest_bytes=30_000, sigma=2.0),
        grade_percent=20,
        distance="adjacent",
        seed=336_323_583,
        logical_bytes=100 * KIB,
    )
    with pytest.raises(PlanError, match=r"leaves \d+ bytes .* raise logical_size to about (\d+)"):
        objects_of(spec)
    assert objects_of(dataclasses.replace(spec, logical_bytes=200 * KIB))


@settings(max_examples=40, deadline=None)
@given(
    distances=st.lists(st.integers(0, 6), min_size=1, max_size=3),
    objects=st.integers(120, 300),
    grade=st.sampled_from([50, 60, 70]),
)
def test_a_list_of_distances_is_kept_exactly(
    distances: list[int], objects: int, grade: int
) -> None:
    spec = spec_of(
        object_bytes=64,
        logical_bytes=objects * 64,
        grade_percent=grade,
        distance=tuple(64 * one for one in distances),
    )
    payloads = [payload for _, payload in objects_of(spec)]
    last: dict[bytes, int] = {}
    found = set()
    for place, payload in enumerate(payloads):
        if payload in last:
            found.add(place - last[payload] - 1)
        last[payload] = place
    assert found == set(distances)
    assert len(set(payloads)) == objects - objects * grade // 100


def test_copies_across_lie_in_both_containers_in_turn() -> None:
    spec = spec_of(placement="across", grade_percent=75, object_bytes=512)
    containers: dict[bytes, Counter[bool]] = {}
    for key, payload in objects_of(spec):
        containers.setdefault(payload, Counter())[key.endswith("x")] += 1
    assert all(abs(found[False] - found[True]) <= 1 for found in containers.values())


@pytest.mark.parametrize("distance", [64 * 10, (64, 128)])
def test_exact_distances_and_two_containers_exclude_each_other(distance: Any) -> None:
    with pytest.raises(PlanError, match="changes their exact distances"):
        build_dataset(spec_of(placement="across", object_bytes=64, distance=distance))


@pytest.mark.parametrize(
    "change", [{"sizes": SizeSpec("uniform", 10, 20)}, {"multiplicity": "zipf"}]
)
def test_an_exact_distance_needs_one_size_and_equal_copies(change: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="needs objects of one size"):
        build_dataset(spec_of(distance=2000, **change))


def test_zipf_gives_the_nth_payload_a_share_of_one_nth() -> None:
    payloads = [p for _, p in objects_of(spec_of(multiplicity="zipf", object_bytes=64))]
    counts = sorted(Counter(payloads).values(), reverse=True)
    copies = [count - 1 for count in counts]
    assert copies[0] > 100
    for rank in (2, 3, 5, 10, 50):
        assert abs(copies[rank - 1] - copies[0] / rank) <= 2


def test_a_histogram_keeps_its_proportions() -> None:
    spec = spec_of(multiplicity=((2, 100), (5, 30), (9, 10)), object_bytes=64, logical_bytes=MIB)
    found = dict(prove(build_dataset(spec)).multiplicity)
    assert found[2] / found[5] == pytest.approx(100 / 30, rel=0.02)
    assert found[5] / found[9] == pytest.approx(3, rel=0.02)
    assert set(found) <= {1, 2, 3, 5, 9}


def test_a_grade_that_a_histogram_can_not_give_is_refused() -> None:
    with pytest.raises(PlanError, match="49 % is the most"):
        build_dataset(spec_of(multiplicity=((2, 10),), grade_percent=90))


@pytest.mark.parametrize(
    ("pairs", "objects", "grade", "message"),
    [
        (((200, 1), (3, 2), (2, 5)), 50, 90, "5 payloads are too few for its proportions"),
        (((1000, 1),), 100, 50, "have 3200 bytes, and no payload of this multiplicity has so few"),
    ],
)
def test_a_histogram_that_does_not_fit_into_the_dataset_is_refused(
    pairs: tuple[tuple[int, int], ...], objects: int, grade: int, message: str
) -> None:
    sizes = {"object_bytes": 64, "logical_bytes": objects * 64}
    with pytest.raises(PlanError, match=message):
        build_dataset(spec_of(multiplicity=pairs, grade_percent=grade, **sizes))


def test_each_of_several_distances_needs_a_copy() -> None:
    spec = spec_of(object_bytes=64, logical_bytes=100 * 64, grade_percent=1, distance=(64, 0, 128))
    with pytest.raises(PlanError, match="1 copies are too few for each of 3 distances"):
        build_dataset(spec)


@settings(max_examples=12, deadline=None)
@given(
    edits=st.integers(1, 5),
    edit_bytes=st.integers(4, 40),
    kinds=st.lists(st.sampled_from(["insert", "delete", "replace"]), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_near_duplicates_are_that_far_from_their_payload(
    edits: int, edit_bytes: int, kinds: list[str], seed: int
) -> None:
    copies = CopySpec("edited", edits, edit_bytes, tuple(kinds))
    spec = spec_of(
        copies=copies, seed=seed, distance="adjacent", object_bytes=600, logical_bytes=30_000
    )
    manifest = prove(build_dataset(spec))
    objects = [payload for _, payload in objects_of(spec)]
    exact = dataclasses.replace(spec, copies=CopySpec())
    originals = {payload for _, payload in objects_of(exact)}
    used = [kinds[n % len(kinds)] for n in range(edits)]
    growth = (used.count("insert") - used.count("delete")) * edit_bytes
    near_bytes = near_objects = 0
    original = b""
    for payload in objects:
        if payload in originals:
            original = payload  # copies follow their payload
            continue
        near_objects += 1
        near_bytes += len(payload)
        assert len(payload) == 600 + growth
        places = changed_places(original, payload, edit_bytes)
        assert 1 <= len(places) <= edits
    assert (manifest.near_objects, manifest.near_bytes) == (near_objects, near_bytes)
    assert near_objects == len(objects) - len(originals)
    assert manifest.unique_objects == len(objects)


def changed_places(one: bytes, other: bytes, gap_bytes: int) -> list[tuple[int, int]]:
    """Return where the first was changed, by difflib; places that close are one edit."""
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    found: list[tuple[int, int]] = []
    for kind, start, stop, _, _ in matcher.get_opcodes():
        if kind == "equal":
            continue
        if found and start - found[-1][1] <= gap_bytes:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def test_a_copy_in_another_container_has_the_same_content_and_other_bytes() -> None:
    spec = spec_of(copies=CopySpec("gzip"), grade_percent=90, payload="text_document")
    packed = [payload for _, payload in objects_of(spec)]
    plain = Counter(gzip.decompress(one) for one in packed)
    assert len(set(packed)) == len(packed)
    assert max(plain.values()) - min(plain.values()) <= 1
    manifest = prove(build_dataset(spec))
    assert manifest.grade_achieved == 0
    assert manifest.near_objects == len(packed) - len(plain)


def test_json_copies_are_equal_documents_and_other_bytes() -> None:
    spec = spec_of(copies=CopySpec("json"), grade_percent=75, payload="structured_json")
    written = [payload for _, payload in objects_of(spec)]
    documents = Counter(json.dumps(json.loads(one), sort_keys=True) for one in written)
    assert len(set(written)) == len(written)
    assert max(documents.values()) - min(documents.values()) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"copies": CopySpec("near")}, "unknown form of copies 'near'"),
        ({"copies": CopySpec("edited", 1, 1, ("swap",))}, "unknown kind of edit 'swap'"),
        ({"copies": CopySpec("edited", 100, 100)}, "do not fit into a payload"),
        ({"copies": CopySpec("json")}, "need payloads that are JSON"),
        ({"multiplicity": "often"}, "unknown multiplicity 'often'"),
        ({"multiplicity": ((1, 5),)}, "two or more occurrences"),
        ({"object_bytes": 1 << 32}, "an object has 1 to 4294967295 bytes"),
        ({"placement": "beside"}, "unknown placement 'beside'"),
        ({"key_prefix": "o\n"}, "key_prefix 'o.n' is not allowed"),
        ({"payload": "random_binary", "object_bytes": 7}, "has at least 8 bytes"),
        ({"sizes": SizeSpec("normal")}, "unknown sizes 'normal'"),
        ({"sizes": SizeSpec("uniform", 20, 10)}, "are impossible"),
        ({"sizes": SizeSpec("lognormal", 1, 10, 9.0)}, "sigma is 9.0"),
        ({"sizes": SizeSpec("natural")}, "has no natural sizes"),
        ({"payload": "uuid_keys", "compressibility_percent": 50}, "compressibility of its own"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        build_dataset(spec_of(**change))


KNOWN_MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "zipf": (
        {"multiplicity": "zipf", "sizes": SizeSpec("lognormal", 64, 30_000, 1.0)},
        "c51e5177808e0c7244e709be86b85fe3",
    ),
    "across": (
        {"placement": "across", "payload": "structured_json"},
        "73ddd8bcf78d29b0e76fea298f7fc7f5",
    ),
    "edited": (
        {"copies": CopySpec("edited", 3, 8, ("insert", "delete", "replace"))},
        "3877cbb980b5e66769ab86bbeaf10a4d",
    ),
    "json": (
        {"copies": CopySpec("json"), "payload": "bank_transactions"},
        "e510e33f6df9f551090ff12dc887ce02",
    ),
    "distances": (
        {"distance": (1000, 20_000), "payload": "text_document"},
        "109d4f5325b28d84422e92e23c36706d",
    ),
    "mixed": (
        {"payload": "mixed", "sizes": SizeSpec("uniform", 500, 9000)},
        "6570102fcb488a26cce16b4324b2b2b8",
    ),
}


@pytest.mark.parametrize("name", KNOWN_MANIFESTS)
def test_data_and_manifest_of_a_seed_are_known(name: str) -> None:
    change, known = KNOWN_MANIFESTS[name]
    manifest = prove(build_dataset(spec_of(**change)))
    assert hash_of(dataclasses.asdict(manifest))[:32] == known
