import random

import numpy as np
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.fingerprints import FingerprintSet, fingerprints


def test_fingerprints_are_those_of_the_pieces() -> None:
    data = memoryview(random.Random(1).randbytes(1000))
    found = fingerprints(data, [3, 20, 20], [20, 20, 500])
    expected = [xxhash.xxh3_128_digest(data[a:b]) for a, b in ((3, 20), (20, 20), (20, 500))]
    assert [row.astype("<u8").tobytes() for row in found] == expected


# Few different halves, so that equal halves, equal pairs and crowded slots are the rule.
HALF = st.sampled_from([0, 1, 2, 4096, 8192, 2**63, 2**64 - 1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(HALF, HALF), max_size=40), max_size=6))
def test_a_set_tells_new_from_seen_in_order(calls: list[list[tuple[int, int]]]) -> None:
    fingerprint_set, reference = FingerprintSet(), set()
    for call in calls:
        # A first half of 0 counts as 1: the one thing that the set does not tell apart.
        moved = [(max(first, 1), second) for first, second in call]
        expected = [pair not in reference and not reference.add(pair) for pair in moved]  # type: ignore[func-returns-value]
        new = fingerprint_set.add(np.array(call, dtype=np.uint64).reshape(-1, 2))
        assert new.tolist() == expected
        assert len(fingerprint_set) == len(reference)


def test_a_set_grows() -> None:
    fingerprint_set = FingerprintSet()
    pieces = np.random.default_rng(1).integers(1, 2**63, size=(50_000, 2), dtype=np.uint64)
    for part in np.array_split(pieces, 7):
        assert fingerprint_set.add(part).all()
    assert not fingerprint_set.add(pieces).any()
    assert len(fingerprint_set) == 50_000
