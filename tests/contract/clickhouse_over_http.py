"""A small HTTP front of the real ClickHouse engine in process (chdb), as a server has one.

Run as a program: prints its port, serves on 127.0.0.1 until its input ends.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SETTINGS = ("output_format_", "max_block_size")
"""Settings that are passed on to the engine begin so; others are the HTTP interface's own."""

_FORMAT = "TabSeparated"  # of a server that is asked over HTTP
_LOCK = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    session: Any
    password: str

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        parameters = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        statement = parameters.get("query", [""])[0] + body
        if self.password not in str(self.headers.get("Authorization", "")):
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed. ")
            return
        try:
            with _LOCK:
                for database in parameters.get("database", []):
                    self.session.query(f"USE {database}")
                for name, values in parameters.items():
                    if name.startswith(_SETTINGS):
                        self.session.query(f"SET {name} = {values[0]!r}")
                data = self.session.query(statement, _FORMAT).bytes()
            self._answer(200, data)
        except Exception as error:
            self._answer(500, str(error).encode())

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if status != 200:
            self.send_header("X-ClickHouse-Exception-Code", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def main() -> None:
    import base64

    from chdb.session import Session

    session: Any = Session  # it has no types
    _Handler.session = session()
    for statement in sys.stdin.readline().split(";"):
        if statement.strip():
            _Handler.session.query(statement)
    password = sys.stdin.readline().strip()
    _Handler.password = base64.b64encode(f"lab:{password}".encode()).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
