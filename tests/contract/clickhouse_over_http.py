"""A small HTTP front of the real ClickHouse engine in process (chdb), as a server has one.

Run as a program: prints its port, serves on 127.0.0.1 until its input ends. With the
files of a certificate and its key as arguments it speaks TLS. What a server has
and the engine in process has not, it makes up: a body that is inserted becomes a
file that the engine reads, and ``serverUUID()`` a number of this process.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SETTINGS = (
    "output_format_",
    "max_block_size",
    "async_insert",
    "lightweight_deletes_sync",
    "max_insert_threads",
    "max_query_size",
    "mutations_sync",
    "optimize_throw_if_noop",
)
"""Settings that are passed on to the engine begin so; others are the HTTP interface's own."""

_BODY = re.compile(r"input\(('(?:[^'\\]|\\.)*')\) FORMAT (ArrowStream)$")
_UUID = str(uuid.uuid4())

_FORMAT = "TabSeparated"  # of a server that is asked over HTTP
_LOCK = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    session: Any
    password: str

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        parameters = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        statement = parameters.get("query", [""])[0]
        if self.password not in str(self.headers.get("Authorization", "")):
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed. ")
            return
        try:
            with _LOCK, tempfile.NamedTemporaryFile() as file:
                if found := _BODY.search(statement):
                    file.write(body)
                    file.flush()
                    sent = f"file('{file.name}', '{found[2]}', {found[1]})"
                    statement = statement[: found.start()] + sent
                else:
                    statement += body.decode()
                statement = statement.replace("serverUUID()", f"'{_UUID}'")
                for database in parameters.get("database", []):
                    self.session.query(f"USE {database}")
                for name, values in parameters.items():
                    if name.startswith(_SETTINGS):
                        self.session.query(f"SET {name} = {values[0]!r}")
                answer = self.session.query(statement, _FORMAT)
                written = answer.rows_written() if found else 0
            self._answer(200, answer.bytes(), written)
        except Exception as error:
            self._answer(500, str(error).encode())

    def _answer(self, status: int, data: bytes, written: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", json.dumps({"written_rows": str(written)}))
        if status != 200:
            self.send_header("X-ClickHouse-Exception-Code", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        _serve(directory)
    # The engine's own shutdown sometimes hangs; there is nothing left to save.
    os._exit(0)


def _serve(directory: str) -> None:
    import base64

    from chdb.session import Session

    session: Any = Session  # it has no types
    _Handler.session = session(directory)
    for statement in sys.stdin.readline().split(";"):
        if statement.strip():
            _Handler.session.query(statement)
    password = sys.stdin.readline().strip()
    _Handler.password = base64.b64encode(f"lab:{password}".encode()).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
