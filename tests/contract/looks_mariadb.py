"""Looks behind the MariaDB adapter's back, with another driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql

from deduplab.server import Endpoint


class MariadbLook:
    @contextmanager
    def opened(self, endpoint: Endpoint) -> Iterator[Any]:
        assert endpoint.secret is not None
        connection = pymysql.connect(
            host=endpoint.host,
            port=endpoint.port or 0,
            user=endpoint.user,
            password=endpoint.secret.reveal(),
            autocommit=True,
        )
        with closing(connection), connection.cursor() as cursor:
            yield cursor

    def rows(self, endpoint: Endpoint, query: str, *values: str) -> list[Any]:
        with self.opened(endpoint) as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return int(self.rows(endpoint, f"SELECT count(*) FROM `{namespace}`.objects")[0][0])

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = f"SELECT payload FROM `{namespace}`.objects WHERE `key` = %s"
        rows = self.rows(endpoint, query, key)
        return bytes(rows[0][0]) if rows else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        query = "SELECT count(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        return bool(self.rows(endpoint, query, namespace)[0][0])

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        self.rows(endpoint, f"CREATE DATABASE `{namespace}`")
        self.rows(endpoint, f"CREATE TABLE `{namespace}`.foreign_table (x int)")

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        self.rows(endpoint, f"ALTER DATABASE `{namespace}` COMMENT ''")
