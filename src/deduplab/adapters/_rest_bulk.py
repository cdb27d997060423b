"""The body of a bulk request of the REST contract: each object's lengths, key and payload."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import Final

from deduplab.batch import Batch
from deduplab.errors import OperationFailed

BULK_TYPE: Final = b"application/vnd.deduplab.objects"
_HEAD: Final = Struct(">HI")  # length of the key, length of the payload
_MOST_KEY_BYTES: Final = (1 << 16) - 1


def bulk_body(batch: Batch) -> bytes:
    """Return a batch as the body of one bulk request.

    Raises
    ------
    OperationFailed
        If a key is longer than its length can tell.
    """
    return _framed(batch.keys, batch.data, batch.offsets.tolist())


def _framed(keys: Sequence[str], data: memoryview, bounds: Sequence[int]) -> bytes:
    parts: list[bytes | memoryview] = []
    for key, (start, stop) in zip(keys, pairwise(bounds), strict=True):
        name = key.encode("utf-8")
        if len(name) > _MOST_KEY_BYTES:
            raise OperationFailed(
                f"rest: a key of {len(name)} bytes ({key[:32]!r}..) is longer than "
                f"{_MOST_KEY_BYTES}; choose shorter keys"
            )
        parts += (_HEAD.pack(len(name), stop - start), name, data[start:stop])
    return b"".join(parts)
