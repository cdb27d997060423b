"""Variations: marked edits of real objects, so that a small corpus has no end.

The n-th variation is the n-th object, counted round and round, in which some
bytes at a seeded place are replaced by a mark, ``[edit SEED.NUMBER]``. No object
of the corpus itself may hold the beginning of a mark; so all are distinct.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.datasets.synthetic.draws import Draws

MARK: Final = b"[edit "

_DIGITS: Final = 12
_CONTINUES: Final = range(0x80, 0xC0)  # bytes of a UTF-8 character behind its first one


class Marks:
    """The marks of a dataset: all equally long.

    Attributes
    ----------
    length_bytes
        Of one mark.
    least_object_bytes
        The shortest object that can bear one, with room for whole characters.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draws = Draws(seed, "variation")
        self._pattern = b"%s%d.%%0%dd]" % (MARK, seed, _DIGITS)
        self.length_bytes = len(self.text(0))
        self.least_object_bytes = self.length_bytes + 16

    def text(self, number: int) -> bytes:
        """Return the mark of a variation."""
        return self._pattern % number

    def places(
        self, numbers: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], first: int
    ) -> npt.NDArray[np.int64]:
        """Return where the mark of each variation begins: at ``first``, or behind it.

        ``lengths`` are those of the objects in bytes; all int64, of one shape.
        """
        draws = self._draws.numbers(numbers.astype(np.uint64))[0]
        room = (lengths - (first + self.length_bytes - 1)).astype(np.uint64)
        places: npt.NDArray[np.int64] = (draws % room).astype(np.int64) + first
        return places


def whole_characters(text: memoryview, start: int, stop: int) -> tuple[int, int]:
    """Return the span widened so that it cuts no character of UTF-8 in two."""
    while start > 0 and text[start] in _CONTINUES:
        start -= 1
    while stop < len(text) and text[stop] in _CONTINUES:
        stop += 1
    return start, stop
