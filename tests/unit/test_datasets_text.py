import re
from collections import Counter
from itertools import pairwise

import pytest
import zstandard

from deduplab.datasets import build_dataset, prove
from deduplab.model import DatasetSpec
from deduplab.units import KIB, MIB


def documents(object_bytes: int, count: int, seed: int = 1) -> list[bytes]:
    spec = DatasetSpec("text_document", count * object_bytes, object_bytes, 0, "none", seed=seed)
    dataset = build_dataset(spec)
    return [dataset.payload(ordinal) for ordinal in range(count)]


@pytest.mark.parametrize("object_bytes", [64, 65, 1000, 10_240, 70_001])
def test_a_document_is_text_of_its_length(object_bytes: int) -> None:
    for number, document in enumerate(documents(object_bytes, 30)):
        assert len(document) == object_bytes
        text = document.decode("ascii").rstrip("\n")
        assert re.fullmatch(rf"Note {number}\.( [A-Z][a-z]*(,? [a-z]+)*\.)+", text)


@pytest.mark.parametrize(
    ("object_bytes", "least", "most"),
    [(8 * KIB, 0.4, 0.46), (64 * KIB, 0.35, 0.42), (MIB, 0.33, 0.4)],
)
def test_it_compresses_like_text(object_bytes: int, least: float, most: float) -> None:
    compressor = zstandard.ZstdCompressor(level=1)
    found = documents(object_bytes, max(3, 512 * KIB // object_bytes))
    ratio = sum(len(compressor.compress(one)) for one in found) / (len(found) * object_bytes)
    assert least < ratio < most


def test_words_are_frequent_and_rare() -> None:
    words = re.findall(r"[a-z]+", documents(MIB, 1)[0].decode().lower())
    counts = [count for _, count in Counter(words).most_common()]
    assert counts[0] > 10 * counts[99]
    assert len(counts) > 1000


def test_nothing_long_repeats() -> None:
    words = b" ".join(documents(64 * KIB, 16)).split()
    runs = Counter(zip(*(words[first:] for first in range(5)), strict=False))
    repeated = sum(count - 1 for count in runs.values())
    # Five words hold one whole fragment and parts of others: two alike are a rare chance.
    assert repeated < len(words) / 1000


def test_chunks_of_documents_are_unique() -> None:
    manifest = prove(build_dataset(DatasetSpec("text_document", 8 * MIB, 64 * KIB, 0, "none")))
    assert manifest.unique_bytes == manifest.logical_bytes
    assert set(manifest.grain_unique_bytes.values()) == {manifest.logical_bytes}


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
