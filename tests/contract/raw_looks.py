"""Looks behind each adapter's back, with the raw driver or the raw files.

Nothing of an adapter is used here but the names of its files and tables.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import zstandard
from blake3 import blake3

from deduplab.server import Endpoint

FOREIGN: Final = b"somebody else's"


class DirectoryLook:
    """A namespace that is a directory with our marker in a file."""

    def path(self, endpoint: Endpoint, namespace: str) -> Path:
        assert endpoint.directory is not None
        return endpoint.directory / namespace

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        path = self.path(endpoint, namespace)
        if (path / "foreign.txt").exists():
            assert (path / "foreign.txt").read_bytes() == FOREIGN
        return path.exists()

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        path = self.path(endpoint, namespace)
        path.mkdir()
        (path / "foreign.txt").write_bytes(FOREIGN)

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        marker = self.path(endpoint, namespace) / "deduplab-marker.json"
        assert json.loads(marker.read_text())["namespace"] == namespace
        marker.unlink()


class NullLook(DirectoryLook):
    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return 0

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        return None


class PlainLook(DirectoryLook):
    def _objects(self, endpoint: Endpoint, namespace: str) -> dict[str, bytes]:
        files = (self.path(endpoint, namespace) / "objects").glob("??/*")
        return {unquote(file.name): file.read_bytes() for file in files}

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return len(self._objects(endpoint, namespace))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        return self._objects(endpoint, namespace).get(key)


class CompressedLook(PlainLook):
    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        objects = self._objects(endpoint, namespace)
        if f"{key}.zst" in objects:
            return zstandard.decompress(objects[f"{key}.zst"])
        return objects.get(f"{key}.raw")


def log_records(path: Path) -> Iterator[bytes]:
    """Read an index log by what its format says: length, CRC-32, body."""
    raw = path.read_bytes()
    while raw:
        length, checksum = struct.unpack_from("<II", raw)
        body, raw = raw[8 : 8 + length], raw[8 + length :]
        assert zlib.crc32(body) == checksum
        yield body


class SingleInstanceLook(DirectoryLook):
    def _digests(self, endpoint: Endpoint, namespace: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for body in log_records(self.path(endpoint, namespace) / "index.log"):
            while body:
                kind, length = struct.unpack_from("<BH", body)
                key, body = body[3 : 3 + length].decode(), body[3 + length :]
                if kind == 1:
                    found[key], body = body[:32], body[32:]
                else:
                    del found[key]
        return found

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        digests = self._digests(endpoint, namespace)
        files = list((self.path(endpoint, namespace) / "payloads").glob("??/*"))
        assert {file.name for file in files} == {digest.hex() for digest in digests.values()}
        return len(digests)

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        digest = self._digests(endpoint, namespace).get(key)
        if digest is None:
            return None
        (file,) = (self.path(endpoint, namespace) / "payloads").glob(f"??/{digest.hex()}")
        payload = file.read_bytes()
        assert blake3(payload).digest() == digest
        return payload


class ChunkedLook(DirectoryLook):
    def _objects(self, endpoint: Endpoint, namespace: str) -> dict[str, bytes]:
        path = self.path(endpoint, namespace)
        chunks: list[bytes] = []
        found: dict[str, bytes] = {}
        for body in log_records(path / "index.log"):
            while body:
                kind, body = body[0], body[1:]
                if kind == 1:
                    digest, pack, offset, length = struct.unpack_from("<16sIII", body)
                    body = body[28:]
                    chunk = (path / "packs" / f"{pack:06d}.pack").read_bytes()[offset:][:length]
                    assert blake3(chunk).digest(16) == digest
                    chunks.append(chunk)
                    continue
                key_bytes, count = struct.unpack_from("<HI", body)
                key, body = body[6 : 6 + key_bytes].decode(), body[6 + key_bytes :]
                if kind == 2:
                    numbers = struct.unpack_from(f"<{count}I", body)
                    body = body[4 * count :]
                    found[key] = b"".join(chunks[number] for number in numbers)
                else:
                    del found[key]
        return found

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return len(self._objects(endpoint, namespace))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        return self._objects(endpoint, namespace).get(key)


class SqlLook(DirectoryLook, ABC):
    """A database in one file, with a table ``objects``."""

    @abstractmethod
    def _one(self, endpoint: Endpoint, namespace: str, query: str, *values: str) -> Any:
        """Return the first value of the answer, None if there is none."""

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return int(self._one(endpoint, namespace, "SELECT count(*) FROM objects"))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = "SELECT payload FROM objects WHERE key = ?"
        found: bytes | None = self._one(endpoint, namespace, query, key)
        return found


class SqliteLook(SqlLook):
    def _one(self, endpoint: Endpoint, namespace: str, query: str, *values: str) -> Any:
        path = self.path(endpoint, namespace) / "objects.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            row = connection.execute(query, values).fetchone()
        return row and row[0]


class DuckdbLook(SqlLook):
    def _one(self, endpoint: Endpoint, namespace: str, query: str, *values: str) -> Any:
        import duckdb

        path = self.path(endpoint, namespace) / "objects.duckdb"
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            rows = connection.execute(query, values).fetchall()
        return rows[0][0] if rows else None


class RocksdbLook(DirectoryLook):
    @contextmanager
    def _opened(self, endpoint: Endpoint, namespace: str) -> Iterator[Any]:
        import rocksdict

        database = rocksdict.Rdict(
            str(self.path(endpoint, namespace) / "db"),
            rocksdict.Options(raw_mode=True),
            access_type=rocksdict.AccessType.read_only(False),
        )
        try:
            yield database
        finally:
            database.close()

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        with self._opened(endpoint, namespace) as database:
            return len(list(database.keys()))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        with self._opened(endpoint, namespace) as database:
            found: bytes | None = database.get(key.encode())
            return found


class PostgresqlLook:
    @contextmanager
    def _opened(self, endpoint: Endpoint) -> Iterator[Any]:
        import psycopg

        assert endpoint.secret is not None
        connection = psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.secret.reveal(),
            dbname=endpoint.database,
            autocommit=True,
        )
        with closing(connection):
            yield connection

    def _rows(self, endpoint: Endpoint, query: str, *values: str) -> list[Any]:
        with self._opened(endpoint) as connection:
            rows: list[Any] = connection.execute(query, values).fetchall()
            return rows

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return int(self._rows(endpoint, f'SELECT count(*) FROM "{namespace}".objects')[0][0])

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = f'SELECT payload FROM "{namespace}".objects WHERE key = %s'
        rows = self._rows(endpoint, query, key)
        return bytes(rows[0][0]) if rows else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        query = "SELECT count(*) FROM pg_namespace WHERE nspname = %s"
        return bool(self._rows(endpoint, query, namespace)[0][0])

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        with self._opened(endpoint) as connection:
            connection.execute(f'CREATE SCHEMA "{namespace}"')
            connection.execute(f'CREATE TABLE "{namespace}".foreign_table (x int)')

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        with self._opened(endpoint) as connection:
            connection.execute(f'COMMENT ON SCHEMA "{namespace}" IS NULL')


class ClickhouseLook:
    def _ask(self, endpoint: Endpoint, query: str, output: str = "TSV") -> Any:
        import chdb

        connect: Any = chdb.connect
        with closing(connect(str(endpoint.directory))) as connection:
            return connection.query(query, output)

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return int(self._ask(endpoint, f"SELECT count() FROM `{namespace}`.objects").data())

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = f"SELECT hex(payload) FROM `{namespace}`.objects WHERE key = '{key}'"
        text: str = self._ask(endpoint, query).data()
        return bytes.fromhex(text) if text else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        query = f"SELECT count() FROM system.databases WHERE name = '{namespace}'"
        return int(self._ask(endpoint, query).data()) == 1

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        self._ask(endpoint, f"CREATE DATABASE `{namespace}` ENGINE = Atomic")

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        self._ask(endpoint, f"ALTER DATABASE `{namespace}` MODIFY COMMENT ''")
