"""HTTP/1.1 around the operations: reads a request whole, asks for the token, writes the answer."""

from __future__ import annotations

import hmac
import json
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from deduplab import __version__
from deduplab.rest_server.operations import PRODUCT, Answer, Request, Service
from deduplab.rest_server.problem import Problem, malformed

IDLE_S: Final = 600.0
"""How long a connection may stand idle, or a request's body be waited for."""

MOST_BODY_BYTES: Final = 1 << 30


class Listener(ThreadingHTTPServer):
    """Answers on one address; each connection has a thread that does not outlive the process.

    Parameters
    ----------
    address
        Host and port; port 0 takes any that is free.
    service
        What does the work.
    token
        What a client must show.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], service: Service, token: str) -> None:
        super().__init__(address, _Connection)
        self.service = service
        self.authorization = f"Bearer {token}".encode()


class _Connection(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    server_version = f"{PRODUCT}/{__version__}"
    sys_version = ""
    timeout = IDLE_S
    # One packet an answer, sent at once: Nagle's algorithm would hold its second half back.
    disable_nagle_algorithm = True
    wbufsize = -1

    def _handle(self) -> None:
        try:
            answer = self.server.service.answer(self._request())
        except Problem as problem:
            answer = _told(problem)
        except TimeoutError:
            raise  # the base class closes the connection
        except sqlite3.Error as error:
            full = "full" in str(error)
            code = "storage-full" if full else "storage-failed"
            answer = _told(Problem(507 if full else 500, code, str(error)))
        self._write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _handle  # noqa: N815

    def _request(self) -> Request:
        """Read the body that the request announces, once it is allowed to send one.

        Where a body is left unread, the connection can't be used again.
        """
        self.close_connection, keep = True, not self.close_connection
        shown = self.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(shown, self.server.authorization):
            raise Problem(401, "no-token", "this server needs Authorization: Bearer <token>")
        body = self._body()
        self.close_connection = not keep
        parts = urlsplit(self.path)
        try:
            query = parse_qs(parts.query, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise malformed(f"the query can't be read: {error}") from error
        return Request(
            method=self.command,
            path=unquote(parts.path),
            query={name: values[-1] for name, values in query.items()},
            media_type=self.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            body=body,
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding"):
            raise Problem(411, "no-length", "a body needs a Content-Length, not chunks")
        lengths = self.headers.get_all("Content-Length") or []
        if not lengths:
            if self.command in ("PUT", "POST"):
                raise Problem(411, "no-length", "a body needs a Content-Length")
            return b""
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise malformed(f"Content-Length {lengths} is no number of bytes")
        wanted = int(lengths[0])
        if wanted > MOST_BODY_BYTES:
            raise Problem(413, "too-large", f"a body has at most {MOST_BODY_BYTES} bytes")
        body = self.rfile.read(wanted)
        if len(body) != wanted:
            raise malformed(f"the body ended after {len(body)} of {wanted} bytes")
        return body

    def _write(self, answer: Answer) -> None:
        content, media_type = answer.content, answer.media_type
        if answer.document is not None:
            content = json.dumps(answer.document).encode()
        self.send_response(answer.status)
        if answer.status != 204:
            if media_type:
                self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
        if answer.status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line a request would be part of what is measured."""


def _told(problem: Problem) -> Answer:
    return Answer(problem.status, problem.document(), media_type="application/problem+json")
