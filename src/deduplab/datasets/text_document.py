"""The family ``text_document``: sentences of made-up words, in plain ASCII.

A document is a sequence of fragments, drawn from a table of 65,536: two words
each, with a space, a comma or the end of a sentence between them. Words are
made of syllables and occur with frequencies after Zipf (the n-th word in
proportion to 1 / (n + 4)). Nothing longer than a fragment repeats but by
chance. Only integers are used, so the bytes are the same on every machine.

``zstd -1`` leaves 48 % of documents of 4 KiB, 45 % of 8 KiB, 38 % of 64 KiB and
35 % of 1 MiB, each compressed alone.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.datasets.keystream import Keystream, blocks_for
from deduplab.datasets.payloads import Payloads, runs
from deduplab.errors import PlanError
from deduplab.model import DatasetSpec

LEAST_OBJECT_BYTES: Final = 64

_LANGUAGE_SEED: Final = 1  # all documents share one language, whatever the seed of a dataset
_WORDS: Final = 1500
_FRAGMENTS: Final = 1 << 16
# A fragment fills its row of the table, or is followed by zeros that are left out afterwards.
_ROW_BYTES: Final = 16
_SHORTEST_BYTES: Final = 12
# Repeated syllable parts are the more frequent ones.
_ONSETS: Final = (
    *"bcdfghlmnprstv",
    *("br", "ch", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "st", "th", "tr"),
)
_VOWELS: Final = (*"aaaeeeeiiiooouu", "ai", "ea", "ee", "ou")
_CODAS: Final = (*[""] * 12, *"lmnnrrssttd", "nd", "nt", "rs", "st")
# What stands between the two words of a fragment: mostly nothing, a comma, the end of a sentence.
_PLAIN, _COMMA, _STOP = 0, 1, 2
_BREAKS: Final = (*[_PLAIN] * 13, _COMMA, _STOP, _STOP)
_SCRATCH_ROWS: Final = 1 << 16


class TextDocument(Payloads):
    """Payload ``id`` is a numbered document of exactly ``object_bytes`` bytes.

    It begins with its own number, so that no two documents are equal, and ends
    with a full stop and at least one line feed; its last word may be cut short.

    Raises
    ------
    PlanError
        If an object is shorter than 64 bytes.
    """

    def __init__(self, spec: DatasetSpec, unique: int) -> None:
        super().__init__(spec, unique)
        if spec.object_bytes < LEAST_OBJECT_BYTES:
            raise PlanError(
                f"a text_document has at least {LEAST_OBJECT_BYTES} bytes, "
                f"object_bytes is {spec.object_bytes}"
            )
        self._table = _fragment_table()
        self._stream = Keystream(spec.seed, "text_document")
        self._stride_blocks = blocks_for(2 * -(-spec.object_bytes // _SHORTEST_BYTES))
        self._stride_rows = self._stride_blocks * 8
        at_once = max(1, _SCRATCH_ROWS // self._stride_rows)
        self._choices = np.empty((min(at_once, unique), self._stride_rows), dtype="<u2")

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        at_once = len(self._choices)
        for start, stop in runs(ids):
            for first in range(start, stop, at_once):
                last = min(first + at_once, stop)
                part = out[first * self.object_bytes : last * self.object_bytes]
                self._write_run(int(ids[first]), last - first, part)

    def _write_run(self, first_id: int, count: int, out: memoryview) -> None:
        choices = self._choices[:count]
        first_block = first_id * self._stride_blocks
        self._stream.read_into(first_block, choices.view(np.uint8).reshape(-1).data)
        for place, fragments in enumerate(choices):
            begin = place * self.object_bytes
            document = self._document(first_id + place, fragments)
            out[begin : begin + self.object_bytes] = document

    def _document(self, number: int, fragments: npt.NDArray[np.uint16]) -> bytes:
        title = f"Note {number}. ".encode()
        text = self._table[fragments].tobytes().translate(None, b"\0")
        # The last two bytes are kept free for the end of the last sentence.
        text = text[: self.object_bytes - len(title) - 2].rstrip(b" ,.")
        first_letter, rest = text[:1].upper(), text[1:]
        document = b"".join((title, first_letter, rest, b".\n"))
        return document.ljust(self.object_bytes, b"\n")


@cache
def _fragment_table() -> npt.NDArray[np.void]:
    """Return the fragments: one row of 16 bytes each, filled up with zeros."""
    draws = _Draws(_LANGUAGE_SEED)
    words = _words(draws)
    weights = [10**9 // (rank + 4) for rank in range(len(words))]
    bounds = np.cumsum(np.array(weights, dtype=np.uint64))
    rows: list[bytes] = []
    while len(rows) < _FRAGMENTS:
        numbers = draws.numbers(3 * _FRAGMENTS)
        picks = np.searchsorted(bounds, numbers[: 2 * _FRAGMENTS] % bounds[-1], side="right")
        breaks = (numbers[2 * _FRAGMENTS :] % np.uint64(len(_BREAKS))).tolist()
        pairs = picks.reshape(-1, 2).tolist()
        for (left, right), place in zip(pairs, breaks, strict=True):
            row = _fragment(words[left], words[right], _BREAKS[place])
            if _SHORTEST_BYTES <= len(row) <= _ROW_BYTES and left != right:
                rows.append(row.ljust(_ROW_BYTES, b"\0"))
    return np.frombuffer(b"".join(rows[:_FRAGMENTS]), dtype=f"V{_ROW_BYTES}")


def _fragment(left: str, right: str, between: int) -> bytes:
    if between == _STOP:
        return f"{left}. {right.capitalize()} ".encode()
    comma = "," if between == _COMMA else ""
    return f"{left}{comma} {right} ".encode()


def _words(draws: _Draws) -> list[str]:
    """Return distinct words, the most frequent first; frequent ones have fewer syllables."""
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        most = 1 if len(words) < 40 else 2 if len(words) < 600 else 3
        numbers = draws.numbers(1 + 3 * most).tolist()
        syllables = most if most < 3 else 2 + numbers[0] % 2
        word = ""
        for place in range(syllables):
            onset, vowel, coda = numbers[1 + 3 * place : 4 + 3 * place]
            word += _ONSETS[onset % len(_ONSETS)] + _VOWELS[vowel % len(_VOWELS)]
            word += _CODAS[coda % len(_CODAS)]
        if len(word) <= _ROW_BYTES - 6:
            words[word] = None
    return list(words)


class _Draws:
    """Random 64-bit numbers from a seed, one after another."""

    def __init__(self, seed: int) -> None:
        self._stream = Keystream(seed, "text_document vocabulary")
        self._next_block = 0

    def numbers(self, count: int) -> npt.NDArray[np.uint64]:
        blocks = blocks_for(8 * count)
        buffer = bytearray(16 * blocks)
        self._stream.read_into(self._next_block, memoryview(buffer))
        self._next_block += blocks
        return np.frombuffer(buffer, dtype="<u8")[:count].astype(np.uint64)
