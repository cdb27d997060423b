"""Messages as they are sent: framed in parts, and gathered to pieces.

Source: NATS documentation, "NATS Protocol" (PUB, HPUB), "Message Headers".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from deduplab.adapters._nats_lines import HEADER
from deduplab.errors import OperationFailed

Value: TypeAlias = bytes | memoryview
Framed: TypeAlias = tuple[list[Any], int]
"""Parts to be sent one after another, and the bytes of the bodies in them."""

PIECE_BYTES: Final = 4 << 20
"""Messages are sent in pieces of about this many bytes, or one message if it is longer,"""

PIECE_MESSAGES: Final = 1024
"""and of this many messages at most."""

MOST_HEADER_BYTES: Final = 256
"""What is left of ``max_payload`` for a header."""


def message(subject: bytes, value: Value, inbox: bytes, identifier: bytes = b"") -> Framed:
    """Return a message as the protocol has it; with an id, where one is given."""
    length_bytes = len(value)
    if not identifier:
        head = b"PUB %b %b %d\r\n" % (subject, inbox, length_bytes)
        return [head, value, b"\r\n"], length_bytes
    header = b"%b\r\nNats-Msg-Id: %b\r\n\r\n" % (HEADER, identifier)
    header_bytes = len(header)
    head = b"HPUB %b %b %d %d\r\n%b" % (
        subject, inbox, header_bytes, header_bytes + length_bytes, header,
    )  # fmt: skip
    return [head, value, b"\r\n"], length_bytes


def check_length(length_bytes: int, most_bytes: int) -> None:
    """Refuse a message that is longer than the server takes: it would cut the connection.

    Raises
    ------
    OperationFailed
        If there is no room for it and a header.
    """
    if length_bytes > most_bytes - MOST_HEADER_BYTES:
        raise OperationFailed(
            f"nats: an object of {length_bytes} bytes is more than the server's max_payload "
            f"({most_bytes}) takes, with a header of {MOST_HEADER_BYTES}"
        )


def pieces(
    messages: Iterable[Framed], each: int, most_bytes: int
) -> Iterator[tuple[list[Any], int]]:
    """Gather messages, of which ``each`` come at a time, to pieces with their number.

    Raises
    ------
    OperationFailed
        If one has more bytes than the server takes.
    """
    parts: list[Any] = []
    filled_bytes = count = 0
    for more, length_bytes in messages:
        check_length(length_bytes, most_bytes)
        parts += more
        count += each
        filled_bytes += length_bytes
        if filled_bytes >= PIECE_BYTES or count >= PIECE_MESSAGES:
            yield parts, count
            parts, filled_bytes, count = [], 0, 0
    if count:
        yield parts, count
