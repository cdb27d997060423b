"""A look behind the adapter's back at LMDB, with the raw driver, reading alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import lmdb

from deduplab.server import Endpoint
from tests.contract.raw_looks import DirectoryLook


class LmdbLook(DirectoryLook):
    @contextmanager
    def opened(self, endpoint: Endpoint, namespace: str) -> Iterator[lmdb.Transaction]:
        path = self.path(endpoint, namespace) / "objects.mdb"
        environment = lmdb.open(str(path), subdir=False, readonly=True)
        try:
            with environment.begin() as transaction:
                yield transaction
        finally:
            environment.close()

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        with self.opened(endpoint, namespace) as transaction:
            return sum(1 for _ in transaction.cursor())

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        with self.opened(endpoint, namespace) as transaction:
            found = transaction.get(key.encode())
            return None if found is None else bytes(found)
