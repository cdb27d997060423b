"""Cells: texts of fixed width, many in one array, looked up in tables rather than formatted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from deduplab.datasets.synthetic.draws import Numbers

Cells = npt.NDArray[np.void]
"""Texts of one width."""

GROUP: Final = 4
"""Digits that are looked up at once."""

_TEN_THOUSAND: Final = np.uint64(10**GROUP)


def digits(values: Numbers, width: int) -> Cells:
    """Return the last ``width`` decimal digits of each number, with zeros in front."""
    groups = -(-width // GROUP)
    widths = [width - GROUP * (groups - 1)] + [GROUP] * (groups - 1)
    texts = np.empty(
        len(values), dtype=[(f"f{place}", f"V{one}") for place, one in enumerate(widths)]
    )
    rest = values
    for place in range(groups - 1, 0, -1):
        higher = rest // _TEN_THOUSAND
        texts[f"f{place}"] = _digit_table(GROUP).take(rest - higher * _TEN_THOUSAND)
        rest = higher
    first = rest % np.uint64(10 ** widths[0])
    texts["f0"] = _digit_table(widths[0]).take(first)
    return texts.view(f"V{width}")


def table_of(choices: Sequence[str]) -> Cells:
    """Return texts of equal width as a table of cells."""
    rows = [choice.encode("ascii") for choice in choices]
    width = len(rows[0])
    assert all(len(row) == width for row in rows), "the texts of a column have one width"
    return np.frombuffer(b"".join(rows), dtype=f"V{width}")


def packed_cells(letters: npt.NDArray[np.uint8]) -> Cells:
    """Return the rows of a matrix of characters as cells."""
    packed = np.ascontiguousarray(letters)
    return cast("Cells", packed.view(f"V{packed.shape[1]}").reshape(-1))


@cache
def _digit_table(width: int) -> Cells:
    return table_of([f"{value:0{width}d}" for value in range(10**width)])


@cache
def hex_table() -> Cells:
    """Return all groups of four hexadecimal digits, in lower case."""
    return table_of([f"{value:04x}" for value in range(1 << 16)])
