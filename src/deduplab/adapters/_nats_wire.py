"""The protocol of NATS: one blocking connection, requests with one answer each, and publishing.

Every request has an inbox of its own below one subscription, so an answer that comes
late belongs to nobody. Source: NATS documentation, "NATS Protocol" (client protocol, headers).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from deduplab.adapters._login import login_refused
from deduplab.adapters._nats_errors import LoginTaken, nobody, told
from deduplab.adapters._nats_lines import Lines, Message
from deduplab.adapters._tls import Tls
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint

_CONNECT_S: Final = 10.0
_LOGIN_S: Final = 30.0
_ANSWER_S: Final = 120.0
_WINDOW: Final = 256
"""Requests that are on their way at the same time; JetStream queues ten thousand."""

_NOBODY: Final = 503
_PONG: Final = Message(b"PONG", b"", b"")
_OPTIONS: Final = {
    **{"verbose": False, "pedantic": False, "headers": True, "no_responders": True},
    **{"protocol": 1, "lang": "python", "version": "1", "name": "deduplab"},
}


class NatsWire:
    """One connection that is logged in. An answer is waited for two minutes at most.

    Attributes
    ----------
    info
        What the server said of itself when we connected.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.info: dict[str, Any] = {}
        self._lines = Lines(connected)
        self._inbox = b"_INBOX." + secrets.token_hex(8).encode() + b"."
        self._requests = 0

    @classmethod
    def connect(cls, endpoint: Endpoint) -> NatsWire:
        """Connect to an endpoint and log in.

        Whether the server must prove who it is, the endpoint's options say: ``_tls``. The
        server speaks first, and plainly; TLS begins after that.

        Raises
        ------
        SystemUnavailable
            If nobody is there within ten seconds or answers within thirty, what answers
            is no NATS, or the login is refused.
        """
        if endpoint.host is None or endpoint.port is None:
            raise SystemUnavailable("nats needs the host and the port of a server")
        try:
            connected = socket.create_connection((endpoint.host, endpoint.port), _CONNECT_S)
        except OSError as error:
            raise SystemUnavailable(
                f"nats: {endpoint.address} can't be reached: {error}"
            ) from error
        wire = cls(connected)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire._greet(endpoint)
            wire._lines.wait_at_most(_ANSWER_S)
        except OSError as error:
            wire.close()
            raise _lost(error) from error
        except BaseException:
            wire.close()
            raise
        return wire

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        self._lines.socket.close()

    def new_inbox(self) -> bytes:
        """Return the subject to which answers to what is sent next shall come."""
        self._requests += 1
        return self._inbox + b"%d" % self._requests

    def request(self, subject: bytes, body: bytes = b"") -> Message:
        """Publish a message and return the one answer to it.

        Raises
        ------
        OperationFailed
            If nobody answers such requests, or we may not ask.
        SystemUnavailable
            If the connection is lost, or no answer comes in time.
        """
        inbox = self.new_inbox()
        with self._kept_in_step():
            self._send(_framed(subject, body, inbox))
            answer = self._answer(inbox)
        if answer.status == _NOBODY:
            raise nobody(subject)
        return answer

    def requests(self, asked: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
        """Send requests without waiting for each; yield the answers' bodies, in any order."""
        left = iter(asked)
        while part := list(islice(left, _WINDOW)):
            inbox = self.new_inbox()
            with self._kept_in_step():
                self._send(b"".join(_framed(*each, inbox) for each in part))
                for _ in part:
                    answer = self._answer(inbox)
                    if answer.status == _NOBODY:
                        raise nobody(part[0][0])
                    yield answer.body

    def many(self, subject: bytes, body: bytes) -> Iterator[Message]:
        """Publish a message and yield all answers, up to the first that has a status."""
        inbox = self.new_inbox()
        with self._kept_in_step():
            self._send(_framed(subject, body, inbox))
            status = 0
            while not status:
                answer = self._answer(inbox)
                status = answer.status
                if status == _NOBODY:
                    raise nobody(subject)
                yield answer

    def publish(self, inbox: bytes, pieces: Iterable[tuple[list[Any], int]]) -> Iterator[bytes]:
        """Publish framed messages without waiting for each; yield every acknowledgement.

        Parameters
        ----------
        inbox
            Where they say that the acknowledgement is to go.
        pieces
            Parts that are sent together, and how many messages they are. While a piece
            is on its way, the acknowledgements of the one before are read.
        """
        awaited = 0
        with self._kept_in_step():
            for parts, messages in pieces:
                self._send(b"".join(parts))
                yield from self._acknowledgements(inbox, awaited)
                awaited = messages
            yield from self._acknowledgements(inbox, awaited)

    def exchange(self, inbox: bytes, parts: list[Any], messages: int) -> list[bytes]:
        """Publish a few framed messages and return their acknowledgements: the shortest way."""
        try:
            self._send(b"".join(parts))
            return [self._answer(inbox).body for _ in range(messages)]
        except OSError as error:
            raise _lost(error) from error
        except OperationFailed:
            self._settle()
            raise

    def listen(self, seconds: float) -> None:
        """Wait on the connection for that long, with nothing asked for."""
        inbox = self.new_inbox()
        self._lines.wait_at_most(seconds)
        try:
            self._answer(inbox)
        except (BlockingIOError, TimeoutError):
            return
        except OSError as error:
            raise _lost(error) from error
        finally:
            self._lines.wait_at_most(_ANSWER_S)

    # What comes

    def _acknowledgements(self, inbox: bytes, awaited: int) -> Iterator[bytes]:
        """Yield that many acknowledgements, most of them found many at a time."""
        while awaited:
            found = 0
            for answer in self._lines.acknowledgements(inbox, awaited):
                found += 1
                yield answer
            if not found:
                # The next is in pieces, or something else is before it: taken by itself.
                found = 1
                yield self._answer(inbox).body
            awaited -= found

    def _answer(self, inbox: bytes) -> Message:
        """Return the next message for an inbox; what comes for earlier ones is passed over."""
        while True:
            message = self._next()
            if message is not None and message.subject == inbox:
                return message

    def _next(self) -> Message | None:
        """Take the next thing that came; a message is returned, all else is dealt with."""
        line = self._lines.line()
        verb, _, rest = line.partition(b" ")
        if verb in (b"MSG", b"HMSG"):
            return self._lines.message(rest, with_header=verb == b"HMSG")
        if verb == b"PING":
            self._send(b"PONG\r\n")
        elif verb == b"-ERR":
            raise told(rest.decode("utf-8", "replace"))
        elif verb == b"PONG":
            return _PONG
        elif verb not in (b"+OK", b"INFO"):
            raise SystemUnavailable(f"nats: something was sent that is no NATS: {line[:60]!r}")
        return None

    def _send(self, framed: bytes) -> None:
        self._lines.socket.sendall(framed)

    @contextlib.contextmanager
    def _kept_in_step(self) -> Iterator[None]:
        """Translate what a lost connection raises; after a refusal, pass over what came with it."""
        try:
            yield
        except OSError as error:
            raise _lost(error) from error
        except OperationFailed:
            self._settle()
            raise

    def _settle(self) -> None:
        """Read what the server has still to say about what was sent before, if it says more."""
        with contextlib.suppress(OSError, SystemUnavailable):
            self._send(b"PING\r\n")
            while True:
                with contextlib.suppress(OperationFailed):
                    if self._next() is _PONG:
                        return

    # The beginning

    def _greet(self, endpoint: Endpoint) -> None:
        """Read what the server says first, begin TLS where it is wanted, log in, subscribe."""
        self._lines.wait_at_most(_LOGIN_S)
        first = self._lines.line()
        try:
            if not first.startswith(b"INFO {"):
                raise ValueError(first)
            self.info = json.loads(first[5:])
        except ValueError as error:
            raise SystemUnavailable(
                f"nats: what answers there is no NATS (it says {first[:60]!r}); check host and port"
            ) from error
        self._begin_tls(endpoint)
        options: dict[str, Any] = dict(_OPTIONS)
        if endpoint.secret is not None:
            options |= {"user": endpoint.user or "", "pass": endpoint.secret.reveal()}
        try:
            self._send(
                b"CONNECT %b\r\nSUB %b* 1\r\nPING\r\n" % (json.dumps(options).encode(), self._inbox)
            )
            while self._next() is not _PONG:
                pass
        except LoginTaken as error:
            raise login_refused("nats", endpoint, error) from error

    def _begin_tls(self, endpoint: Endpoint) -> None:
        tls = Tls.of(endpoint)
        if tls is not None:
            assert endpoint.host is not None
            self._lines.socket.settimeout(_LOGIN_S)
            self._lines.socket = tls.wrapped(self._lines.socket, "nats", endpoint.host)
            self._lines.wait_at_most(_LOGIN_S)
        elif self.info.get("tls_required"):
            raise SystemUnavailable(
                'nats: the server demands TLS; leave out tls = "off" in its remote address'
            )


def _framed(subject: bytes, body: bytes, inbox: bytes) -> bytes:
    return b"PUB %b %b %d\r\n%b\r\n" % (subject, inbox, len(body), body)


def _lost(error: OSError) -> SystemUnavailable:
    if isinstance(error, BlockingIOError | TimeoutError):
        return SystemUnavailable(
            "nats: no answer in time; a server that can't write says nothing to who publishes, so "
            "look at its log and at its disk"
        )
    return SystemUnavailable(f"nats: the connection is lost: {error}")
