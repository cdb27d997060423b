import dataclasses
import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import PAYLOADS, Dataset, StreamDigest, build_dataset
from deduplab.errors import PlanError
from deduplab.units import MIB

SPEC = DatasetSpec("random_binary", MIB, 4096, 50, "adjacent")

# One seed gives the same bytes on every machine: SHA-256 of all payloads, written down once.
KNOWN = {
    (
        "random_binary",
        4096,
        0,
        "none",
        1,
    ): "c91ce748eff319d8e4bbca50b686362ba5740df5fc3658f76e50e66ac1f675b4",
    (
        "random_binary",
        4096,
        50,
        "adjacent",
        1,
    ): "433b67c9c5bc7f425b734407d2f9356beb886281584db13590070ebe6b570019",
    (
        "random_binary",
        4096,
        50,
        "shuffled",
        1,
    ): "e2fe4c467bc490351a8d4d79307fc854ca833866dc20813c5b309752406b090d",
    (
        "random_binary",
        4096,
        90,
        8192,
        1,
    ): "7564332d763829f4e4e49cbc95496b177c6c038e4774c14adc9c4dc53d2cc81f",
    (
        "random_binary",
        1000,
        50,
        "shuffled",
        1,
    ): "3c8993696be726fcf213f7f0b5f7f01bb39ad47d045f821be473bc57e3759a92",
    (
        "random_binary",
        65536,
        50,
        "shuffled",
        2,
    ): "58f995194f3ff5013bda60d9660a36d76703bb941ee5d0c67004957bd2699b07",
}


def stream(dataset: Dataset, batch_bytes: int = MIB) -> list[bytes]:
    """Return all payloads, copied out of the batches one by one."""
    payloads: list[bytes] = []
    for batch in dataset.batches(batch_bytes):
        bounds = batch.offsets.tolist()
        assert len(bounds) == len(batch) + 1
        assert len(batch.data) == bounds[-1]
        payloads += [bytes(batch.data[a:b]) for a, b in pairwise(bounds)]
    return payloads


def byte_distances(payloads: list[bytes]) -> list[int]:
    """Bytes between each copy and the copy before it, from a plain dictionary of hashes."""
    ends: dict[bytes, int] = {}
    place, found = 0, []
    for payload in payloads:
        name = hashlib.sha256(payload).digest()
        if name in ends:
            found.append(place - ends[name])
        place += len(payload)
        ends[name] = place
    return found


@pytest.mark.parametrize("case", KNOWN, ids=str)
def test_the_bytes_of_a_seed_are_known(case: tuple[str, int, int, str | int, int]) -> None:
    payload, object_bytes, grade, distance, seed = case
    spec = DatasetSpec(payload, MIB, object_bytes, grade, distance, seed=seed)
    found = hashlib.sha256(b"".join(stream(build_dataset(spec)))).hexdigest()
    assert found == KNOWN[case]


@settings(max_examples=60, deadline=None)
@given(
    payload=st.sampled_from(["random_binary", "text_document"]),
    object_bytes=st.sampled_from([64, 100, 512, 4096, 16384, 20_000]),
    objects=st.integers(1, 60),
    grade=st.sampled_from([0, 1, 33, 50, 90, 99]),
    distance=st.sampled_from(["adjacent", "shuffled", 0, 1, 3, 7]),
    batch_objects=st.integers(1, 70),
)
def test_grade_distance_and_access_hold_in_the_bytes(
    payload: str,
    object_bytes: int,
    objects: int,
    grade: int,
    distance: str | int,
    batch_objects: int,
) -> None:
    duplicates = objects * grade // 100
    asked = distance if isinstance(distance, str) else distance * object_bytes
    spec = DatasetSpec(
        payload, objects * object_bytes + 63, object_bytes, grade, asked if grade else "none"
    )
    too_far = isinstance(distance, int) and distance + 1 > objects - duplicates
    if grade and (too_far or not duplicates):
        with pytest.raises(PlanError):
            build_dataset(spec)
        return
    dataset = build_dataset(spec)
    payloads = stream(dataset, batch_objects * object_bytes)

    assert dataset.objects == len(payloads) == objects
    assert dataset.logical_bytes == sum(map(len, payloads)) == objects * object_bytes
    assert {len(one) for one in payloads} == {object_bytes}
    assert len({hashlib.sha256(one).digest() for one in payloads}) == objects - duplicates
    if isinstance(asked, int):
        assert set(byte_distances(payloads)) <= {asked}
    if asked == "adjacent":
        assert set(byte_distances(payloads)) <= {0}
    assert payloads == [dataset.payload(ordinal) for ordinal in range(objects)]


