"""The part of CockroachDB's statements that PostgreSQL understands too, run on PostgreSQL.

It shows that table, prepared statements and COPY framing fit together on the
wire that both share. It shows nothing of CockroachDB itself: see ``test_cockroachdb``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from deduplab.adapters._pgwire import Wire
from deduplab.adapters.cockroachdb import CockroachdbAdapter
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from deduplab.testing import batch_of, distinct_objects
from deduplab.testing._fixtures import assert_holds, assert_holds_records
from deduplab.testing.records import AWKWARD_RECORDS, SAMPLE_RECORDS

pytestmark = pytest.mark.server

NAMESPACE = "deduplab-lab"


class OnPostgresql(CockroachdbAdapter):
    """The adapter without what PostgreSQL has not: zones, comments on databases, settings."""

    def _connect(self, endpoint: Endpoint) -> Wire:
        return Wire.connect(endpoint)

    def _set_durability(self, durability: str) -> None:
        pass

    def _found_marker(self, namespace: str) -> str | None:
        return None

    def _make_namespace(self, namespace: str, variant: str) -> None:
        self._wire.query("DROP TABLE IF EXISTS public.objects")


@pytest.fixture(scope="module")
def endpoint(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Endpoint]:
    """A PostgreSQL with a database of the namespace's name, and CockroachDB's names of types."""
    with tempfile.TemporaryDirectory(prefix="deduplab-wire-") as name:
        Path(name).chmod(0o755)
        server = PostgresqlServer(Path(name), variant="default", durability="fsync")
        try:
            try:
                started = server.start()
            except SystemUnavailable as error:
                not_brought_up("postgresql", error)
            assert started.secret is not None
            login = f"host=127.0.0.1 port={started.port} user={started.user}"
            secret = started.secret.reveal()
            with closing(
                psycopg.connect(login, dbname="postgres", password=secret, autocommit=True)
            ) as connection:
                connection.execute(f'CREATE DATABASE "{NAMESPACE}"'.encode())
            with closing(
                psycopg.connect(login, dbname=NAMESPACE, password=secret, autocommit=True)
            ) as connection:
                connection.execute("CREATE DOMAIN string AS text")
                connection.execute("CREATE DOMAIN bytes AS bytea")
            yield replace(started, database=NAMESPACE)
        finally:
            server.stop()


@pytest.fixture
def adapter(endpoint: Endpoint) -> Iterator[OnPostgresql]:
    adapter = OnPostgresql()
    adapter.open(endpoint)
    yield adapter
    adapter.close()


def test_objects_by_copy_and_one_by_one(adapter: OnPostgresql) -> None:
    adapter.create(NAMESPACE, layout="blob", variant="default", durability="fsync")
    objects = distinct_objects(40)
    assert adapter.put_many(batch_of(objects)) == 40
    adapter.put("one", b"\x00more\xff")
    assert adapter.get("one") == b"\x00more\xff"
    assert adapter.get("none") is None
    with pytest.raises(OperationFailed, match="duplicate key"):
        adapter.put("one", b"again")
    with pytest.raises(OperationFailed, match="duplicate key"):
        adapter.put_many(batch_of({"two": b"2", "one": b"again"}))
    assert adapter.get("two") is None, "a refused batch leaves nothing"
    assert adapter.delete(["one", "none"]) == 1
    assert_holds(adapter, objects)
    for mode in ("truncate", "drop"):
        adapter.empty(mode)
        assert adapter.count() == 0
        assert adapter.put_many(batch_of(objects)) == 40
    adapter.flush()


def test_records_by_copy_and_one_by_one(adapter: OnPostgresql) -> None:
    adapter.create(
        NAMESPACE,
        layout="native",
        variant="default",
        durability="fsync",
        record_type=SAMPLE_RECORDS,
    )
    records = dict(AWKWARD_RECORDS)
    assert adapter.put_many(batch_of(records, SAMPLE_RECORDS)) == len(records)
    assert_holds_records(adapter, records)
    assert adapter.delete(list(records)) == len(records)
    for key, record in records.items():
        adapter.put(key, record)
    assert_holds_records(adapter, records)
