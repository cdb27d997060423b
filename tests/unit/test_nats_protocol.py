"""NATS' protocol, subjects, programs and rights, without a server: words, numbers, refusals."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deduplab.adapters._nats_errors import nobody, refused, told
from deduplab.adapters._nats_lines import Lines, Message
from deduplab.adapters._nats_messages import MOST_HEADER_BYTES, message, pieces
from deduplab.adapters._nats_namespace import NatsNamespace, synced
from deduplab.adapters._nats_streams import SCHEMES, token, tokens
from deduplab.adapters._nats_wire import NatsWire
from deduplab.adapters.nats import NatsAdapter, _to_microseconds
from deduplab.cache_folder import CACHE_VARIABLE
from deduplab.errors import (
    DiskSpaceError,
    LoginRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint, Secret
from deduplab.servers import _nats_binaries
from deduplab.servers._nats_rights import PUBLISH, accounts, grants
from deduplab.servers.nats import NatsServer

INFO = b'INFO {"server_name":"s","version":"2.15.2","max_payload":1000}\r\n'

Speak = Callable[[list[tuple[bytes, bytes]]], Endpoint]


@pytest.fixture
def speak() -> Iterator[Speak]:
    """Be a server that says what a script has for it: after each words heard, the answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def begin(script: list[tuple[bytes, bytes]]) -> Endpoint:
        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.sendall(INFO)
                heard = b""
                for awaited, answer in script:
                    while awaited not in heard:
                        if not (more := connected.recv(65536)):
                            return
                        heard += more
                    inbox = heard.rpartition(b"_INBOX.")[2].split()[0]
                    heard = heard.partition(awaited)[2]
                    connected.sendall(answer.replace(b"INBOX", b"_INBOX." + inbox))
                connected.recv(1)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        port = listener.getsockname()[1]
        return Endpoint(host="127.0.0.1", port=port, user="lab", secret=Secret("word", "env:X"))

    yield begin
    listener.close()
    for thread in threads:
        thread.join(10)


LOGIN = (b"PING\r\n", b"PONG\r\n")


def test_an_answer_is_found_among_what_comes_beside_it(speak: Speak) -> None:
    beside = b"PING\r\nINFO {}\r\nMSG _INBOX.of.another 1 3\r\nold\r\n+OK\r\n"
    wire = NatsWire.connect(
        speak([LOGIN, (b"ask", beside + b"MSG INBOX 1 5\r\nhello\r\n"), (b"PONG", b"")])
    )
    try:
        assert wire.request(b"ask").body == b"hello"
        assert wire.info["version"] == "2.15.2"
    finally:
        wire.close()


def test_acknowledgements_in_pieces_are_all_counted(speak: Speak) -> None:
    answers = b"".join(b'MSG INBOX 1 %d\r\n{"seq":%d}\r\n' % (9, n) for n in range(3))
    cut = len(answers) // 2
    wire = NatsWire.connect(
        speak([LOGIN, (b"PUB", answers[:cut]), (b"PUB", answers[cut:] + b"PING\r\n")])
    )
    try:
        inbox = wire.new_inbox()
        found = list(wire.publish(inbox, [([b"PUB a %b 0\r\n\r\n" % inbox], 1)] * 2))
        assert found == [b'{"seq":0}', b'{"seq":1}']
    finally:
        wire.close()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"-ERR 'Authorization Violation'\r\n", LoginRefused, r"from env:X"),
        (b"-ERR 'Permissions Violation for Subscription to \"_INBOX.x\"'\r\n", OperationFailed,
         "deduplab systems grants nats"),
        (b"", SystemUnavailable, "no answer in time|connection"),
    ],
)  # fmt: skip
def test_a_login_that_fails_is_told(
    answer: bytes, kind: type[Exception], words: str, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deduplab.adapters._nats_wire._LOGIN_S", 0.3)
    with pytest.raises(kind, match=words):
        NatsWire.connect(speak([(b"PING\r\n", answer)]))


def test_after_a_refusal_the_next_request_is_answered(speak: Speak) -> None:
    refusal = b"-ERR 'Permissions Violation for Publish to \"ask\"'\r\n"
    wire = NatsWire.connect(
        speak([LOGIN, (b"ask", refusal + refusal), (b"PING\r\n", b"PONG\r\n"),
               (b"again", b"MSG INBOX 1 2\r\nok\r\n")])
    )  # fmt: skip
    try:
        with pytest.raises(OperationFailed, match="deduplab systems grants nats"):
            wire.request(b"ask")
        assert wire.request(b"again").body == b"ok"
    finally:
        wire.close()


def test_nobody_who_answers_is_told_with_what_to_do(speak: Speak) -> None:
    none = b"HMSG INBOX 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"
    wire = NatsWire.connect(speak([LOGIN, (b"$JS.API", none), (b"$SYS", none)]))
    try:
        with pytest.raises(OperationFailed, match="JetStream is off, or not enabled"):
            wire.request(b"$JS.API.STREAM.INFO.x")
        with pytest.raises(OperationFailed, match="imports nothing of the system account"):
            wire.request(b"$SYS.REQ.SERVER.PING.VARZ")
    finally:
        wire.close()


def test_a_message_and_its_header_are_taken_apart() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"rest of line\r\nNATS/1.0 404 No\r\n\r\nbody\r\n")
        lines = Lines(ours)
        assert lines.line() == b"rest of line"
        found = lines.message(b"subject 1 19 23", with_header=True)
    assert (found.status, found.body) == (404, b"body")
    assert Message(b"s", b"NATS/1.0\r\nA: b\r\n\r\n", b"").status == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"err_code": 10047, "description": "insufficient storage"}, DiskSpaceError),
        ({"err_code": 10023, "description": "insufficient resources"}, DiskSpaceError),
        ({"err_code": 10008, "description": "temporarily unavailable"}, SystemUnavailable),
        ({"err_code": 10065, "description": "subjects overlap"}, OperationFailed),
        ({}, OperationFailed),
    ],
)
def test_refusals_are_told_apart_by_their_code(error: Any, kind: type[Exception]) -> None:
    assert type(refused("write", error)) is kind


