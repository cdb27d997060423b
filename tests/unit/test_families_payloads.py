"""What holds for every synthetic family alike."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.chunkers import cut_points
from deduplab.dataset_spec import SizeSpec
from deduplab.errors import PlanError
from deduplab.units import KIB, MIB
from tests.unit.families import FAMILIES, family, made, taken_away

ALL = sorted(FAMILIES)
# BLAKE3 over payloads 0 to 199, first of 1000 bytes each, then of log-normal lengths.
DIGESTS: dict[str, tuple[str, ...]] = {
    "bank_transactions": ("087b35b4ac721a51405b32498fa77fef", "aadc7fa5e1cfcf52874d908a366de242"),
    "jsonb_documents": ("09d4d7bc81ddd7e7d95bfc388c803c68", "36992d33b0b66d32d05c965f697dc45e"),
    "mixed": ("22da862b13fa85f69a5c3abe1e9ef4c1", "199e90f7fa8d44b00c612d2140f0b672"),
    "numeric_dataset": ("89e02abec404c0b0e3675475f01605c2", "8974a76e2d7115fd27f69e3d8d41a630"),
    "random_binary": ("6d800c93bcdf1e1e8d06a236a639cd61", "5a38abb90f6484fa7a2f057175d39e67"),
    "structured_json": ("228d143c9d98ea5db720658a463cd511", "ddba4e9d6f73836c8a4728baf579b2ae"),
    "text_corpus": ("9230a50d99e3d68a2cd5811adbc3b3d4", "bd4cf3c25fa866322d0ff8300e5d8d9f"),
    "text_document": ("f52ab11a3e720d5bf0de24b603a17ec3", "e641bcd8974903e45508eb69c18577ba"),
    "time_series": ("9c3ebf76ff42d51aee2d6234b6ae5414", "254962bfc8ba31af7fbfddf652cecf43"),
    "uuid_keys": ("72919c632904c4dca57e4b6882d085c0", "ab83410e4480bfdd4be021e73fe4755a"),
    "random_binary 40": ("cf453c94b4eef6f5721974396b1a5f68",),
    "random_binary 70": ("9b68785634f1e0c0938190b41c81f2f5",),
    "structured_json 40": ("d36998e941d2f002290e0007f5ea5eb2",),
    "structured_json 70": ("991883e670f3100f62261c9a529182b0",),
}


def least_bytes(name: str) -> int:
    return family(name, 4 * KIB).least_object_bytes


def lognormal(name: str) -> SizeSpec:
    return SizeSpec("lognormal", least_bytes(name), 40_000, 1.2)


@pytest.mark.parametrize("name", ALL)
def test_the_bytes_are_those_written_down(name: str) -> None:
    fixed = made(family(name, 1000), list(range(200)))
    unlike = made(family(name, 3000, sizes=lognormal(name)), list(range(200)))
    found = tuple(blake3(b"".join(one)).hexdigest()[:32] for one in (fixed, unlike))
    assert found == DIGESTS[name]


@pytest.mark.parametrize("percent", [40, 70])
@pytest.mark.parametrize("name", ["random_binary", "structured_json"])
def test_the_compressible_bytes_are_those_written_down(name: str, percent: int) -> None:
    found = made(family(name, 3000, percent=percent), list(range(200)))
    key = f"{name} {percent}"
    assert blake3(b"".join(found)).hexdigest()[:32] == DIGESTS[key][0]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_ids_in_any_order_and_any_batches_give_the_same_bytes(
    name: str, data: st.DataObject
) -> None:
    least = least_bytes(name)
    greatest = data.draw(st.integers(least, 8000))
    kind = data.draw(st.sampled_from(("fixed", "uniform")))
    sizes = SizeSpec(kind, *((least, greatest) if kind == "uniform" else (0, 0)))
    payloads = family(name, greatest, sizes=sizes, seed=data.draw(st.integers(0, 2**63)))
    ids = data.draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
    together = made(payloads, ids)
    alone = [made(payloads, [number])[0] for number in ids]
    assert together == alone
    if kind == "fixed":
        assert {len(one) for one in alone} == {greatest}


@pytest.mark.parametrize("size", [1000, 20_000])
@pytest.mark.parametrize("name", [name for name in ALL if name != "random_binary"])
def test_equal_and_unlike_lengths_are_made_alike(name: str, size: int) -> None:
    ids = [*range(60), 5, 900, 77]
    one = family(name, size)
    other = family(name, size, sizes=SizeSpec("uniform", size, size))
    found = made(one, ids)
    # In mixed, random_binary takes whole blocks where lengths are equal.
    kept = [place for place, payload in enumerate(found) if name != "mixed" or payload.isascii()]
    again = made(other, ids)
    assert len(kept) > 30
    assert [found[place] for place in kept] == [again[place] for place in kept]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_taking_apart_and_putting_together_gives_the_payload(
    name: str, data: st.DataObject
) -> None:
    size = data.draw(st.integers(least_bytes(name), 3000))
    payloads = family(name, size, seed=data.draw(st.integers(0, 1000)))
    record_type = payloads.record_type
    for payload in made(payloads, [7, *data.draw(st.lists(st.integers(0, 10**9), max_size=4))]):
        record = record_type.parse(payload)
        assert len(record) == len(record_type.fields)
        assert record_type.serialise(record) == payload


@pytest.mark.parametrize("name", ALL)
def test_every_length_from_the_least_on_is_exact(name: str) -> None:
    least = least_bytes(name)
    for size in range(least, least + 150):
        found = made(family(name, size), [0, 1, 2, 3])
        assert [len(one) for one in found] == [size] * 4
        assert len(set(found)) == 4


@pytest.mark.parametrize("name", [name for name in ALL if name != "random_binary"])
def test_shorter_than_the_least_is_refused(name: str) -> None:
    least = least_bytes(name)
    with pytest.raises(PlanError, match=f"at least {least} bytes"):
        family(name, least - 1)


@pytest.mark.parametrize("name", ALL)
def test_nothing_of_64_bytes_occurs_twice(name: str) -> None:
    found = made(family(name, 16 * KIB), list(range(16)))
    windows = Counter(one[at : at + 64] for one in found for at in range(len(one) - 63))
    # A few fields may be alike by chance, side by side; nothing near a chunk's length is.
    assert sum(count - 1 for count in windows.values()) <= len(windows) // 500


@pytest.mark.parametrize("percent", [30, 60, 95])
@pytest.mark.parametrize("name", ["random_binary", "structured_json"])
def test_chunks_of_compressible_payloads_are_unique(name: str, percent: int) -> None:
    found = made(family(name, 64 * KIB, percent=percent), list(range(16)))
    chunks = [one[at : at + 2 * KIB] for one in found for at in range(0, len(one), 2 * KIB)]
    assert len(set(chunks)) == len(chunks)
    assert content_defined_are_unique(found)


@pytest.mark.parametrize("name", ALL)
def test_content_defined_chunks_of_a_family_are_unique(name: str) -> None:
    assert content_defined_are_unique(made(family(name, 64 * KIB), list(range(32))))


def content_defined_are_unique(found: list[bytes]) -> bool:
    chunks = [
        one[begin:end]
        for one in found
        for begin, end in pairwise([0, *cut_points(one, 4 * KIB)])
        if begin < end
    ]
    assert sum(len(chunk) for chunk in chunks) == sum(len(one) for one in found)
    return len(set(chunks)) == len(chunks)


@pytest.mark.parametrize("name", ALL)
def test_payloads_that_hold_next_to_nothing_differ_nonetheless(name: str) -> None:
    found = made(family(name, max(16, least_bytes(name))), list(range(20_000)))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ALL)
def test_seeds_share_no_payload(name: str) -> None:
    one, other = (set(made(family(name, 1000, seed=seed), list(range(50)))) for seed in (1, 2))
    assert one.isdisjoint(other)


@pytest.mark.parametrize("name", ALL)
def test_large_payloads_are_made_in_pieces(name: str) -> None:
    (large,) = made(family(name, 3 * MIB + 5), [3])
    payloads = family(name, 3 * MIB + 5)
    assert payloads.record_type.serialise(payloads.record_type.parse(large)) == large
    assert len({large[at : at + KIB] for at in range(0, len(large), KIB)}) == 3 * KIB + 1


@pytest.mark.parametrize("size", [KIB, 1234, 1500, 8 * KIB, 64 * KIB, 100_001, MIB])
@pytest.mark.parametrize("percent", [0, 3, 10, 25, 50, 75, 90, 95])
def test_random_binary_compresses_as_asked(size: int, percent: int) -> None:
    found = made(
        family("random_binary", size, percent=percent), list(range(max(2, 32 * KIB // size)))
    )
    assert taken_away(found) == pytest.approx(percent, abs=5)


@pytest.mark.parametrize(
    ("size", "percents"),
    [
        (KIB, (25, 40, 65)),
        (4 * KIB, (25, 50, 85)),
        (64 * KIB, (25, 50, 75, 95)),
        (MIB, (25, 50, 75, 95)),
    ],
)
def test_structured_json_compresses_as_asked(size: int, percents: tuple[int, ...]) -> None:
    for percent in percents:
        payloads = family("structured_json", size, percent=percent)
        found = made(payloads, list(range(max(4, 64 * KIB // size))))
        assert taken_away(found) == pytest.approx(percent, abs=5)


@pytest.mark.parametrize("name", ["random_binary", "structured_json"])
def test_payloads_of_unlike_lengths_compress_as_asked(name: str) -> None:
    sizes = SizeSpec("lognormal", 2 * KIB, 128 * KIB, 1.0)
    for percent in (30, 50, 80):
        payloads = family(name, 8 * KIB, sizes=sizes, percent=percent)
        found = made(payloads, list(range(150)))
        assert len({len(one) for one in found}) > 100
        assert taken_away(found) == pytest.approx(percent, abs=5)


def test_what_a_length_can_not_have_is_refused() -> None:
    with pytest.raises(PlanError, match=r"1024 bytes can have a compressibility of \d+ % to \d+ %"):
        family("structured_json", KIB, percent=95)
    with pytest.raises(PlanError, match="compressibility of its own"):
        family("text_corpus", KIB, percent=50)


@pytest.mark.parametrize(
    ("name", "least", "greatest"),
    [
        ("random_binary", -1, 1),
        ("text_document", 49, 57),
        ("structured_json", 54, 62),
        ("jsonb_documents", 50, 58),
        ("uuid_keys", 44, 50),
        ("bank_transactions", 47, 55),
        ("text_corpus", 48, 56),
        ("numeric_dataset", 48, 56),
        ("time_series", 67, 75),
        ("mixed", 35, 51),
    ],
)
def test_the_compressibility_of_its_own_is_as_documented(
    name: str, least: int, greatest: int
) -> None:
    assert least < taken_away(made(family(name, 8 * KIB), list(range(60)))) < greatest


def test_all_families_together_keep_little_in_memory() -> None:
    program = (
        "import tracemalloc; tracemalloc.start()\n"
        "from tests.unit.families import FAMILIES, family, made\n"
        "kept = [family(name, 4096) for name in FAMILIES]\n"
        "lengths = [len(made(one, list(range(50)))) for one in kept]\n"
        "print(tracemalloc.get_traced_memory()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120
    )
    assert int(done.stdout) < 50 * MIB
