"""The body of a bulk request: objects one after another, each with its two lengths before it."""

from __future__ import annotations

from struct import Struct
from typing import Final

from deduplab.rest_server.problem import malformed

MEDIA_TYPE: Final = "application/vnd.deduplab.objects"
_HEAD: Final = Struct(">HI")  # length of the key, length of the payload


def objects_of(body: bytes) -> list[tuple[str, bytes]]:
    """Return keys and payloads of a bulk request's body.

    Raises
    ------
    Problem
        If the body ends inside an object, or a key is empty or not UTF-8.
    """
    objects: list[tuple[str, bytes]] = []
    position = 0
    while position < len(body):
        start = position + _HEAD.size
        if start > len(body):
            raise malformed(f"the body ends inside the lengths of object {len(objects)}")
        key_bytes, payload_bytes = _HEAD.unpack_from(body, position)
        middle = start + key_bytes
        position = middle + payload_bytes
        if position > len(body):
            raise malformed(f"the body ends inside object {len(objects)}")
        try:
            key = body[start:middle].decode("utf-8")
        except UnicodeDecodeError as error:
            raise malformed(f"the key of object {len(objects)} is not UTF-8") from error
        if not key:
            raise malformed(f"the key of object {len(objects)} is empty")
        objects.append((key, body[middle:position]))
    return objects
