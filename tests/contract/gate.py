"""A gate before the REST server: takes tokens with single rights, a path before all, and TLS.

The reference server has one token that may do everything; a system of somebody
else's gives rights, and stands behind a proxy. This is both.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from deduplab.server import Endpoint

_DATABASE = re.compile(r"/v1/databases/(?P<name>[^/?]*)(?P<below>/[^?]*)?(\?.*)?")


class Gate(ThreadingHTTPServer):
    """What it lets through is in ``tokens``: rights by token, as :func:`right_of` names them."""

    daemon_threads = True

    def __init__(self, behind: Endpoint, base_path: str, prefix: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.base_path = base_path
        self.prefix = prefix
        self.tokens: dict[str, set[str]] = {}


def right_of(method: str, path: str, prefix: str) -> str:
    """Return the right that a request needs; empty where none gives it."""
    if path == "/v1/health":
        return "GET /v1/health" if method == "GET" else ""
    match = _DATABASE.fullmatch(path)
    if match is None or not match["name"].startswith(prefix):
        return ""
    return "below" if match["below"] else method


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece, else each waits for the other's acknowledgement
    server: Gate

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        gate, base = self.server, self.server.base_path
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.path.startswith(f"{base}/"):
            return self._refuse(404, "no-such-path")
        path = self.path.removeprefix(base)
        if token not in gate.tokens:
            return self._refuse(401, "no-token")
        if right_of(self.command, path, gate.prefix) not in gate.tokens[token]:
            return self._refuse(403, "not-allowed")
        behind = gate.behind
        assert behind.host is not None
        assert behind.secret is not None
        connection = http.client.HTTPConnection(behind.host, behind.port, timeout=30)
        try:
            kept = {k: v for k, v in self.headers.items() if k in ("Content-Type",)}
            kept |= {"Authorization": f"Bearer {behind.secret.reveal()}"}
            connection.request(self.command, path, body, kept)
            answer = connection.getresponse()
            self._tell(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        finally:
            connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _refuse(self, status: int, code: str) -> None:
        words = json.dumps({"code": code, "detail": f"{self.command} {self.path}"}).encode()
        self._tell(status, "application/problem+json", words)

    def _tell(self, status: int, media_type: str, content: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def gate(
    behind: Endpoint,
    *,
    base_path: str = "",
    prefix: str = "",
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Gate]:
    """Open a gate before a server; it is closed at the end."""
    opened = Gate(behind, base_path, prefix)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        opened.socket = context.wrap_socket(
            opened.socket, server_side=True, do_handshake_on_connect=False
        )
    serving = threading.Thread(target=opened.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield opened
    finally:
        opened.shutdown()
        serving.join(30)
        opened.server_close()
