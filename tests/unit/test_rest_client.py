"""Our HTTP/1.1 connection against a peer that answers awkwardly, and the client's error table."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deduplab.adapters._http_connection import HttpAnswer, HttpConnection, HttpError
from deduplab.adapters._rest_answers import Activity, Objects, Stats
from deduplab.adapters._rest_bulk import bulk_body
from deduplab.adapters._rest_refusal import Refused
from deduplab.adapters._rest_wire import RestWire
from deduplab.adapters.rest import RestAdapter
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    LoginRefused,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.rest_server.catalogue import Catalogue
from deduplab.rest_server.listener import Listener
from deduplab.rest_server.operations import Service
from deduplab.server import Endpoint, Secret
from deduplab.testing import batch_of
from tests.contract.certificates import self_signed


class _Peer:
    """Listens, and answers each connection with given bytes: one answer a request."""

    def __init__(self, connections: tuple[tuple[bytes, ...], ...]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.port: int = self.listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        self._thread.start()

    def _serve(self, connections: tuple[tuple[bytes, ...], ...]) -> None:
        for answers in connections:
            accepted, _ = self.listener.accept()
            with accepted:
                accepted.settimeout(30)
                for answer in answers:
                    received = accepted.recv(1 << 20)
                    if not received:
                        break
                    self.requests.append(received)
                    accepted.sendall(answer)

    def close(self) -> None:
        self._thread.join(30)
        self.listener.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., _Peer]]:
    made: list[_Peer] = []

    def build(*connections: tuple[bytes, ...]) -> _Peer:
        made.append(_Peer(connections))
        return made[-1]

    yield build
    for each in made:
        each.close()


def connected(port: int) -> HttpConnection:
    return HttpConnection("127.0.0.1", port, tls=None, headers={"Authorization": "Bearer x"})


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OK, HttpAnswer(200, "text/plain", b"ok")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", HttpAnswer(204, "", b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, HttpAnswer(200, "text/plain", b"ok")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;x=1\r\nhello\r\nA\r\n, world!!!\r\n0\r\nTrailer: 1\r\n\r\n",
            HttpAnswer(200, "", b"hello, world!!!"),
        ),
        (b"HTTP/1.1 404 \r\nCONTENT-LENGTH: 0\r\n\r\n", HttpAnswer(404, "", b"")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", HttpAnswer(200, "", b"until the end")),
    ],
)
def test_every_form_of_body_is_read(
    peer: Callable[..., _Peer], raw: bytes, expected: HttpAnswer
) -> None:
    with closing(connected(peer((raw,)).port)) as connection:
        assert connection.request(b"GET", b"/") == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"",
        b"+PONG\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 45),
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 70),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + OK,
    ],
)
def test_half_and_wrong_answers_are_errors(peer: Callable[..., _Peer], raw: bytes) -> None:
    with closing(connected(peer((raw,)).port)) as connection, pytest.raises(HttpError):
        connection.request(b"GET", b"/")


def test_requests_share_a_connection_and_say_how_long_they_are(
    peer: Callable[..., _Peer],
) -> None:
    there = peer((OK, OK))
    with closing(connected(there.port)) as connection:
        connection.request(b"PUT", b"/a?key=b", b"payload", b"text/plain")
        connection.request(b"POST", b"/c")
    host = b"Host: 127.0.0.1:%d\r\n" % there.port
    assert there.requests == [
        b"PUT /a?key=b HTTP/1.1\r\n" + host + b"Authorization: Bearer x\r\n"
        b"Content-Length: 7\r\nContent-Type: text/plain\r\n\r\npayload",
        b"POST /c HTTP/1.1\r\n" + host + b"Authorization: Bearer x\r\nContent-Length: 0\r\n\r\n",
    ]


def test_a_connection_that_was_closed_while_idle_is_made_anew(
    peer: Callable[..., _Peer],
) -> None:
    closing_ok = OK.replace(b"OK\r\n", b"OK\r\nConnection: Close\r\n", 1)
    there = peer((OK,), (closing_ok,), (OK,))
    with closing(connected(there.port)) as connection:
        assert connection.request(b"GET", b"/1").body == b"ok"
        assert connection._socket is not None
        # The peer closes after its only answer; what is to be read then is the end.
        assert connection._poll.poll(30_000)
        assert connection.request(b"GET", b"/2").body == b"ok"
        assert connection._file is None, "the peer said that it closes"
        assert connection.request(b"GET", b"/3").body == b"ok"


def test_a_request_is_never_sent_twice(peer: Callable[..., _Peer]) -> None:
    there = peer((b"",), (OK,))
    with closing(connected(there.port)) as connection:
        with pytest.raises(HttpError):
            connection.request(b"PUT", b"/once")
        assert connection.request(b"GET", b"/after").body == b"ok"
    assert [request.split()[1] for request in there.requests] == [b"/once", b"/after"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "object-exists", OperationFailed),
        (409, "database-exists", NamespaceRefused),
        (409, "marker-differs", NamespaceRefused),
        (422, "not-offered", Unsupported),
        (501, "", Unsupported),
        (401, "no-token", LoginRefused),
        (403, "", OperationFailed),
        (404, "no-database", OperationFailed),
        (500, "storage-failed", OperationFailed),
        (502, "", SystemUnavailable),
        (503, "busy", SystemUnavailable),
        (507, "storage-full", DiskSpaceError),
    ],
)
def test_the_error_table(status: int, code: str, kind: type[DeduplabError]) -> None:
    error = Refused(status, code, "the server's words").translated("put of 'key'")
    assert type(error) is kind
    for word in ("put of 'key'", str(status), code, "the server's words"):
        assert word in str(error)


def test_a_proxy_that_does_not_know_the_contract_is_quoted(peer: Callable[..., _Peer]) -> None:
    page = b"<html>bad gateway</html>"
    raw = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    adapter = RestAdapter()
    with pytest.raises(SystemUnavailable, match=r"502 .*bad gateway"):
        adapter.open(Endpoint(host="127.0.0.1", port=peer((raw,)).port, secret=Secret("x")))
    adapter.close()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"{}", OperationFailed, "not what the contract asks for"),
        (b"hello", OperationFailed, "not what the contract asks for"),
        (
            b'{"contract":"2.0","product":"p","version":"v","instance":"i","configuration":{}}',
            SystemUnavailable,
            "speaks version 2.0",
        ),
    ],
)
def test_a_server_of_another_contract_is_refused(
    peer: Callable[..., _Peer], body: bytes, kind: type[DeduplabError], words: str
) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    raw %= len(body), body
    adapter = RestAdapter()
    with pytest.raises(kind, match=words):
        adapter.open(Endpoint(host="127.0.0.1", port=peer((raw,)).port, secret=Secret("x")))
    adapter.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "the contract has 201 here"),
        (202, "the contract has 201 here"),
        (204, "the contract has 201 here"),
        (302, "redirects are not followed"),
    ],
)
def test_another_success_than_the_contracts_is_none(
    peer: Callable[..., _Peer], status: int, words: str
) -> None:
    """202 is queued, 204 is a delete's, and where a redirect leads nothing was stored."""
    raw = b"HTTP/1.1 %d Well\r\nContent-Length: 0\r\nLocation: /\r\n\r\n" % status
    wire = RestWire(Endpoint(host="127.0.0.1", port=peer((raw,)).port, secret=Secret("x")))
    with closing(wire), pytest.raises(Refused, match=words) as caught:
        wire.send(b"PUT", b"/v1/databases/lab/object?key=a", b"payload", success=201)
    assert type(caught.value.translated("put")) is OperationFailed