def test_words_of_the_protocol_are_told_apart() -> None:
    assert isinstance(told("'Stale Connection'"), SystemUnavailable)
    assert isinstance(nobody(b"deduplab.x"), OperationFailed)


def test_tokens_are_one_word_each_and_no_two_are_alike() -> None:
    keys = ["o1", "a.b", "a b", "*", ">", "%2E", ".", "~", "", "ü", "a/b", "A", "a", "\n", "%"]
    made = [token(key) for key in keys]
    assert len(set(made)) == len(keys)
    assert all(each and not set(each) & set(b" .*>\r\n\t") for each in made)
    assert tokens(keys) == made
    assert tokens(["o1", "o2"]) == [b"o1", b"o2"]
    with pytest.raises(OperationFailed, match="longer than a subject"):
        tokens(["k" * 4000])


def test_messages_are_framed_with_their_lengths() -> None:
    parts, length_bytes = message(b"s", b"body", b"i", b"id")
    assert length_bytes == 4
    assert b"".join(parts) == b"HPUB s i 29 33\r\nNATS/1.0\r\nNats-Msg-Id: id\r\n\r\nbody\r\n"
    assert b"".join(message(b"s", b"", b"i")[0]) == b"PUB s i 0\r\n\r\n"


def test_messages_are_gathered_and_too_large_ones_refused() -> None:
    def sent(count: int, length_bytes: int) -> list[int]:
        made = (([b""], length_bytes) for _ in range(count))
        return [messages for _, messages in pieces(made, 2, 1 << 23)]

    assert sent(1500, 10) == [1024, 1024, 952]
    assert sent(9, 1 << 20) == [8, 8, 2]
    assert sent(0, 1) == []
    with pytest.raises(OperationFailed, match="max_payload"):
        list(pieces([([b""], 1000 - MOST_HEADER_BYTES + 1)], 1, 1000))


@pytest.mark.parametrize(
    ("config", "durability", "words"),
    [
        (None, "fsync", "without JetStream"),
        ({"sync_interval": 120 * 10**9}, "fsync", "to be always, but this server syncs every 120"),
        ({"sync_interval": 1, "sync_always": True}, "interval", "but this server syncs always"),
    ],
)
def test_a_durability_that_is_not_the_servers_is_refused(
    config: Any, durability: str, words: str
) -> None:
    namespace = NatsNamespace("n-1", durability=durability)
    with pytest.raises(Unsupported, match=words):
        namespace.check_durability({} if config is None else {"jetstream": {"config": config}})


def test_only_what_refuses_by_id_has_a_window() -> None:
    windows = {name: scheme.settings("payloads").get("duplicate_window")
               for name, scheme in SCHEMES.items()}  # fmt: skip
    assert windows == {
        "default": None,
        "s2": None,
        "unique-content": 24 * 3600 * 10**9,
        "unique-content-short": 10**8,
        "unique-content-by-subject": None,
    }
    assert set(SCHEMES) == set(NatsAdapter.capabilities.variant_names())
    encoding = {each.name for each in NatsAdapter.capabilities.variants if each.encodes}
    assert encoding == {name for name, scheme in SCHEMES.items() if scheme.compression != "none"}


def test_times_of_the_server_are_read() -> None:
    assert _to_microseconds("2026-11-30T13:00:00.123456789Z") == "2026-11-30T13:00:00.123456+00:00"
    assert _to_microseconds("2026-11-30T13:00:00Z") == "2026-11-30T13:00:00+00:00"
    assert synced({"sync_interval": 10**9}) == "every 1 s"


def test_rights_are_one_table_and_hold_no_password() -> None:
    text = grants("me")
    assert "<password>" in text
    assert all(f'"{subject}"' in text for subject, _ in PUBLISH)
    assert '"$JS.API.CONSUMER.>"' not in text, "what is only for use by hand"
    assert '"$JS.API.CONSUMER.>"' in accounts("me", "x", by_hand=True)
    assert NatsServer.grants("me").splitlines() == text.splitlines()


def test_where_nats_is_missing_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(_nats_binaries.PROGRAM_VARIABLE, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for find in (_nats_binaries.find, _nats_binaries.find_client):
        with pytest.raises(SystemUnavailable, match="deduplab systems install nats"):
            find()
    with pytest.raises(SystemUnavailable, match=r"needs Go 1\.26"):
        _nats_binaries.install(lambda said: None)
    program = tmp_path / "nats-server"
    program.touch(mode=0o755)
    assert _nats_binaries.find() == program
    monkeypatch.setenv(_nats_binaries.PROGRAM_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(SystemUnavailable, match="which is no program"):
        _nats_binaries.find()


def test_both_programs_are_pinned() -> None:
    server, client = _nats_binaries.SERVER, _nats_binaries.CLIENT
    assert server.build_command("go")[-1] == "github.com/nats-io/nats-server/v2@v2.15.2"
    assert client.build_command("go")[-1] == "github.com/nats-io/natscli/nats@v0.5.0"
    for module in (server, client):
        with pytest.raises(SystemUnavailable, match="checksum"):
            module.check('{"Sum": "h1:another"}')


@pytest.mark.parametrize("durability", ["none", "sometimes"])
def test_a_durability_that_nats_has_not_is_refused(durability: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="nats has no durability"):
        NatsServer(tmp_path, variant="default", durability=durability)
