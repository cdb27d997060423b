"""The protocol of Redis and Valkey (RESP 2): one blocking connection, and one error table.

Commands are framed here; answers are read by ``hiredis``. Sources: Redis
documentation, "Redis serialization protocol specification", "ACL", "Redis
pipelining".
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._tls import Tls
from deduplab.errors import DeduplabError, DiskSpaceError, OperationFailed, SystemUnavailable
from deduplab.registry import SystemEntry, driver_missing
from deduplab.server import Endpoint

if TYPE_CHECKING:
    from hiredis import Reader

_CONNECT_S: Final = 10
_LOGIN_S: Final = 30
_ANSWER_S: Final = 600
_RECEIVE_BYTES: Final = 256 * 1024

UNAVAILABLE_WORDS: Final = (
    "LOADING",  # a server that still reads its files
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOAUTH",  # the login is gone with the instance
    "WRONGPASS",
    "ERR max number of clients reached",
)
"""Beginnings of error replies that may pass on a fresh instance; all others are failures."""


_MISSING_RIGHT: Final = ("NOPERM", "ACL failure in script", "executing the script can't run")
"""Words of a refusal for want of a right: of a command, in a transaction, in a script."""


_NO_LOGIN: Final = ("WRONGPASS", "NOAUTH", "without any password configured")
"""What is said of a user or secret that the server does not take."""


def translated(words: str) -> DeduplabError:
    """Return our error for an error reply: the one place where they are told apart."""
    said = " ".join(words.split())
    if said.startswith(UNAVAILABLE_WORDS):
        return SystemUnavailable(f"redis: the server can't be used now: {said}")
    if "No space left on device" in said:  # MISCONF: the AOF or a snapshot can't be written
        return DiskSpaceError(f"redis: the server's disk is full; free some of it: {said}")
    if any(words in said for words in _MISSING_RIGHT):
        said += f"; {advice('redis')}"
    return OperationFailed(f"redis: the server refused: {said}")


def frame(*words: bytes) -> bytes:
    """Return a command as the protocol has it: an array of byte strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


class Resp:
    """One connection that is logged in. An answer is waited for ten minutes, or less."""

    def __init__(self, connected: socket.socket, reader: Reader) -> None:
        self._socket = connected
        self._reader = reader
        self._buffer = bytearray(_RECEIVE_BYTES)

    @classmethod
    def connect(cls, endpoint: Endpoint, *, answer_s: int = _ANSWER_S) -> Resp:
        """Connect to an endpoint, log in and select its database.

        Whether the server must prove who it is, the endpoint's options say: ``_tls``.

        Parameters
        ----------
        answer_s
            How long an answer is waited for at most.

        Raises
        ------
        SystemUnavailable
            If the driver is missing, nobody is there within ten seconds or answers
            within thirty (or ``answer_s``), or the login is refused.
        """
        try:
            from hiredis import Reader
        except ImportError as error:
            raise driver_missing(_ENTRY, error) from error
        if endpoint.host is None or endpoint.port is None:
            raise SystemUnavailable("redis needs the host and the port of a server")
        try:
            connected = _connected(endpoint)
        except OSError as error:
            raise SystemUnavailable(
                f"redis: {endpoint.address} can't be reached: {error}"
            ) from error
        wire = cls(connected, Reader(protocolError=_AnotherProtocolError))
        try:
            _wait_at_most(connected, min(_LOGIN_S, answer_s))
            wire._log_in(endpoint)
            _wait_at_most(connected, answer_s)
        except BaseException:
            wire.close()
            raise
        return wire

    def _log_in(self, endpoint: Endpoint) -> None:
        try:
            if endpoint.secret is not None:
                user = (endpoint.user or "default").encode()
                self.call(b"AUTH", user, endpoint.secret.reveal().encode())
            if endpoint.database:
                self.call(b"SELECT", endpoint.database.encode())
        except (OperationFailed, SystemUnavailable) as error:
            if any(words in str(error) for words in _NO_LOGIN):
                raise login_refused("redis", endpoint, error) from error
            raise SystemUnavailable(f"redis: the login failed: {error}") from error

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        self._socket.close()

    def call(self, *words: bytes) -> Any:
        """Send one command and return its answer."""
        return self.send(frame(*words))

    def send(self, framed: bytes) -> Any:
        """Send one framed command and return its answer.

        Raises
        ------
        SystemUnavailable
            If the connection is lost or the server can't be used now.
        OperationFailed
            If the server answers by an error.
        """
        try:
            self._socket.sendall(framed)
            answer = self._answer()
        except OSError as error:
            raise _lost(error) from error
        if isinstance(answer, Exception):
            raise translated(str(answer))
        return answer

    def pipeline(self, pieces: Iterable[tuple[bytes, int]]) -> list[Any]:
        """Send framed commands without waiting for each.

        Parameters
        ----------
        pieces
            Framed commands, and how many of them; while a piece is on its way, the
            answers to the one before are read.

        Returns
        -------
        list
            The last answer to every piece.
        """
        last: list[Any] = []
        awaited = 0
        error: DeduplabError | None = None
        try:
            for framed, commands in pieces:
                self._socket.sendall(framed)
                error = self._read_piece(awaited, last) or error
                awaited = commands
            error = self._read_piece(awaited, last) or error
        except OSError as lost:
            raise _lost(lost) from lost
        if error is not None:
            raise error
        return last

    def _read_piece(self, commands: int, last: list[Any]) -> DeduplabError | None:
        """Read the answers to a piece and keep the last; return the first error among them."""
        error: DeduplabError | None = None
        for number in range(commands):
            answer = self._answer()
            for part in answer if isinstance(answer, list) else (answer,):
                if isinstance(part, Exception) and error is None:
                    error = translated(str(part))
            if number == commands - 1:
                last.append(answer)
        return error

    def _answer(self) -> Any:
        """Read one answer; an error reply is returned, not raised."""
        reader = self._reader
        answer = reader.gets()
        while answer is False:
            received = self._socket.recv_into(self._buffer)
            if not received:
                raise SystemUnavailable("redis: the server closed the connection")
            reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]  # any buffer will do
            answer = reader.gets()
        return answer


_ENTRY: Final = SystemEntry("redis", "server", "", "", "", driver="hiredis", extra="redis")


def _connected(endpoint: Endpoint) -> socket.socket:
    plain = socket.create_connection((endpoint.host, endpoint.port), timeout=_CONNECT_S)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (tls := Tls.of(endpoint)) is not None:
            assert endpoint.host is not None
            return tls.wrapped(plain, "redis", endpoint.host)
    except BaseException:
        plain.close()
        raise
    return plain


def _wait_at_most(connected: socket.socket, seconds: int) -> None:
    if isinstance(connected, ssl.SSLSocket):
        connected.settimeout(seconds)
        return
    # A timeout of the kernel: Python's own would cost a poll before every call.
    connected.settimeout(None)
    limit = struct.pack("ll", seconds, 0)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


class _AnotherProtocolError(SystemUnavailable):
    """Who answers does not speak the product's protocol; hiredis makes it of its own words."""

    def __str__(self) -> str:
        return f"redis: what answers there is no Redis ({super().__str__()}); check host and port"


def _lost(error: OSError) -> SystemUnavailable:
    return SystemUnavailable(f"redis: the connection is lost: {error}")
