"""Shapes: the layout of one kind of JSON object, and the families that consist of them.

An object is a head, rows, a middle, prose and a tail. Head, middle and tail have fixed
widths; the rows (the elements of a list, all but its first one, which ends the head)
are as many as fit into their share of the room, and the prose takes up what is left, so
every object has exactly the length that it should have. What varies in width (names,
amounts, members that are null) varies between the shapes of a family; each object's
shape is drawn from its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.payloads import Payloads
from deduplab.datasets.synthetic.columns import Column
from deduplab.datasets.synthetic.draws import Draws
from deduplab.datasets.synthetic.language import Prose
from deduplab.datasets.synthetic.row_template import Part, RowTemplate
from deduplab.datasets.synthetic.units_stream import Integers, UnitStream
from deduplab.units import KIB

_HUNDRED: Final = 100
_SMALL_BYTES: Final = 16 * KIB
_MATRIX_BYTES: Final = 512 * KIB


@dataclass(frozen=True, slots=True)
class Shape:
    """The parts of one kind of object; each part is a tuple of constant texts and columns.

    Parameters
    ----------
    head
        From the opening brace to the first element of the list, or to the prose.
    tail
        What follows the prose, to the closing brace.
    rows
        One more element with a comma before it; empty for a shape without a list.
    middle
        From the end of the list to the prose.
    rows_percent
        Share of the room (what head, middle and tail leave) for the rows.
    """

    head: tuple[Part, ...]
    tail: tuple[Part, ...]
    rows: tuple[Part, ...] = ()
    middle: tuple[Part, ...] = ()
    rows_percent: int = 50

    @property
    def fixed_bytes(self) -> int:
        """Width of head, middle and tail together: the shortest object of this shape."""
        return sum(
            part.width if isinstance(part, Column) else len(part)
            for part in (*self.head, *self.middle, *self.tail)
        )


class ShapedPayloads(Payloads):
    """A family whose objects have one of several shapes.

    Subclasses name their shapes; the first one is as frequent as any other.
    """

    shapes: ClassVar[Sequence[Shape]]

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        greatest_bytes = self.sizes.greatest_bytes
        self._makers = [
            ShapeMaker(shape, spec.seed, f"{spec.payload} {number}", greatest_bytes)
            for number, shape in enumerate(self.shapes)
        ]
        self._choice = Draws(spec.seed, f"{spec.payload} shape")

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        lengths = self.lengths(ids)
        starts = np.cumsum(lengths) - lengths
        kinds = self._choice.numbers(ids.astype(np.uint64))[0] % np.uint64(len(self._makers))
        for number, maker in enumerate(self._makers):
            chosen = np.flatnonzero(kinds == number)
            if self.sizes.fixed_bytes is not None and self.sizes.fixed_bytes <= _SMALL_BYTES:
                self._write_equal(maker, ids[chosen], chosen, self.sizes.fixed_bytes, out)
            elif len(chosen):
                maker.place(out, ids[chosen], starts[chosen], lengths[chosen])

    def _write_equal(
        self, maker: ShapeMaker, ids: Integers, chosen: Integers, length_bytes: int, out: memoryview
    ) -> None:
        """Make small objects of equal length as one matrix, and deal its rows out."""
        rows = np.frombuffer(out, dtype=np.uint8).reshape(-1, length_bytes)
        at_once = max(1, _MATRIX_BYTES // length_bytes)
        for first in range(0, len(ids), at_once):
            part = slice(first, first + at_once)
            count = len(ids[part])
            made = np.empty((count, length_bytes), dtype=np.uint8)
            starts = np.arange(count, dtype=np.int64) * length_bytes
            maker.place(
                made.reshape(-1).data, ids[part], starts, np.full_like(starts, length_bytes)
            )
            rows[chosen[part]] = made


class ShapeMaker:
    """Makes the objects of one shape.

    ``filler`` takes the place of the prose; then there are no rows either.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        purpose: str,
        greatest_bytes: int,
        filler: UnitStream | None = None,
    ) -> None:
        self._fixed_bytes = shape.fixed_bytes
        self._head = RowTemplate(shape.head, seed, f"{purpose} head")
        self._middle = (
            RowTemplate(shape.middle, seed, f"{purpose} middle") if shape.middle else None
        )
        self._tail = RowTemplate(shape.tail, seed, f"{purpose} tail")
        self._rows: RowTemplate | None = None
        if shape.rows and filler is None:
            width = RowTemplate(shape.rows, seed, "").unit_bytes
            rows = max(1, greatest_bytes // width)
            self._rows = RowTemplate(shape.rows, seed, f"{purpose} rows", rows, first_place=1)
        self._rows_percent = shape.rows_percent
        self._text = filler or Prose(seed, f"{purpose} prose", greatest_bytes)

    def place(self, out: memoryview, ids: Integers, starts: Integers, lengths: Integers) -> None:
        """Write the objects with these ids and lengths to ``starts`` in ``out``."""
        room = lengths - self._fixed_bytes
        at = self._place_row(self._head, out, ids, starts)
        if self._rows is not None:
            width = self._rows.unit_bytes
            rows_bytes = room * self._rows_percent // _HUNDRED // width * width
            self._rows.place(out, ids, at, rows_bytes)
            at = at + rows_bytes
            room = room - rows_bytes
        if self._middle is not None:
            at = self._place_row(self._middle, out, ids, at)
        self._text.place(out, ids, at, room)
        self._place_row(self._tail, out, ids, at + room)

    def _place_row(
        self, row: RowTemplate, out: memoryview, ids: Integers, starts: Integers
    ) -> Integers:
        """Write one row an object; return where each row ends."""
        row.place(out, ids, starts, np.full(len(ids), row.unit_bytes, dtype=np.int64))
        return starts + row.unit_bytes
