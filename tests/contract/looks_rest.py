"""A look behind the adapter's back: at our reference server's files, with SQLite itself.

What is made is made by plain requests, as another client of the server would.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from deduplab.server import Endpoint

FOREIGN = "somebody else's"


def ask(
    endpoint: Endpoint,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
) -> tuple[int, Any]:
    """Send one request over a connection of its own; return status and JSON or bytes."""
    assert endpoint.secret is not None
    assert endpoint.host is not None
    shown = endpoint.secret.reveal() if token is None else token
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=30)
    with closing(connection):
        sent = {"Authorization": f"Bearer {shown}", **(headers or {})}
        connection.request(method, target, body=body, headers=sent)
        answer = connection.getresponse()
        content = answer.read()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(content) if is_json else content


class RestLook:
    def path(self, endpoint: Endpoint, namespace: str) -> Path:
        assert endpoint.directory is not None
        return endpoint.directory / f"{namespace}.sqlite"

    def rows(self, endpoint: Endpoint, namespace: str, query: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(self.path(endpoint, namespace))) as connection:
            found = connection.execute(query, values).fetchall()
            connection.commit()
            return found

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        ((found,),) = self.rows(endpoint, namespace, "SELECT count(*) FROM objects")
        return int(found)

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = "SELECT payload FROM objects JOIN payloads ON id = content WHERE key = ?"
        found = self.rows(endpoint, namespace, query, key)
        return found[0][0] if found else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        return self.path(endpoint, namespace).exists()

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        database = f"/v1/databases/{namespace}"
        marker = json.dumps({"marker": FOREIGN}).encode()
        assert ask(endpoint, "PUT", database, marker)[0] == 201
        assert ask(endpoint, "PUT", f"{database}/object?key=theirs", b"payload")[0] == 201

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        change = "UPDATE settings SET value = ? WHERE name = 'marker' RETURNING name"
        assert self.rows(endpoint, namespace, change, FOREIGN) == [("marker",)]
