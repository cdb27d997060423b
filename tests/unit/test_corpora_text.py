from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.corpora.gutenberg_text import GutenbergText
from deduplab.errors import DatasetError
from tests.unit.real_data import real_files, written

BOOK = """\ufeffThe Project Gutenberg eBook of A Short Book\r
\r
*** START OF THE PROJECT GUTENBERG EBOOK A SHORT BOOK ***\r
\r
A SHORT BOOK\r
\r
CHAPTER I.\r
\r
It was the first paragraph,\r
of two lines.\r
\r
And this the second one; naïve, as they are.\r
\r
CHAPTER II. In which it ends\r
\r
Nothing else happened.\r
\r
*** END OF THE PROJECT GUTENBERG EBOOK A SHORT BOOK ***\r
\r
Licence.\r
"""


def texts(source: Path, object_bytes: int, kind: str, vary: bool = False) -> list[bytes]:
    spec = DatasetSpec(
        "gutenberg_text",
        1 << 30,
        object_bytes,
        0,
        "none",
        source=str(source),
        sizes=SizeSpec(kind),
        vary=vary,
    )
    payloads = GutenbergText(spec)
    count = payloads.found * (3 if payloads.available is None else 1)
    return written(payloads, range(count))


def test_the_book_alone_is_taken_chapter_by_chapter(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes(BOOK.encode())
    assert [content.decode() for content in texts(tmp_path / "book.txt", 500, "natural")] == [
        "A SHORT BOOK\n",
        "CHAPTER I.\n\nIt was the first paragraph,\nof two lines.\n\n"
        "And this the second one; naïve, as they are.\n",
        "CHAPTER II. In which it ends\n\nNothing else happened.\n",
    ]


def test_the_title_is_the_heading(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes(BOOK.encode())
    last = texts(tmp_path / "book.txt", 500, "natural")[-1]
    record = GutenbergText.record_type.parse(last)
    assert record == ("CHAPTER II. In which it ends", "\nNothing else happened.\n")


@pytest.mark.parametrize("object_bytes", [64, 1000, 4096, 20_000])
def test_passages_are_the_whole_novel(object_bytes: int) -> None:
    novel = real_files("gutenberg_text")[0]
    words = novel.read_text("utf-8").split()
    passages = texts(novel, object_bytes, "natural")
    assert b"\n\n".join(passages).decode().split() == words
    chapters = [one for one in passages if one.startswith(b"Chapter ")]
    assert len(chapters) == sum(word == "Chapter" for word in words)
    for passage in passages:
        assert b"\n\nChapter " not in passage
        before_last = passage.rpartition(b"\n\n")[0]
        assert len(before_last) < object_bytes


@pytest.mark.parametrize("object_bytes", [64, 1000, 4096])
def test_fixed_passages_are_whole_words(object_bytes: int) -> None:
    novel = real_files("gutenberg_text")[0]
    words = novel.read_text("utf-8").split()
    passages = texts(novel, object_bytes, "fixed")
    assert {len(passage) for passage in passages} == {object_bytes}
    found = b"".join(passages).decode().split()
    assert found == words[: len(found)]
    assert sum(map(len, found)) > sum(map(len, words)) - object_bytes


def test_long_words_are_cut_between_characters(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("€" * 1000)
    passages = texts(tmp_path / "book.txt", 64, "fixed")
    assert [passage.decode() for passage in passages] == ["€" * 21 + "\n"]


def test_a_variation_stays_utf_8(tmp_path: Path) -> None:
    text = "\n\n".join("€" * (40 + place) for place in range(60))
    (tmp_path / "book.txt").write_text(text)
    found = texts(tmp_path / "book.txt", 64, "natural", vary=True)
    assert len(set(found)) == 180
    for content in found[60:]:
        assert "[edit 1.0000" in content.decode()
        assert len(content) - content.count(b"\xe2") * 3 < 40


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4000))
def test_any_text_is_cut_into_distinct_passages(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    source = tmp_path_factory.mktemp("any") / "book.txt"
    source.write_bytes(text.encode())
    for kind in ("natural", "fixed"):
        try:
            passages = texts(source, 64, kind)
        except DatasetError as error:
            if "has no text of 64 bytes" not in str(error):
                raise
            continue
        assert len(set(passages)) == len(passages)
        for passage in passages:
            passage.decode()
            assert kind == "natural" or len(passage) == 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9 " * 50, "is not UTF-8"),
        (b"a\0b " * 50, "has a NUL character"),
        (b"x" * (1 << 20), "has a line of more than"),
        (b"", "has no text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "book.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        texts(tmp_path / "book.txt", 64, "natural")
