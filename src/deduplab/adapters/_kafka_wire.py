"""The few requests of Kafka's protocol that the client library does not offer.

One blocking connection, logged in by SASL/SCRAM-SHA-512: the sizes of logs
(DescribeLogDirs), where a log ends on this very broker (ListOffsets), who leads
a partition and who follows (Metadata), the cluster's feature levels
(ApiVersions). Sources: Apache Kafka documentation, "Kafka protocol guide".
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Final

from deduplab.adapters._kafka_answer import Answer, Partition
from deduplab.adapters._kafka_scram import MECHANISM, Scram
from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._tls import Tls
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint

CLIENT_ID: Final = "deduplab"

FIRST: Final = -2
END: Final = -1
"""What :meth:`KafkaWire.offsets` finds beside times: where a log begins, and where it ends."""

_LIST_OFFSETS: Final = (2, 1)
_METADATA: Final = (3, 7)
_SASL_HANDSHAKE: Final = (17, 1)
_API_VERSIONS: Final = (18, 3)
_DESCRIBE_LOG_DIRS: Final = (35, 1)
_SASL_AUTHENTICATE: Final = (36, 0)
_FINALIZED_FEATURES: Final = 2  # the tag of that field in the answer to ApiVersions
_OF_THIS_BROKER: Final = -2  # who asks is neither a consumer nor a broker, and wants no leader
_MISSING_RIGHT: Final = {
    29: "TOPIC_AUTHORIZATION_FAILED",
    30: "GROUP_AUTHORIZATION_FAILED",
    31: "CLUSTER_AUTHORIZATION_FAILED",
}
_TIMEOUT_S: Final = 30.0
_MOST_ANSWER_BYTES: Final = 64 * 1024 * 1024


class KafkaWire:
    """One connection to one broker, logged in.

    Parameters
    ----------
    host, port
        The broker, as it advertises itself.
    endpoint
        Where user, secret and TLS are taken from.
    answer_s
        How long an answer may take.

    Raises
    ------
    SystemUnavailable
        If nobody answers, the login is refused, or it is not a Kafka that we can talk to.
    """

    def __init__(
        self, host: str, port: int, endpoint: Endpoint, answer_s: float = _TIMEOUT_S
    ) -> None:
        self._address = (host, port)
        self._answer_s = answer_s
        self._endpoint = endpoint
        self._number = 0
        self._socket: socket.socket | None = None
        self._connect()

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def feature_levels(self) -> dict[str, int]:
        """Return the cluster's finalized features, as ``metadata.version``, with their levels."""
        name, version = (bytes([len(word) + 1]) + word for word in (CLIENT_ID.encode(), b"1"))
        answer = self._request(_API_VERSIONS, name + version + b"\0", flexible=True)
        self._check(answer.number("h"), "ApiVersions")
        for _ in range(answer.varint() - 1):
            answer.raw(6)
            answer.skip_tags()
        answer.number("i")  # throttled for so long
        levels: dict[str, int] = {}
        for _ in range(answer.varint()):
            tag, body = answer.varint(), Answer(answer.raw(answer.varint()))
            if tag != _FINALIZED_FEATURES:
                continue
            for _ in range(body.varint() - 1):
                feature = body.raw(body.varint() - 1).decode()
                levels[feature] = body.number("h")
                body.number("h")
                body.skip_tags()
        return levels

    def log_bytes(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the bytes of each topic's segments on this broker (partition 0; no indexes).

        A topic that the broker has no log of is not in the answer.

        Raises
        ------
        OperationFailed
            If a log directory has failed, or the user may not ask.
        """
        wanted = list(topics)
        body = struct.pack(">i", len(wanted))
        for topic in wanted:
            body += _text(topic) + struct.pack(">ii", 1, 0)
        answer = self._request(_DESCRIBE_LOG_DIRS, body)
        answer.number("i")
        directories = answer.number("i")
        if directories == 0:
            raise OperationFailed(
                "kafka tells no log directory, as where the right Describe on the cluster is "
                f"missing; {advice('kafka')}"
            )
        found: dict[str, int] = {}
        for _ in range(directories):
            self._check(answer.number("h"), "DescribeLogDirs")
            answer.text()
            for _ in range(answer.number("i")):
                topic = answer.text()
                for _ in range(answer.number("i")):
                    answer.number("i")
                    found[topic] = answer.number("q")
                    answer.raw(9)
        return found

    def offsets(self, topics: Iterable[str], at: int) -> dict[str, int]:
        """Return an offset of each topic's log as it lies on this broker, who leads it or not.

        That it may be a follower's is what ``replica_id`` -2 asks for (``DEBUGGING_REPLICA_ID`` of
        ListOffsets); its end is then that of its own log, whatever the others have.

        Parameters
        ----------
        at
            :data:`FIRST`, :data:`END`, or milliseconds since the epoch: the first message of that
            time or later, -1 if there is none.

        Raises
        ------
        OperationFailed
            If this broker has no such log, or can't read it.
        """
        wanted = list(topics)
        body = struct.pack(">ii", _OF_THIS_BROKER, len(wanted))
        for topic in wanted:
            body += _text(topic) + struct.pack(">iiq", 1, 0, at)
        answer = self._request(_LIST_OFFSETS, body)
        found: dict[str, int] = {}
        for _ in range(answer.number("i")):
            topic = answer.text()
            for _ in range(answer.number("i")):
                answer.number("i")
                self._check(answer.number("h"), f"ListOffsets of {topic}")
                answer.number("q")
                found[topic] = answer.number("q")
        return found

    def partition(self, topic: str) -> Partition:
        """Return what the cluster says of the topic's partition 0."""
        answer = self._request(_METADATA, struct.pack(">i", 1) + _text(topic) + b"\0")
        answer.number("i")
        for _ in range(answer.number("i")):  # brokers
            answer.number("i")
            answer.text()
            answer.number("i")
            answer.text()
        answer.text()
        answer.number("i")
        answer.number("i")
        self._check(answer.number("h"), f"Metadata of {topic}")
        answer.text()
        answer.number("b")
        if answer.number("i") < 1:
            raise OperationFailed(f"kafka, {topic}: it has no partition")
        self._check(answer.number("h"), f"Metadata of {topic}")
        answer.number("i")
        answer.number("i")
        epoch = answer.number("i")
        _, in_sync = (
            tuple(answer.number("i") for _ in range(answer.number("i"))) for _ in range(2)
        )
        return Partition(epoch, in_sync)

    def _connect(self) -> None:
        host, port = self._address
        try:
            self._socket = socket.create_connection(self._address, self._answer_s)
            if (tls := Tls.of(self._endpoint)) is not None:
                self._socket = tls.wrapped(self._socket, "kafka", host)
            self._log_in(self._endpoint)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise SystemUnavailable(
                    f"kafka at {host}:{port} can't be reached: {error}"
                ) from error
            raise

    def _request(self, what: tuple[int, int], body: bytes, *, flexible: bool = False) -> Answer:
        """Ask on the connection that stands, else on a new one.

        A broker closes a connection on which nothing was asked for ten minutes. One that takes
        too long is not asked twice.
        """
        if self._socket is not None:
            try:
                return self._ask(what, body, flexible=flexible)
            except OSError as error:
                self.close()
                if isinstance(error, TimeoutError):
                    raise self._silent(error) from error
        self._connect()
        try:
            return self._ask(what, body, flexible=flexible)
        except OSError as error:
            self.close()
            raise self._silent(error) from error

    def _silent(self, error: OSError) -> SystemUnavailable:
        host, port = self._address
        return SystemUnavailable(f"kafka at {host}:{port} does not answer any more: {error}")

    def _ask(self, what: tuple[int, int], body: bytes, *, flexible: bool = False) -> Answer:
        self._number += 1
        key, version = what
        head = struct.pack(">hhi", key, version, self._number) + _text(CLIENT_ID)
        request = head + (b"\0" if flexible else b"") + body
        assert self._socket is not None
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        length = struct.unpack(">i", self._receive(4))[0]
        if not 4 <= length <= _MOST_ANSWER_BYTES:
            raise SystemUnavailable("this is no Kafka: its answer has an impossible length")
        answer = Answer(self._receive(length))
        if answer.number("i") != self._number:
            raise SystemUnavailable("kafka answered another request than the one asked")
        return answer

    def _receive(self, length_bytes: int) -> bytes:
        assert self._socket is not None
        parts = []
        while length_bytes:
            part = self._socket.recv(min(length_bytes, 1 << 20))
            if not part:
                raise ConnectionError("it closed the connection")
            parts.append(part)
            length_bytes -= len(part)
        return b"".join(parts)

    def _check(self, code: int, what: str) -> None:
        if code:
            said = f"kafka refused {what}: error code {code} of its protocol"
            if code in _MISSING_RIGHT:
                said = f"kafka refused {what} ({_MISSING_RIGHT[code]}); {advice('kafka')}"
            raise OperationFailed(said)

    def _log_in(self, endpoint: Endpoint) -> None:
        secret = endpoint.secret.reveal() if endpoint.secret else ""
        answer = self._ask(_SASL_HANDSHAKE, _text(MECHANISM))
        if answer.number("h"):
            offered = ", ".join(answer.text() for _ in range(answer.number("i")))
            raise SystemUnavailable(f"kafka takes no {MECHANISM}; its listener offers: {offered}")
        scram = Scram(endpoint.user or "", secret)
        final = scram.answer(self._authenticate(scram.greeting()))
        scram.verify(self._authenticate(final))

    def _authenticate(self, message: bytes) -> bytes:
        answer = self._ask(_SASL_AUTHENTICATE, struct.pack(">i", len(message)) + message)
        code, words = answer.number("h"), answer.text()
        if code:
            raise login_refused("kafka", self._endpoint, words or f"error code {code}")
        return answer.raw(answer.number("i"))


def _text(words: str) -> bytes:
    raw = words.encode()
    return struct.pack(">h", len(raw)) + raw
