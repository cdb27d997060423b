"""Columns out of rows: values picked from a block of rows, without a loop over short values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from deduplab.bound.stream import Block

_SHORT_BYTES = 128
"""Values up to this mean length are picked byte by byte at once, longer ones one by one."""

Offsets = npt.NDArray[np.int64]


def columns_of(rows: Block, names: list[str]) -> Iterator[Block]:
    """Yield a block for each column of rows in the form of :mod:`deduplab.bound.sources.table`.

    Parameters
    ----------
    rows
        Whole rows, each with a field for every name.
    names
        The columns' streams, in the order of the fields.
    """
    raw = np.frombuffer(rows.data, dtype=np.uint8)
    heads = np.asarray(rows.offsets)[:-1]
    for name in names:
        lengths = raw[heads[:, None] + np.arange(4)].view(">i4")[:, 0].astype(np.int64)
        np.maximum(lengths, 0, out=lengths)  # NULL is -1
        starts = heads + 4
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        yield Block(_picked(rows.data, raw, starts, lengths, offsets), offsets, False, name)
        heads = starts + lengths


def _picked(
    data: memoryview,
    raw: npt.NDArray[np.uint8],
    starts: Offsets,
    lengths: Offsets,
    offsets: Offsets,
) -> memoryview:
    total_bytes = int(offsets[-1])
    if total_bytes > _SHORT_BYTES * len(lengths):
        stops = (starts + lengths).tolist()
        return memoryview(
            b"".join([data[a:b] for a, b in zip(starts.tolist(), stops, strict=True)])
        )
    places = np.arange(total_bytes) + np.repeat(starts - offsets[:-1], lengths)
    return raw[places].data
