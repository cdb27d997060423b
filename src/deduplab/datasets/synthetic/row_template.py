"""Row templates: fixed-width rows of constant text and columns, many at once.

A batch of rows is one array of a structured type: the constant text is written
by one operation, and then each column by one more. No row is touched by itself.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from deduplab.datasets.synthetic.columns import Column
from deduplab.datasets.synthetic.draws import Draws, Numbers
from deduplab.datasets.synthetic.units_stream import Bytes, UnitStream

Part: TypeAlias = str | Column

_HALF_BITS: Final = np.uint64(32)
_LOW_HALF: Final = np.uint64(2**32 - 1)


class RowTemplate(UnitStream):
    """Rows of constant text and columns, one after another without anything between.

    Parameters
    ----------
    parts
        Constant texts in ASCII, and columns, in the order of the row.
    seed, purpose
        What the columns are drawn from; two templates never share a purpose.
    rows
        The greatest number of rows of one object.
    first_place
        Number of an object's first row.
    """

    def __init__(
        self,
        parts: tuple[Part, ...],
        seed: int,
        purpose: str,
        rows: int = 1,
        first_place: int = 0,
    ) -> None:
        names, formats, offsets, constants = [], [], [], []
        width = 0
        for place, part in enumerate(parts):
            if isinstance(part, Column):
                names.append(f"column{place}")
                formats.append(f"V{part.width}")
                offsets.append(width)
                constants.append(b" " * part.width)
            else:
                constants.append(part.encode("ascii"))
            width += len(constants[-1])
        super().__init__(width, width * rows)
        self._columns = [
            (f"column{place}", part) for place, part in enumerate(parts) if isinstance(part, Column)
        ]
        self._numbered = any(column.numbered for _, column in self._columns)
        self._whole = sum(column.draws for _, column in self._columns)
        halves = sum(column.half for _, column in self._columns)
        self._each = max(1, self._whole + -(-halves // 2))
        self._dtype = np.dtype(
            {"names": names, "formats": formats, "offsets": offsets, "itemsize": width}
        )
        self._constant = np.frombuffer(b"".join(constants), dtype=f"V{width}")
        self._draws = Draws(seed, purpose)
        self._first_place = np.uint64(first_place)

    def units(self, counters: Numbers) -> Bytes:
        """Return the rows with these counters, back to back."""
        whole = np.empty(len(counters), dtype=self._constant.dtype)
        whole[:] = self._constant
        rows = whole.view(self._dtype) if self._columns else whole
        owners = places = counters
        if self._numbered:
            owners, places = np.divmod(counters, np.uint64(self.units_an_object))
            places += self._first_place
        numbers = self._draws.numbers(counters, self._each)
        whole_draws, halves = 0, 2 * self._whole
        for name, column in self._columns:
            if column.half:
                drawn = _half(numbers, halves)
                halves += 1
            else:
                drawn = numbers[whole_draws : whole_draws + column.draws]
                whole_draws += column.draws
            rows[name] = column.cells(owners, places, drawn)
        return whole.view(np.uint8)


def _half(numbers: Numbers, place: int) -> Numbers:
    """Return the low (even places) or high half of each of the numbers, shape (1, rows)."""
    whole = numbers[place // 2 : place // 2 + 1]
    return whole >> _HALF_BITS if place % 2 else whole & _LOW_HALF