@pytest.mark.parametrize("object_bytes", [512, 4096, 20_000, 65_536])
def test_payloads_share_no_part(object_bytes: int) -> None:
    spec = DatasetSpec("random_binary", 2**20, object_bytes, 0, "none")
    data = b"".join(stream(build_dataset(spec)))
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
    words = np.ascontiguousarray(windows).view(np.uint64)
    assert len(np.unique(words)) == len(words)


def test_seeds_and_families_are_unrelated() -> None:
    one = set(stream(build_dataset(SPEC)))
    assert not one & set(stream(build_dataset(dataclasses.replace(SPEC, seed=2))))
    text = dataclasses.replace(SPEC, payload="text_document")
    assert not set(stream(build_dataset(text))) & set(
        stream(build_dataset(dataclasses.replace(text, seed=2)))
    )


def test_keys_are_unique_and_ordered() -> None:
    dataset = build_dataset(dataclasses.replace(SPEC, key_prefix="b-"))
    assert dataset.key(7) == "b-00000000007"
    keys = [key for batch in dataset.batches(10_000) for key in batch.keys]
    assert keys == dataset.keys(0, dataset.objects)
    assert keys == [dataset.key(ordinal) for ordinal in range(dataset.objects)]
    assert len(set(keys)) == dataset.objects


def test_batches_share_one_buffer_and_cannot_be_written_to() -> None:
    batches = build_dataset(SPEC).batches(64 * 1024)
    first = next(batches)
    before = bytes(first.data)
    second = next(batches)
    assert bytes(first.data) == bytes(second.data) != before
    assert first.data.readonly


def test_a_batch_holds_whole_objects() -> None:
    dataset = build_dataset(SPEC)
    assert [len(batch) for batch in dataset.batches(100 * 4096 + 4095)] == [100, 100, 56]
    assert {len(batch) for batch in dataset.batches(1)} == {1}
    with pytest.raises(PlanError, match="at least one byte"):
        next(dataset.batches(0))
    for ordinal in (-1, 256):
        with pytest.raises(IndexError):
            dataset.payload(ordinal)


def test_the_digest_does_not_depend_on_batches_but_on_every_length_and_byte() -> None:
    def digest(spec: DatasetSpec, batch_bytes: int) -> str:
        found = StreamDigest()
        for batch in build_dataset(spec).batches(batch_bytes):
            found.update(batch)
        return found.hexdigest()

    known = digest(SPEC, MIB)
    assert known == digest(SPEC, 5 * 4096)
    unique = dataclasses.replace(SPEC, grade_percent=0, distance="none")
    halves = dataclasses.replace(unique, object_bytes=2048)
    assert b"".join(stream(build_dataset(unique))) == b"".join(stream(build_dataset(halves)))
    others = [unique, halves, dataclasses.replace(SPEC, seed=2)]
    assert len({known, *(digest(spec, MIB) for spec in others)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payload": "random_binry"}, "did you mean 'random_binary'"),
        ({"object_bytes": 0}, "object_bytes is 0"),
        ({"object_bytes": 2**40, "logical_bytes": 2**45}, "object_bytes is"),
        ({"key_prefix": "Ö"}, "key_prefix"),
        ({"key_prefix": ""}, "key_prefix"),
        ({"source": "somewhere"}, "takes no source"),
        ({"payload": "files"}, "needs a source"),
        ({"payload": "text_document", "object_bytes": 63}, "at least 64 bytes"),
    ],
)
def test_impossible_specifications_are_refused(change: dict[str, int | str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        build_dataset(dataclasses.replace(SPEC, **change))  # type: ignore[arg-type]


def test_the_catalogue_names_what_can_be_built() -> None:
    assert len(PAYLOADS) == 15
    for name, entry in PAYLOADS.items():
        assert entry.name == name
        assert entry.summary
        assert entry.payloads_class().__doc__


STREAM_AND_MEASURE = """
from pathlib import Path
from deduplab.datasets import build_dataset, prove
from deduplab.dataset_spec import DatasetSpec
spec = DatasetSpec("random_binary", {logical_bytes}, 4096, 50, "shuffled")
manifest = prove(build_dataset(spec))
# Not ru_maxrss: that one begins with the resident set of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(manifest.objects, int(status["VmHWM"].split()[0]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_small() -> None:
    def measured(logical_bytes: int) -> tuple[int, int]:
        script = STREAM_AND_MEASURE.format(logical_bytes=logical_bytes)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=True, timeout=120
        )
        objects, resident_bytes = map(int, done.stdout.split())
        return objects, resident_bytes

    few, least_bytes = measured(32 * MIB)
    many, resident_bytes = measured(512 * MIB)
    assert resident_bytes < 200 * MIB
    # What grows with the objects must leave room for 4 GiB of them below 400 MB.
    per_object_bytes = (resident_bytes - least_bytes) / (many - few)
    assert least_bytes + per_object_bytes * 2**20 < 400_000_000
