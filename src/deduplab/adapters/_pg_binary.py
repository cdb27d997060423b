"""PostgreSQL's binary format: rows for ``COPY``, and arrays of text.

Source: PostgreSQL documentation, "COPY", section "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from deduplab.batch import Batch

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
COPY_TRAILER: Final = struct.pack(">h", -1)
CHUNK_BYTES: Final = 128 * 1024
"""Rows are handed to libpq in pieces of about this many bytes."""

_TEXT_OID: Final = 25


@cache
def _row_head(key_bytes: int) -> struct.Struct:
    return struct.Struct(f">hi{key_bytes}si")


def copy_chunks(batch: Batch, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield a batch as binary COPY of rows (key text, payload bytea), in pieces.

    The first piece begins with the format's header, the last ends with its
    trailer. A piece is at least ``chunk_bytes`` long, except the last, and
    ends at the end of a row.
    """
    data = batch.data
    bounds = batch.offsets.tolist()
    parts: list[bytes | memoryview] = [COPY_HEADER]
    filled_bytes = 0
    start = bounds[0]
    for key, stop in zip(batch.keys, bounds[1:], strict=True):
        name = key.encode()
        payload_bytes = stop - start
        parts.append(_row_head(len(name)).pack(2, len(name), name, payload_bytes))
        parts.append(data[start:stop])
        start = stop
        filled_bytes += payload_bytes
        if filled_bytes >= chunk_bytes:
            yield b"".join(parts)
            parts = []
            filled_bytes = 0
    parts.append(COPY_TRAILER)
    yield b"".join(parts)


def text_array(values: Sequence[str]) -> bytes:
    """Return a one-dimensional ``text[]`` in the server's binary format."""
    if not values:
        return struct.pack(">iii", 0, 0, _TEXT_OID)
    parts = [struct.pack(">iiiii", 1, 0, _TEXT_OID, len(values), 1)]
    for value in values:
        name = value.encode()
        parts.append(struct.pack(">i", len(name)))
        parts.append(name)
    return b"".join(parts)
