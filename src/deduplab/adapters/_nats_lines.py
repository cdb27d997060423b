"""What a NATS server sends, taken apart: lines, messages, and acknowledgements many at a time."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deduplab.errors import SystemUnavailable

HEADER: Final = b"NATS/1.0"

_RECEIVE_BYTES: Final = 256 * 1024
_MOST_LINE_BYTES: Final = 1 << 20
_ACKNOWLEDGEMENT: Final = re.compile(rb"MSG (\S+) 1 \d+\r\n(\{[^\r]*\})\r\n")
"""One as it always comes: no headers, no reply, one line of JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came: the subject, the header lines (empty without) and the body."""

    subject: bytes
    header: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status that the header begins with; 0 without one."""
        after = self.header[len(HEADER) : len(HEADER) + 4]
        return int(after) if after[:1] == b" " else 0


class Lines:
    """A connection, read by lines and lengths."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._space = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._space)
        self._received = bytearray()

    def line(self) -> bytes:
        """Return the next line, without its end."""
        received, start = self._received, 0
        while (end := received.find(b"\r\n", start)) < 0:
            start = max(0, len(received) - 1)
            if len(received) > _MOST_LINE_BYTES:
                raise SystemUnavailable("nats: what answers sends no lines; check host and port")
            self._fill()
        line = bytes(received[:end])
        del received[: end + 2]
        return line

    def message(self, sizes: bytes, *, with_header: bool) -> Message:
        """Return the message whose line told its subject and sizes."""
        words = sizes.split()
        total = int(words[-1])
        header_bytes = int(words[-2]) if with_header else 0
        received = self._received
        while len(received) < total + 2:
            self._fill()
        with memoryview(received) as seen:
            header, body = bytes(seen[:header_bytes]), bytes(seen[header_bytes:total])
        del received[: total + 2]
        return Message(words[0], header, body)

    def acknowledgements(self, inbox: bytes, most: int) -> Iterator[bytes]:
        """Yield acknowledgements that are here already, up to what is something else."""
        done = 0
        for match in _ACKNOWLEDGEMENT.finditer(self._received):
            if match.start() != done or match[1] != inbox or not most:
                break
            done = match.end()
            most -= 1
            yield match[2]
        del self._received[:done]

    def wait_at_most(self, seconds: float) -> None:
        """Give up on sending and receiving after that long."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(seconds)
            return
        # A timeout of the kernel: Python's own would cost a poll before every call.
        self.socket.settimeout(None)
        limit = struct.pack("ll", int(seconds), round(seconds % 1 * 1e6))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _fill(self) -> None:
        count = self.socket.recv_into(self._space)
        if not count:
            raise SystemUnavailable("nats: the server closed the connection")
        self._received += self._view[:count]
