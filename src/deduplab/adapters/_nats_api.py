"""Requests of JetStream and of the system account, over one connection.

Source: NATS documentation, "JetStream wire API Reference", "Direct Get"; the batched form of
the latter is ADR-31 (server 2.11).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from deduplab.adapters._nats_errors import STREAM_NOT_FOUND, refused
from deduplab.adapters._nats_wire import NatsWire
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint

VARZ: Final = b"$SYS.REQ.SERVER.PING.VARZ"
"""The server's settings and counters; an account sees them that imports this."""

_BATCH: Final = 10_000
_CREATE_STEPS: Final = 100
_CREATE_STEP_S: Final = 0.05
_NOT_FOUND: Final = 404
_END: Final = 204


class JetStream:
    """The requests that the adapter needs, as who is logged in."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.wire = NatsWire.connect(endpoint)

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        self.wire.close()

    def info(self, stream: str) -> dict[str, Any] | None:
        """Return a stream's configuration and state, None if there is none of that name."""
        return self._asked("STREAM.INFO", stream, missing=True)

    def create(self, settings: Mapping[str, Any]) -> None:
        """Create a stream, empty.

        The server removes a deleted stream's files on its own time. If one of the same name is
        deleted meanwhile, its files stay, and who is created after it holds its messages. So what
        is told of the new stream is looked at, and it is deleted again until it has none.

        Raises
        ------
        OperationFailed
            If it does not come up empty.
        """
        stream = settings["name"]
        for _ in range(_CREATE_STEPS):
            found = self._asked("STREAM.CREATE", stream, settings)
            assert found is not None
            if not found["state"]["messages"]:
                return
            self.delete(stream)
            self.wire.listen(_CREATE_STEP_S)
        raise OperationFailed(f"nats: {stream} comes back with messages of one that was deleted")

    def update(self, settings: Mapping[str, Any]) -> None:
        """Give a stream other settings; all of them are given."""
        self._asked("STREAM.UPDATE", settings["name"], settings)

    def delete(self, stream: str) -> None:
        """Delete a stream with all its messages, where it is there."""
        self._asked("STREAM.DELETE", stream, missing=True)

    def purge(self, stream: str) -> None:
        """Delete all messages of a stream."""
        self._asked("STREAM.PURGE", stream)

    def purge_subjects(self, stream: str, subjects: Iterable[bytes]) -> int:
        """Delete the messages of these subjects, one request each; return how many there were."""
        asked = f"$JS.API.STREAM.PURGE.{stream}".encode()
        purged = 0
        for answer in self.wire.requests((asked, b'{"filter":"%b"}' % each) for each in subjects):
            found = json.loads(answer)
            if "error" in found:
                raise refused(f"deletion from {stream}", found["error"])
            purged += found["purged"]
        return purged

    def last(self, stream: bytes, subject: bytes) -> bytes | None:
        """Return the body of a subject's last message (Direct Get), None without one."""
        answer = self.wire.request(b"$JS.API.DIRECT.GET.%b.%b" % (stream, subject))
        if not answer.status:
            return answer.body
        if answer.status == _NOT_FOUND:
            return None
        raise OperationFailed(
            f"nats: the server refused a read from {stream.decode()}: {_one_line(answer.header)}"
        )

    def scan(self, stream: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield subject and body of every message, from the first to the last."""
        asked = f"$JS.API.DIRECT.GET.{stream}".encode()
        after = 0
        while True:
            body = b'{"seq":%d,"batch":%d}' % (after + 1, _BATCH)
            left = 0
            for message in self.wire.many(asked, body):
                header = _fields(message.header)
                if message.status == _NOT_FOUND:
                    break
                if message.status not in (0, _END):
                    raise OperationFailed(
                        f"nats: {stream} can't be read: {_one_line(message.header)}"
                    )
                if message.status == _END:
                    left = int(header[b"nats-num-pending"])
                else:
                    after = int(header[b"nats-sequence"])
                    yield header[b"nats-subject"], message.body
            if not left:
                return

    def subjects(self, stream: str, pattern: str) -> set[bytes]:
        """Return the subjects that have messages in a stream."""
        found: set[bytes] = set()
        while True:
            asked = {"subjects_filter": pattern, "offset": len(found)}
            answer = self._asked("STREAM.INFO", stream, asked)
            assert answer is not None
            page = answer["state"].get("subjects") or {}
            found.update(map(str.encode, page))
            if not page or len(found) >= answer["total"]:
                return found

    def varz(self) -> dict[str, Any]:
        """Return settings and counters of the server that we are connected to.

        Raises
        ------
        OperationFailed
            If this account does not see them.
        """
        own = json.dumps({"server_name": self.wire.info["server_name"]}).encode()
        answer = json.loads(self.wire.request(VARZ, own).body)
        if "data" not in answer:
            raise OperationFailed(f"nats: VARZ: {answer.get('error', 'nothing is told')}")
        data: dict[str, Any] = answer["data"]
        return data

    def _asked(
        self,
        what: str,
        stream: str,
        given: Mapping[str, Any] | None = None,
        *,
        missing: bool = False,
    ) -> dict[str, Any] | None:
        body = b"" if given is None else json.dumps(given).encode()
        answer = self.wire.request(f"$JS.API.{what}.{stream}".encode(), body)
        try:
            found: dict[str, Any] = json.loads(answer.body)
        except ValueError as error:
            raise SystemUnavailable(f"nats: {what} is answered by no JSON: {error}") from error
        if "error" not in found:
            return found
        if missing and found["error"].get("err_code") == STREAM_NOT_FOUND:
            return None
        raise refused(f"{what} {stream}", found["error"])


def _fields(header: bytes) -> dict[bytes, bytes]:
    """Return header lines by their names in small letters."""
    pairs = (line.partition(b":") for line in header.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, colon, value in pairs if colon}


def _one_line(header: bytes) -> str:
    return header.split(b"\r\n", 1)[0].decode("utf-8", "replace")
