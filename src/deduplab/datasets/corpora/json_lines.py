"""Lines of JSON: each a document, put into canonical form."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from deduplab.datasets.record_types import canonical_json, json_document
from deduplab.datasets.source_files import unreadable
from deduplab.errors import DatasetError
from deduplab.units import MIB

LONGEST_LINE_BYTES: Final = 64 * MIB

# PostgreSQL's text and jsonb, and others, hold no NUL.
NUL: Final = b"\\u0000"


class JsonLines:
    """The documents of a file, one a line; empty lines are left out."""

    record_type = json_document("files")

    def __init__(self, path: bytes) -> None:
        self._path = path

    def canonical(self) -> Iterator[bytes]:
        """Yield each document in canonical form.

        Raises
        ------
        DatasetError
            If a line is not JSON or can't be stored everywhere; it is named.
        """
        for number, line in numbered_lines(self._path):
            document = decoded(self._path, number, line)
            if NUL in line:
                raise bad_line(
                    self._path, number, "holds a NUL character (\\u0000), which many systems refuse"
                )
            yield canonical_json(document)


def numbered_lines(path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers from 1; unpacks ``.gz``."""
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if len(line) > LONGEST_LINE_BYTES:
                    raise bad_line(path, number, f"is longer than {LONGEST_LINE_BYTES} bytes")
                if line := line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error


def decoded(path: bytes, number: int, line: bytes) -> object:
    """Return the document of a line."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_line(path, number, f"is not JSON ({error})") from error


def bad_line(path: bytes, number: int, what: str) -> DatasetError:
    """Word the refusal of a line."""
    return DatasetError(
        f"source {os.fsdecode(path)!r}, line {number} {what}; correct it or leave it out"
    )


def _opened(path: bytes) -> IO[bytes] | gzip.GzipFile:
    if path.lower().endswith(b".gz"):
        return gzip.open(path)
    return open(path, "rb")  # noqa: PTH123 - names are bytes, and the caller closes it
