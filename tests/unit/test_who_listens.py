"""Somebody else listens where a server should: each adapter says so in words and in time."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from deduplab import registry
from deduplab.adapters import _http_connection, _nats_wire, _resp
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint, Secret

SECRET = "hidden-from-all"
PAGE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

Listen = Callable[..., int]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Listen at an address and say something to whoever comes; return the port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(words: bytes, host: str = "127.0.0.1") -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family)
        listeners.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, words), daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    def serve(listener: socket.socket, words: bytes) -> None:
        with ExitStack() as held:  # they stay open
            while True:
                try:
                    connected, _ = listener.accept()
                except OSError:
                    return
                held.enter_context(connected)
                with suppress(OSError):
                    connected.sendall(words)

    yield begin
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)  # ends what waits in accept()
    for thread in threads:
        thread.join(30)
    for listener in listeners:
        listener.close()


def opened(system: str, host: str, port: int) -> Exception:
    adapter = registry.system(system).adapter_class()()
    endpoint = Endpoint(
        host=host,
        port=port,
        user="lab",
        secret=Secret(SECRET, "env:LAB"),
        database="0" if system in ("redis", "valkey") else None,
        options={"tls": "off"},
    )
    with pytest.raises((SystemUnavailable, OperationFailed)) as caught:
        adapter.open(endpoint)
    adapter.close()
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("words", [PAGE, b"SSH-2.0-another\r\n", b"\xff" * 64])
def test_another_product_is_no_redis(words: bytes, listen: Listen) -> None:
    error = opened("redis", "127.0.0.1", listen(words))
    assert "what answers there is no Redis (Protocol error" in str(error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (PAGE, "what answers there is no NATS \\(it says b'HTTP/1.1 400 Bad Request"),
        (b"SSH-2.0-another\r\n", "what answers there is no NATS"),
        (b"\xff" * (1 << 20) + b"\xff", "sends no lines"),
        (b'INFO {"tls_required": true}\r\n', "demands TLS"),
        (b"INFO {nonsense\r\n", "what answers there is no NATS"),
        (b'INFO {"max_payload": 1}\r\nHELLO\r\n', "something was sent that is no NATS"),
        (b"INFO {}\r\n-ERR 'Authorization Violation'\r\n", "refuses the login of user 'lab'"),
        (b"INFO {}\r\n-ERR 'maximum connections exceeded'\r\n", "gave the connection up"),
    ],
)
def test_another_product_is_no_nats(words: bytes, said: str, listen: Listen) -> None:
    error = opened("nats", "127.0.0.1", listen(words))
    assert re.search(said, str(error)), error
    assert isinstance(error, SystemUnavailable)


def test_who_never_answers_is_not_waited_for_as_long_as_a_statement(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_resp, "_LOGIN_S", 1)
    monkeypatch.setattr(_http_connection, "_FIRST_ANSWER_S", 1.0)
    monkeypatch.setattr(_nats_wire, "_LOGIN_S", 1.0)
    for system in ("redis", "rest", "nats"):
        assert isinstance(opened(system, "127.0.0.1", listen(b"")), SystemUnavailable)


@pytest.mark.parametrize("system", ["redis", "rest", "minio", "nats"])
def test_an_address_of_ipv6_is_asked_and_named_in_brackets(system: str, listen: Listen) -> None:
    try:
        port = listen(PAGE, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    error = opened(system, "::1", port)
    assert "is no " in str(error) or "400" in str(error)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
        free = closed.getsockname()[1]
    assert f"[::1]:{free}" in str(opened(system, "::1", free))
