"""The keys of a namespace in Redis: their common prefix, and the key that marks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deduplab.adapters._resp import Resp

ROOT: Final = b"deduplab:"


def prefix(namespace: str) -> bytes:
    """Return what the keys of all objects begin with."""
    return ROOT + namespace.encode() + b":"


def marker_key(namespace: str) -> bytes:
    """Return the key of the marker, which is no object's."""
    return ROOT + namespace.encode()


def scan(redis: Resp, namespace: str) -> Iterator[list[bytes]]:
    """Yield the keys of a namespace, some may come twice; the marker is not among them."""
    cursor = b"0"
    while True:
        cursor, keys = redis.call(
            b"SCAN", cursor, b"MATCH", prefix(namespace) + b"*", b"COUNT", b"5000"
        )
        if keys:
            yield keys
        if cursor == b"0":
            return


def count(redis: Resp, namespace: str) -> int:
    """Count the keys of a namespace, each once."""
    found: set[bytes] = set()
    for keys in scan(redis, namespace):
        found.update(keys)
    return len(found)


def unlink_all(redis: Resp, namespace: str) -> None:
    """Delete the keys of a namespace; the marker stays."""
    for keys in scan(redis, namespace):
        redis.call(b"UNLINK", *keys)
