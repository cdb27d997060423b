"""The family ``gutenberg_text``: books of Project Gutenberg, cut into runs of paragraphs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import ClassVar, Final

from deduplab.datasets.real_payloads import RealPayloads
from deduplab.datasets.record_types import document_record
from deduplab.datasets.source_files import SourceFile, opened, regular_files
from deduplab.errors import DatasetError
from deduplab.units import KIB, MIB

_BEGIN: Final = re.compile(rb"\*\*\* ?START OF (THE|THIS) PROJECT GUTENBERG EBOOK", re.I)
_END: Final = re.compile(rb"(\*\*\* ?)?END OF (THE |THIS )?PROJECT GUTENBERG('S)? ", re.I)
_HEADING: Final = re.compile(
    rb"(chapter|book|volume|part|letter|canto|act|scene)\b[ .]+([ivxlcdm]+|\d+)\b.{0,60}$"
    rb"|(prologue|epilogue|preface|introduction)\.?$",
    re.I,
)
_HEAD_BYTES: Final = 64 * KIB
_LONGEST_LINE_BYTES: Final = MIB
_LEAST_BYTES: Final = 64


class GutenbergText(RealPayloads):
    """Payload ``id`` is the id-th distinct passage, in UTF-8 with line feeds.

    What Project Gutenberg puts before and behind the book is left out. With
    natural sizes a passage is a run of whole paragraphs of one chapter that is
    closed as soon as it has ``object_bytes``; what is left of a chapter at its end is
    a passage too. Fixed ones are runs of whole words, filled up to exactly ``object_bytes``
    with line feeds; the end of the book is left out. The first line is the
    record's title: the heading, where a chapter begins.

    Raises
    ------
    DatasetError
        If a text is not UTF-8, or has a NUL character.
    """

    record_type = document_record("gutenberg_text")
    least_object_bytes: ClassVar[int] = _LEAST_BYTES
    _is_text: ClassVar[bool] = True
    _takes_fixed: ClassVar[bool] = True

    def _index(self) -> None:
        cut = self._fixed if self.spec.sizes.kind == "fixed" else self._natural
        for source in self._sources:
            for path in regular_files(source):
                with opened(path) as descriptor:
                    file = SourceFile.of(path, descriptor)
                    for passage in cut(_lines(path)):
                        if self.spec.vary and not self._bears_marks(passage):
                            continue
                        self._offer_data(passage)
                        if self._enough:
                            return
                    file.check_again()

    def _natural(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        passage = bytearray()
        for paragraph in _paragraphs(lines):
            begins = _HEADING.match(paragraph.strip()) is not None
            if passage and (begins or len(passage) >= self.spec.object_bytes):
                yield bytes(passage)
                passage.clear()
            passage += b"\n" + paragraph if passage else paragraph
        if passage:
            yield bytes(passage)

    def _fixed(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        size_bytes = self.spec.object_bytes
        text = bytearray()
        for line in lines:
            text += line if text else line.lstrip()
            while len(text) > size_bytes:
                end = _end_of_word(text, size_bytes)
                yield bytes(text[:end]).rstrip().ljust(size_bytes, b"\n")
                text = text[end:].lstrip()

    def _nothing(self) -> str:
        return f"has no text of {self.spec.object_bytes} bytes; take smaller objects"


def _end_of_word(text: bytearray, limit_bytes: int) -> int:
    """Return where the last whole word ends that leaves room for a line feed."""
    end = max(text.rfind(b" ", 1, limit_bytes), text.rfind(b"\n", 1, limit_bytes))
    if end > 0:
        return end
    end = limit_bytes - 1
    while end > 1 and 0x80 <= text[end] < 0xC0:
        end -= 1
    return end


def _paragraphs(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the paragraphs: lines up to an empty one; a very long one is cut."""
    paragraph = bytearray()
    for line in lines:
        if line != b"\n":
            paragraph += line
        if paragraph and (line == b"\n" or len(paragraph) >= _LONGEST_LINE_BYTES):
            yield bytes(paragraph)
            paragraph.clear()
    if paragraph:
        yield bytes(paragraph)


def _lines(path: bytes) -> Iterator[bytes]:
    """Yield the lines of the book itself, each with one line feed, without blanks at its end."""
    with opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        head = file.read(_HEAD_BYTES)
        found = _BEGIN.search(head)
        file.seek(found.start() if found else 3 * head.startswith(b"\xef\xbb\xbf"))
        if found:
            file.readline(_LONGEST_LINE_BYTES)
        while line := file.readline(_LONGEST_LINE_BYTES):
            if _END.match(line):
                return
            if len(line) == _LONGEST_LINE_BYTES:
                raise DatasetError(
                    f"source {os.fsdecode(path)!r} has a line of more than {len(line)} bytes; "
                    "a text has shorter ones"
                )
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise DatasetError(
                    f"source {os.fsdecode(path)!r} is not UTF-8 ({error.reason}); convert it"
                ) from error
            if b"\0" in line:
                raise DatasetError(f"source {os.fsdecode(path)!r} has a NUL character; remove it")
            yield line.rstrip() + b"\n"
