"""The family ``text_document``: a title line and sentences of made-up words, in plain ASCII.

The words and how they follow one another are those of ``language``. ``zstd -1`` takes
away 42 % of objects of 1 KiB, 50 % of 4 KiB, 53 % of 8 KiB, 58 % of 64 KiB and 62 % of
1 MiB.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.record_types import document_record
from deduplab.datasets.synthetic.columns import Ordinal, Pick
from deduplab.datasets.synthetic.language import Prose, capital_fragments, plain_endings
from deduplab.datasets.synthetic.row_template import RowTemplate
from deduplab.datasets.synthetic.units_stream import Integers

_CAPITAL: Final = ord("a") - ord("A")


class TextDocument(Payloads):
    """Payload ``id`` is a document whose title has the number 100,000,000,000 + ``id``.

    It ends with a full stop and a line feed; its last word may be cut short or
    grow by a letter or two.
    """

    least_object_bytes = 64

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = document_record(spec.payload)
        self._prose = Prose(spec.seed, spec.payload, self.sizes.greatest_bytes)
        title = ("No ", Ordinal(12), " ", Pick(capital_fragments()), Pick(plain_endings()), "\n")
        self._title = RowTemplate(title, spec.seed, f"{spec.payload} title")

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        lengths = self.lengths(ids)
        starts = np.cumsum(lengths) - lengths
        title_bytes = self._title.unit_bytes
        self._title.place(out, ids, starts, np.full_like(lengths, title_bytes))
        self._prose.place(out, ids, starts + title_bytes, lengths - title_bytes)
        letters = np.frombuffer(out, dtype=np.uint8)
        letters[starts + title_bytes] -= _CAPITAL
        _end_sentences(letters, starts + lengths)


def _end_sentences(letters: npt.NDArray[np.uint8], ends: Integers) -> None:
    """Put a full stop and a line feed at the end, after a letter."""
    letters[ends - 1] = ord("\n")
    letters[ends - 2] = ord(".")
    # Where a pause was cut, letters take its place: at most ", " or ". " is lost.
    before, last = letters[ends - 4], letters[ends - 3]
    pause = last < ord("A")
    letters[ends - 4] = np.where(pause & (before < ord("A")), ord("n"), before)
    letters[ends - 3] = np.where(pause, ord("e"), last)
