"""Rows of a file in another order, within windows that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from deduplab.bound.sources.base import NATURAL
from deduplab.bound.sources.table import SEED, WINDOW_BYTES, TableOptions

Row = TypeVar("Row")


def in_windows(
    rows: Iterable[Row],
    options: TableOptions,
    bytes_of: Callable[[Row], int],
    key_of: Callable[[Row], bytes],
) -> Iterator[Row]:
    """Yield rows in the order asked for, within windows of about 64 MiB.

    Parameters
    ----------
    bytes_of
        How much of a window a row takes.
    key_of
        What rows are sorted by.
    """
    if options.order == NATURAL:
        yield from rows
        return
    generator = np.random.default_rng(SEED)

    def reordered(window: list[Row]) -> list[Row]:
        if options.sorted_by:
            return sorted(window, key=key_of)
        return [window[index] for index in generator.permutation(len(window))]

    window: list[Row] = []
    window_bytes = 0
    for row in rows:
        window.append(row)
        window_bytes += bytes_of(row)
        if window_bytes >= WINDOW_BYTES:
            yield from reordered(window)
            window, window_bytes = [], 0
    yield from reordered(window)
