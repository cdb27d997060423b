"""Objects for contract tests: awkward keys, awkward payloads, and batches made of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from deduplab.batch import Batch
from deduplab.record import RecordType, Stored


def random_payload(length_bytes: int, seed: int) -> bytes:
    """Return random bytes; one seed gives the same bytes."""
    return random.Random(seed).randbytes(length_bytes)  # noqa: S311 - payloads, not secrets


def batch_of(
    objects: Mapping[str, Stored] | Iterable[tuple[str, Stored]],
    record_type: RecordType | None = None,
) -> Batch:
    """Return a batch of these objects, in a buffer of its own that can be written to.

    Parameters
    ----------
    objects
        Payloads by their keys; records as well, where there is a record type.
    record_type
        What the batch's records are, for the layout native.
    """
    pairs = list(objects.items() if isinstance(objects, Mapping) else objects)
    payloads = [_canonical(stored, record_type) for _, stored in pairs]
    offsets = np.zeros(len(payloads) + 1, dtype=np.int64)
    np.cumsum([len(payload) for payload in payloads], out=offsets[1:])
    data = memoryview(bytearray(b"".join(payloads)))
    return Batch([key for key, _ in pairs], data, offsets, record_type)


def _canonical(stored: Stored, record_type: RecordType | None) -> bytes:
    if isinstance(stored, tuple):
        assert record_type is not None, "a batch of records needs their record type"
        return record_type.serialise(stored)
    return stored


def distinct_objects(count: int, prefix: str = "o", length_bytes: int = 8192) -> dict[str, bytes]:
    """Return objects with random payloads, no two alike; another prefix gives other payloads."""
    seed = int.from_bytes(prefix.encode())
    return {
        f"{prefix}{number:08d}": random_payload(length_bytes, seed * 1_000_003 + number)
        for number in range(count)
    }


AWKWARD_PAYLOADS: Final[dict[str, bytes]] = {
    "one-byte": b"\x00",
    "other-byte": b"\xff",
    "zeros": bytes(8192),
    "all-byte-values": bytes(range(256)) * 3,
    "text-escapes": b"\\N\t\\.\n'; DROP TABLE objects; --\r\n\"%s{}\\x41\x00",
    "not-utf-8": b"\xc3\x28\xf0\x9f\x92",
    "zstd-magic": b"\x28\xb5\x2f\xfd" + b"not a frame",
    "odd-length": random_payload(8191, 1),
    "one-mebibyte": random_payload(1 << 20, 2),
    "a/b": b"a key with a slash",
    "..": b"a key that climbs",
    ".hidden": b"a key with a leading dot",
    'it\'s "quoted" \\ %41': b"a key with quotes",
    "A": b"upper case",
    "a": b"lower case",
}
"""Payloads (no two alike) under awkward keys; together they cover what encodings stumble over."""
