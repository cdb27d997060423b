"""Answers in Kafka's protocol: their bodies, field by field, and what one of them says."""

from __future__ import annotations

import struct
from dataclasses import dataclass


class Answer:
    """The body of an answer, read from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def number(self, form: str) -> int:
        """Return the next big-endian number of a ``struct`` format (``b h i q``)."""
        value: int = struct.unpack_from(f">{form}", self._body, self._at)[0]
        self._at += struct.calcsize(form)
        return value

    def raw(self, length_bytes: int) -> bytes:
        """Return the next bytes."""
        self._at += length_bytes
        return self._body[self._at - length_bytes : self._at]

    def text(self) -> str:
        """Return a string with a length of two bytes; null is empty."""
        return self.raw(max(0, self.number("h"))).decode()

    def varint(self) -> int:
        """Return an unsigned number of seven bits a byte."""
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def skip_tags(self) -> None:
        """Pass over tagged fields."""
        for _ in range(self.varint()):
            self.varint()
            self.raw(self.varint())


@dataclass(frozen=True, slots=True)
class Partition:
    """What the cluster says of a topic's only partition.

    Attributes
    ----------
    leader_epoch
        Another one after every election of a leader, as after a restart.
    in_sync
        The numbers of the brokers whose copy is not behind, the leader's included.
    """

    leader_epoch: int
    in_sync: tuple[int, ...]
