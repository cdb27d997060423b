"""The sink that appends messages to a file, one JSON object a line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from deduplab.errors import PlanError
from deduplab.sinks.message import Message
from deduplab.sinks.sink import Sink


@dataclass(frozen=True, slots=True)
class JsonLinesSettings:
    """Where the file is; what it has already stays."""

    path: Path

    def sink(self) -> Sink:
        """Return the sink."""
        return JsonLines(self)


class JsonLines(Sink):
    """Appends to a file; others may read it meanwhile, and see whole lines but for the last."""

    name = "json_lines"

    def __init__(self, settings: JsonLinesSettings) -> None:
        super().__init__()
        self._path = settings.path.expanduser()
        self._file: BinaryIO | None = None
        self._written = 0
        self._torn = False

    def open(self) -> None:
        """Open the file for appending.

        Raises
        ------
        PlanError
            If that can't be done.
        """
        try:
            self._file = self._path.open("ab+", buffering=0)
            self._torn = _is_torn(self._file)
        except OSError as error:
            raise PlanError(f"json_lines: {self._path} can't be written: {error}") from error

    def _send(self, messages: Sequence[Message]) -> None:
        """Write lines, all of them at once."""
        assert self._file is not None
        if not messages:
            return
        lines = [msgspec.json.encode(one) + b"\n" for one in messages]
        content = memoryview(b"".join([b"\n"] * self._torn + lines))
        try:
            while content:
                content = content[self._file.write(content) :]
            self._written += len(messages)
            self._got_rid_of(len(messages))
            self._torn = False
        except OSError as error:
            # Maybe some of them are there, the last one in part.
            self._torn = True
            self.reason = f"{self._path} can't be written: {error}"

    def close(self, deadline_s: float) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def sent(self) -> str:
        """Return how many lines were written."""
        return f"{self._written} lines"


def _is_torn(file: BinaryIO) -> bool:
    """Whether a file ends within a line, as where whoever wrote it was killed or the disk full."""
    if not file.seekable() or not file.seek(0, os.SEEK_END):
        return False  # a pipe or a terminal, or empty
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
