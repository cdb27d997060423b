"""chdb behind HTTP: what stands for a ClickHouse server in tests, and how it is looked at.

No package of a recent ClickHouse server is to be had here. The engine is the
real one (chdb); the HTTP front before it is ours (``clickhouse_over_http``).
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Secret, Server

_STOP_S = 30
SCRIPT = Path(__file__).with_name("clickhouse_over_http.py")


class ChdbBehindHttp(Server):
    """An engine in a process of its own, reached over HTTP as a server is."""

    certificate: tuple[Path, Path] | None = None
    """Files of a certificate and its key; None speaks plainly."""

    _process: subprocess.Popen[str] | None = None

    def start(self) -> Endpoint:
        password = secrets.token_urlsafe(12)
        files = [str(file) for file in self.certificate or ()]
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"\n{password}\n")
        self._process.stdin.flush()
        port = self._process.stdout.readline().strip()
        if not port:
            raise SystemUnavailable("chdb behind HTTP did not come up")
        return Endpoint(host="127.0.0.1", port=int(port), user="lab", secret=Secret(password))

    def stop(self) -> None:
        if self._process is None:
            return
        try:
            self._process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate(timeout=_STOP_S)
        self._process = None

    def processes(self) -> tuple[int, ...]:
        return (self._process.pid,) if self._process is not None else ()


class HttpLook:
    @contextmanager
    def opened(self, endpoint: Endpoint) -> Iterator[Any]:
        import clickhouse_connect

        assert endpoint.secret is not None
        connect: Any = clickhouse_connect.get_client
        with closing(
            connect(
                host=endpoint.host,
                port=endpoint.port,
                username=endpoint.user,
                password=endpoint.secret.reveal(),
                autogenerate_session_id=False,
            )
        ) as client:
            yield client

    def ask(self, endpoint: Endpoint, query: str) -> str:
        with self.opened(endpoint) as client:
            answer: bytes = client.raw_query(query, fmt="TabSeparated")
            return answer.decode().strip()

    def tell(self, endpoint: Endpoint, statement: str) -> None:
        with self.opened(endpoint) as client:
            client.command(statement)

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return int(self.ask(endpoint, f"SELECT count() FROM `{namespace}`.objects"))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = f"SELECT hex(payload), 1 FROM `{namespace}`.objects WHERE key = '{key}'"
        text = self.ask(endpoint, query)
        return bytes.fromhex(text.split("\t")[0]) if text else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        query = f"SELECT count() FROM system.databases WHERE name = '{namespace}'"
        return int(self.ask(endpoint, query)) == 1

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        self.tell(endpoint, f"CREATE DATABASE `{namespace}` ENGINE = Atomic")

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        self.tell(endpoint, f"ALTER DATABASE `{namespace}` MODIFY COMMENT ''")
