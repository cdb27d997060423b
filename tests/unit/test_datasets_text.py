import re
from collections import Counter
from itertools import pairwise

import pytest

from deduplab.units import KIB, MIB
from tests.unit.families import family, made, taken_away


def documents(object_bytes: int, count: int, seed: int = 1) -> list[bytes]:
    return made(family("text_document", object_bytes, seed=seed), list(range(count)))


@pytest.mark.parametrize("object_bytes", [64, 65, 66, 67, 68, 79, 80, 81, 1000, 10_240, 70_001])
def test_a_document_is_a_title_and_sentences(object_bytes: int) -> None:
    for number, document in enumerate(documents(object_bytes, 200)):
        assert len(document) == object_bytes
        title, body, end = document.decode("ascii").split("\n")
        assert re.fullmatch(rf"No {10**11 + number} [A-Z][a-z]*( [a-z]+)+", title)
        assert re.fullmatch(r"([A-Z][a-z]*(,? [a-z]+)*\.( |$))+", body)
        assert not end


def test_the_record_is_title_and_body() -> None:
    payloads = family("text_document", KIB)
    (document,) = made(payloads, [5])
    title, body = payloads.record_type.parse(document)
    assert f"{title!s}\n{body!s}".encode() == document
    assert title == document.decode().splitlines()[0]


@pytest.mark.parametrize(
    ("object_bytes", "least", "most"),
    [(KIB, 38, 46), (8 * KIB, 49, 57), (64 * KIB, 54, 62), (MIB, 58, 66)],
)
def test_it_compresses_like_text(object_bytes: int, least: float, most: float) -> None:
    assert least < taken_away(documents(object_bytes, max(2, 128 * KIB // object_bytes))) < most


def test_words_are_frequent_and_rare() -> None:
    words = re.findall(r"[a-z]+", documents(MIB, 1)[0].decode().lower())
    counts = [count for _, count in Counter(words).most_common()]
    assert counts[0] > 10 * counts[99]
    assert len(counts) > 2000


def test_nothing_long_repeats() -> None:
    words = b" ".join(documents(64 * KIB, 16)).split()
    runs = Counter(zip(*(words[first:] for first in range(6)), strict=False))
    repeated = sum(count - 1 for count in runs.values())
    # Six words hold a whole fragment and parts of others: two alike are a rare chance.
    assert repeated < len(words) / 1000


def test_seeds_share_the_language_and_no_sentence() -> None:
    one, other = (documents(MIB, 1, seed)[0].lower() for seed in (1, 2))
    words = [set(re.findall(rb"[a-z]{7,}", text)) for text in (one, other)]
    assert len(words[0] & words[1]) > len(words[0]) / 2
    sentences = [{part for part in text.split(b". ") if len(part) > 60} for text in (one, other)]
    assert sentences[0].isdisjoint(sentences[1])


def test_documents_differ_even_where_hardly_anything_fits() -> None:
    found = documents(64, 20_000)
    assert len(set(found)) == len(found)
    assert all(one != other for one, other in pairwise(found))