def test_a_page_is_no_answer_whatever_it_says(peer: Callable[..., _Peer]) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n"
    raw += b'{"objects":0}'
    wire = RestWire(Endpoint(host="127.0.0.1", port=peer((raw,)).port, secret=Secret("x")))
    with closing(wire), pytest.raises(OperationFailed, match="of type 'text/html'"):
        wire.ask(Objects, "count", b"GET", b"/v1/databases/lab/count")


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Stats, b'{"bytes":{"data":%d},"total":%d,"at_unix_ns":1}'),
        (Activity, b'{"busy":{"a":%d},"counters":{"b":%d}}'),
    ],
)
def test_a_number_beyond_64_bits_is_not_believed(
    peer: Callable[..., _Peer], kind: type[Stats | Activity], document: bytes
) -> None:
    def answer(number: int) -> bytes:
        body = document % (number, number)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body

    most = (1 << 63) - 1
    there = peer((answer(most), answer(most + 1), answer(1 << 80)))
    wire = RestWire(Endpoint(host="127.0.0.1", port=there.port, secret=Secret("x")))
    with closing(wire):
        wire.ask(kind, "look", b"GET", b"/look")
        for _ in range(2):
            with pytest.raises(OperationFailed, match=rf"look: .*<= {most} - at"):
                wire.ask(kind, "look", b"GET", b"/look")


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SystemUnavailable, match="does not answer"):
        RestAdapter().open(Endpoint(host="127.0.0.1", port=port, secret=Secret("x")))


def test_a_server_elsewhere_must_prove_who_it_is() -> None:
    """By TLS, with a certificate that is verified against the host's name."""
    here = RestWire(Endpoint(host="127.0.0.1", port=1, secret=Secret("x")))
    there = RestWire(Endpoint(host="lab.example", port=1, secret=Secret("x")))
    assert here._http._tls is None
    assert there._http._tls is not None
    assert there._http._tls.check_hostname


@pytest.mark.parametrize(
    ("host", "trusted", "fine"),
    [
        ("127.0.0.1", "its own", True),
        ("localhost", "its own", False),
        ("127.0.0.1", "other", False),
    ],
)
def test_a_certificate_is_verified(tmp_path: Path, host: str, trusted: str, fine: bool) -> None:
    """It must be trusted and for this host; then one connection carries all requests."""
    certificates = {name: self_signed(tmp_path, name) for name in ("its own", "other")}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates["its own"])
    service = Service(Catalogue(tmp_path / "data"))
    with Listener(("127.0.0.1", 0), service, "a token") as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        serving = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        adapter = RestAdapter()
        here = Endpoint(
            host=host,
            port=listener.server_address[1],
            secret=Secret("a token"),
            options={"ssl_ca": str(certificates[trusted][0])},
        )
        try:
            if fine:
                adapter.open(here)
                adapter.create("store", layout="blob", variant="default", durability="none")
                assert adapter._connection is not None
                connection = adapter._connection._http._socket
                adapter.put("key", bytes(1 << 20))
                assert adapter.get("key") == bytes(1 << 20)
                assert adapter._connection._http._socket is connection
            else:
                with pytest.raises(SystemUnavailable, match=r"(?i)certificate"):
                    adapter.open(here)
        finally:
            adapter.close()
            listener.shutdown()
            serving.join(30)
            service.catalogue.close()


def test_a_bulk_body_has_lengths_before_each_object() -> None:
    batch = batch_of({"k": b"abc", "ä": b""})
    assert bulk_body(batch) == b"\0\1\0\0\0\3kabc" + b"\0\2\0\0\0\0\xc3\xa4"
    with pytest.raises(OperationFailed, match="shorter keys"):
        bulk_body(batch_of({"k" * 65536: b"abc"}))
