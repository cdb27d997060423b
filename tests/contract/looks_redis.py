"""Looks behind the adapter's back at Redis and Valkey, with another client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import valkey

from deduplab.server import Endpoint


class RedisLook:
    @contextmanager
    def opened(self, endpoint: Endpoint) -> Iterator[valkey.Valkey]:
        assert endpoint.secret is not None
        client = valkey.Valkey(
            host=str(endpoint.host),
            port=endpoint.port or 0,
            username=endpoint.user,
            password=endpoint.secret.reveal(),
            lib_name=None,
            lib_version=None,
        )
        with closing(client):
            yield client

    def keys(self, endpoint: Endpoint, pattern: str) -> list[bytes]:
        with self.opened(endpoint) as client:
            return sorted(set(client.scan_iter(match=pattern)))

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return len(self.keys(endpoint, f"deduplab:{namespace}:*"))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        with self.opened(endpoint) as client:
            found: Any = client.get(f"deduplab:{namespace}:{key}")
            return bytes(found) if found is not None else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        return bool(self.keys(endpoint, f"deduplab:{namespace}*"))

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        with self.opened(endpoint) as client:
            client.setnx(f"deduplab:{namespace}:foreign", b"somebody else's")

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        with self.opened(endpoint) as client:
            client.delete(f"deduplab:{namespace}")
