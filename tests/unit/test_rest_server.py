"""The reference server: what it does with half requests, kills, markers and copies."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from deduplab.adapters.rest import RestAdapter
from deduplab.errors import (
    DiskSpaceError,
    LoginRefused,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
)
from deduplab.probes.files import FilesProbe
from deduplab.rest_server.catalogue import Catalogue
from deduplab.rest_server.content_store import SYNCHRONOUS, ContentStore, Settings
from deduplab.rest_server.listener import Listener
from deduplab.rest_server.operations import Service
from deduplab.rest_server.problem import Problem
from deduplab.server import Endpoint, Secret
from deduplab.servers.rest import RestServer
from deduplab.testing import batch_of, distinct_objects, random_payload

SETTINGS: Final[dict[str, Any]] = {
    "layout": "blob",
    "variant": "default",
    "durability": "fsync",
}
DEADLINE_S = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestServer]:
    server = RestServer(tmp_path, variant="default", durability="fsync")
    yield server
    server.stop()


@pytest.fixture
def endpoint(server: RestServer) -> Endpoint:
    return server.start()


@pytest.fixture
def adapter(endpoint: Endpoint) -> Iterator[RestAdapter]:
    adapter = RestAdapter()
    adapter.open(endpoint)
    adapter.create("store", **SETTINGS)
    yield adapter
    adapter.close()


def exchange(endpoint: Endpoint, sent: bytes) -> bytes:
    """Send these bytes, say that no more come, and return everything that is answered."""
    assert endpoint.host is not None
    assert endpoint.port is not None
    assert endpoint.secret is not None
    sent = sent.replace(b"TOKEN", endpoint.secret.reveal().encode())
    with socket.create_connection((endpoint.host, endpoint.port), timeout=DEADLINE_S) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        received = b""
        while piece := peer.recv(65536):
            received += piece
        return received


PUT = b"PUT /v1/databases/store/object?key=half HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\n"


@pytest.mark.parametrize(
    ("rest", "status", "words"),
    [
        (b"Content-Length: 100\r\n\r\nonly this", 400, b"ended after 9 of 100 bytes"),
        (b"Content-Length: -1\r\n\r\n", 400, b"no number of bytes"),
        (b"Content-Length: ten\r\n\r\n0123456789", 400, b"no number of bytes"),
        (b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n01234", 400, b"no number of bytes"),
        (b"\r\n", 411, b"needs a Content-Length"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, b"not chunks"),
        (b"Content-Length: 99999999999999\r\n\r\n", 413, b"at most"),
    ],
)
def test_a_wrong_content_length_stores_nothing(
    endpoint: Endpoint, adapter: RestAdapter, rest: bytes, status: int, words: bytes
) -> None:
    answer = exchange(endpoint, PUT + rest)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert words in answer
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1, "what follows was taken for another request"
    assert adapter.count() == 0


def test_what_follows_a_body_is_another_request(endpoint: Endpoint, adapter: RestAdapter) -> None:
    """A length that is too small cuts the payload there; the rest is no request."""
    answer = exchange(endpoint, PUT + b"Content-Length: 4\r\n\r\n0123456789\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b" 400 " in answer.partition(b"201")[2]
    assert adapter.get("half") == b"0123"


def test_a_wrong_token_is_refused(endpoint: Endpoint) -> None:
    wrong = Endpoint(host=endpoint.host, port=endpoint.port, secret=Secret("another token"))
    adapter = RestAdapter()
    with pytest.raises(LoginRefused, match=r"refuses the login: .*check the secret$") as caught:
        adapter.open(wrong)
    assert "another token" not in str(caught.value)
    adapter.close()


def test_the_token_is_nowhere_to_be_seen(server: RestServer, endpoint: Endpoint) -> None:
    assert endpoint.secret is not None
    token = endpoint.secret.reveal()
    (identifier,) = server.processes()
    process = psutil.Process(identifier)
    assert token not in " ".join(process.cmdline())
    assert token not in " ".join(process.environ().values())
    holding = [
        file
        for file in server.workspace.rglob("*")
        if file.is_file() and token.encode() in file.read_bytes()
    ]
    assert holding == [server.workspace / "token"]
    assert holding[0].stat().st_mode & 0o777 == 0o600


def test_a_restart_keeps_everything_and_needs_the_same_token(
    server: RestServer, adapter: RestAdapter
) -> None:
    objects = distinct_objects(20)
    adapter.put_many(batch_of(objects))
    before = adapter.identity()
    adapter.close()
    server.stop()
    adapter.open(server.start())
    assert adapter.identity() == before
    assert {key: adapter.get(key) for key in objects} == objects


@pytest.mark.parametrize("stage", ["insert", "bulk", "delete", "reclaim"])
def test_a_kill_in_the_middle_leaves_what_was_acknowledged(
    server: RestServer, adapter: RestAdapter, stage: str
) -> None:
    """SIGKILL comes from another thread, while operations go on until one fails."""
    kept = distinct_objects(200, "k", 2000)
    adapter.put_many(batch_of(kept))
    acknowledged, deleted = dict(kept), set[str]()
    enough = threading.Event()
    (identifier,) = server.processes()

    def kill() -> None:
        enough.wait(DEADLINE_S)
        os.kill(identifier, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    keys = iter(kept)
    asked: set[str] = set()

    def work_until_killed() -> None:
        for number in range(1_000_000):
            if number == 15:
                enough.set()
            if stage == "insert":
                new = distinct_objects(1, f"i{number}-", 2000)
                adapter.put(*next(iter(new.items())))
                acknowledged.update(new)
            elif stage == "bulk":
                new = distinct_objects(10, f"b{number}-", 2000)
                adapter.put_many(batch_of(new))
                acknowledged.update(new)
            elif stage == "delete" and (key := next(keys, None)) is not None:
                asked.clear()
                asked.add(key)
                adapter.delete([key])
                deleted.add(key)
            else:
                adapter.reclaim("compact")

    with pytest.raises(SystemUnavailable):
        work_until_killed()
    enough.set()
    killer.join(DEADLINE_S)
    adapter.close()
    server.stop()
    adapter.open(server.start())
    left = {key: payload for key, payload in acknowledged.items() if key not in deleted | asked}
    assert {key: adapter.get(key) for key in left} == left
    assert all(adapter.get(key) is None for key in deleted)
    doubtful = 10 if stage == "bulk" else 1  # what was asked last: done whole, or not at all
    assert adapter.count() - len(left) in (0, doubtful)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Killed, the owner can't stop it; the kernel does."""
    owner = (
        "import sys, time; from pathlib import Path; "
        "from deduplab.servers.rest import RestServer; "
        "s = RestServer(Path(sys.argv[1]), variant='default', durability='fsync'); s.start(); "
        "print(*s.processes(), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", owner, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        started = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([started], timeout=DEADLINE_S)
    assert not alive


def test_what_can_not_start_says_why(tmp_path: Path) -> None:
    server = RestServer(tmp_path, variant="default", durability="fsync")
    (tmp_path / "data").mkdir()
    (tmp_path / "token").write_text("")
    with pytest.raises(SystemUnavailable, match=r"token file .* is empty"):
        server.start()
    assert server.processes() == ()


def grown_bytes(adapter: RestAdapter, directory: Path, payloads: list[bytes], key: str) -> int:
    def allocated() -> int:
        return FilesProbe(directory, adapter.file_components).measure()[0].total_bytes

    adapter.flush()
    before = allocated()
    adapter.put_many(batch_of((f"{key}{n:06d}", payload) for n, payload in enumerate(payloads)))
    adapter.flush()
    return allocated() - before


def test_known_answer_copies_are_free_at_ingestion_or_cost_in_full(
    endpoint: Endpoint, adapter: RestAdapter
) -> None:
    """Efficiency 1 - c / u: above 0.98 merged (an index entry is left), about 0 plain."""
    assert endpoint.directory is not None
    first = [random_payload(8192, number) for number in range(256)]
    found = {}
    for variant in ("default", "plain"):
        adapter.create("store", **SETTINGS | {"variant": variant})
        unique = grown_bytes(adapter, endpoint.directory, first, "first")
        copies = grown_bytes(adapter, endpoint.directory, first * 3, "copy") / 3
        found[variant] = 1 - copies / unique
    assert found["default"] > 0.98
    assert abs(found["plain"]) < 0.02


def test_deleted_copies_keep_the_content_for_the_others(adapter: RestAdapter) -> None:
    payload = random_payload(8192, 1)
    adapter.put_many(batch_of(dict.fromkeys(("a", "b", "c"), payload)))
    adapter.delete(["a", "b"])
    assert adapter.get("c") == payload
    before = adapter.engine_reading()
    adapter.delete(["c"])
    after = adapter.engine_reading()
    assert after.components["free"] > before.components["free"]
    adapter.reclaim("compact")
    assert adapter.engine_reading().components["free"] == 0


def test_a_database_that_lost_its_file_is_unknown(
    endpoint: Endpoint, server: RestServer, adapter: RestAdapter
) -> None:
    adapter.close()
    server.stop()
    assert endpoint.directory is not None
    (endpoint.directory / "store.sqlite").unlink()
    adapter.open(server.start())
    with pytest.raises(OperationFailed, match="no namespace"):
        adapter.count()


def test_a_foreign_marker_is_refused_by_server_and_adapter(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    catalogue.create("store", Settings("mine"))
    with pytest.raises(Problem) as taken:
        catalogue.create("store", Settings("mine"))
    with pytest.raises(Problem) as other:
        catalogue.drop("store", "yours")
    assert [p.value.code for p in (taken, other)] == ["database-exists", "marker-differs"]
    assert (tmp_path / "store.sqlite").exists()
    catalogue.drop("store", "mine")
    catalogue.close()
    assert [file.name for file in tmp_path.iterdir()] == ["instance"]


def test_the_adapter_refuses_a_database_that_changed_hands(
    endpoint: Endpoint, adapter: RestAdapter
) -> None:
    assert endpoint.directory is not None
    with sqlite3.connect(endpoint.directory / "store.sqlite") as connection:
        connection.execute("UPDATE settings SET value = 'theirs' WHERE name = 'marker'")
    connection.close()
    with pytest.raises(NamespaceRefused, match="marker-differs"):
        adapter.empty("drop")
    with pytest.raises(NamespaceRefused, match="marker-differs"):
        adapter.destroy()
    with pytest.raises(NamespaceRefused, match="without our marker"):
        adapter.create("store", **SETTINGS)


@pytest.mark.parametrize("durability", [*SYNCHRONOUS])
def test_the_file_is_synced_as_declared(tmp_path: Path, durability: str) -> None:
    store = ContentStore(tmp_path / "s.sqlite", Settings("m", durability=durability))
    expected = {"fsync": 2, "interval": 1, "none": 0}[durability]
    assert store._query("PRAGMA synchronous") == [(expected,)]
    store.put([("key", b"payload")])
    store.flush()
    assert store._query("PRAGMA synchronous") == [(expected,)]
    store.close()


def test_a_full_disk_is_told_and_stores_nothing(tmp_path: Path) -> None:
    """As full as SQLite says it is when it may have no more pages."""
    catalogue = Catalogue(tmp_path)
    with Listener(("127.0.0.1", 0), Service(catalogue), "a token") as listener:
        serving = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        port = listener.server_address[1]
        adapter = RestAdapter()
        try:
            adapter.open(Endpoint(host="127.0.0.1", port=port, secret=Secret("a token")))
            adapter.create("store", **SETTINGS)
            catalogue.get("store")._query("PRAGMA max_page_count = 20")
            with pytest.raises(DiskSpaceError, match="507 storage-full"):
                adapter.put_many(batch_of(distinct_objects(100)))
            assert adapter.count() == 0
            adapter.put("small", b"still works")
            assert adapter.get("small") == b"still works"
        finally:
            adapter.close()
            listener.shutdown()
            serving.join(DEADLINE_S)
            catalogue.close()


def test_it_can_be_started_by_hand(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a token for this test alone\n")
    words = ["--directory", str(tmp_path / "data"), "--token-file", str(token)]
    command = [sys.executable, "-m", "deduplab.rest_server", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(" ")[2])
        here = Endpoint(host="127.0.0.1", port=port, secret=Secret("a token for this test alone"))
        adapter = RestAdapter()
        adapter.open(here)
        assert adapter.identity().product == "deduplab-rest-server"
        adapter.close()
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def test_settings_are_told_as_json(endpoint: Endpoint, adapter: RestAdapter) -> None:
    """Anybody with the token can see whose a database is."""
    answer = exchange(
        endpoint,
        b"GET /v1/databases/store HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\n"
        b"Connection: close\r\n\r\n",
    )
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["durability"] == "fsync"
    assert told["marker"].startswith("deduplab namespace")
