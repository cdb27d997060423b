"""Looks behind the CockroachDB adapter's back, and where a cluster to look at is.

None is to be had here. ``DEDUPLAB_COCKROACHDB_URL`` names one:
``postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslrootcert=FILE`` (``sslmode=disable``
for one without TLS). Without it, a ``cockroach`` on the search path is started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from deduplab.errors import PlanError
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers.cockroachdb import CockroachdbServer

VARIABLE: Final = "DEDUPLAB_COCKROACHDB_URL"


def endpoint_of(url: str) -> Endpoint:
    """Return the endpoint that a URL names."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres", "cockroachdb") or not parts.hostname:
        raise PlanError(f"{VARIABLE} is not of the form postgresql://USER:PASSWORD@HOST:PORT/..")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options = {"tls": "off" if query.get("sslmode") == "disable" else "verify"}
    if "sslrootcert" in query:
        options["ssl_ca"] = query["sslrootcert"]
    return Endpoint(
        host=parts.hostname,
        port=parts.port or 26257,
        user=unquote(parts.username or "root"),
        secret=Secret(unquote(parts.password)) if parts.password else None,
        database=parts.path.lstrip("/") or "defaultdb",
        options=options,
    )


class GivenServer(Server):
    """The cluster that the environment names; neither started nor stopped by the tests."""

    def start(self) -> Endpoint:
        return endpoint_of(os.environ[VARIABLE])

    def stop(self) -> None:
        pass

    def processes(self) -> tuple[int, ...]:
        return ()


def server_of(workspace: Path, variant: str, durability: str) -> Server:
    """Return the cluster of the environment, or else a node of our own."""
    kind = GivenServer if os.environ.get(VARIABLE) else CockroachdbServer
    return kind(workspace, variant=variant, durability=durability)


class CockroachdbLook:
    @contextmanager
    def opened(self, endpoint: Endpoint) -> Iterator[Any]:
        import psycopg

        authority = endpoint.options.get("ssl_ca", "system")
        plain = endpoint.options.get("tls") == "off"
        with psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.secret.reveal() if endpoint.secret else None,
            dbname=endpoint.database,
            sslmode="disable" if plain else "verify-full",
            sslrootcert=None if plain else authority,
            autocommit=True,
        ) as connection:
            yield connection

    def rows(self, endpoint: Endpoint, query: str, *values: str) -> list[Any]:
        with self.opened(endpoint) as connection:
            found: list[Any] = connection.execute(query, values or None).fetchall()
            return found

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        query = f'SELECT count(*) FROM "{namespace}".public.objects'
        return int(self.rows(endpoint, query)[0][0])

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        query = f'SELECT payload FROM "{namespace}".public.objects WHERE key = %s'
        rows = self.rows(endpoint, query, key)
        return bytes(rows[0][0]) if rows else None

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        query = "SELECT count(*) FROM [SHOW DATABASES] WHERE database_name = %s"
        return bool(self.rows(endpoint, query, namespace)[0][0])

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        with self.opened(endpoint) as connection:
            connection.execute(f'CREATE DATABASE "{namespace}"')
            connection.execute(f'CREATE TABLE "{namespace}".public.foreign_table (x int)')

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        with self.opened(endpoint) as connection:
            connection.execute(f'COMMENT ON DATABASE "{namespace}" IS NULL')
