"""CockroachDB is held to the contracts against a cluster that the environment names.

See ``looks_cockroachdb`` for the variable. Without a cluster and without the
vendor's program nothing here runs, and CockroachDB is listed as not brought up.
The tests in ``test_cockroachdb_statements_on_postgresql`` are no substitute.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

import pytest

from deduplab import registry
from deduplab.adapter import Adapter, Capabilities
from deduplab.adapters._cockroachdb_tables import ROW_TTL
from deduplab.adapters.cockroachdb import CockroachdbAdapter
from deduplab.server import Endpoint
from deduplab.testing import (
    AdapterContract,
    ServerContract,
    SystemUnderTest,
    batch_of,
    distinct_objects,
)
from deduplab.testing._fixtures import NewWorkspace
from tests.contract.looks_cockroachdb import VARIABLE, CockroachdbLook, GivenServer, server_of
from tests.required import Counted

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]

LOOK = CockroachdbLook()
OFFERS = CockroachdbAdapter.capabilities


class WithoutExpiry(CockroachdbAdapter):
    """The default variant, which can't delete by expiry."""

    capabilities: ClassVar[Capabilities] = dataclasses.replace(
        OFFERS, delete_modes=("rowwise", "truncate", "drop"), reclaim_modes=("gc-enqueue",)
    )


class WithExpiry(CockroachdbAdapter):
    """The variant with row-level TTL alone."""

    capabilities: ClassVar[Capabilities] = dataclasses.replace(
        OFFERS,
        variants=tuple(v for v in OFFERS.variants if v.name == ROW_TTL),
        reclaim_modes=("gc-enqueue",),
    )


class _AdapterContract(Counted, AdapterContract):
    @pytest.fixture
    def namespace(self) -> str:
        """A name that no other test, and no other run on the same cluster, uses."""
        return f"deduplab-contract-{os.urandom(4).hex()}"

    @pytest.fixture
    def adapter(
        self, sut: SystemUnderTest, endpoint: Endpoint, namespace: str
    ) -> Iterator[CockroachdbAdapter]:
        """The cluster is not ours alone, so what a test leaves there is dropped after it."""
        adapter = sut.adapter()
        assert isinstance(adapter, CockroachdbAdapter)
        adapter.open(endpoint)
        yield adapter
        adapter.close()
        with LOOK.opened(endpoint) as connection:
            for (left,) in connection.execute("SELECT datname FROM pg_database").fetchall():
                if left.startswith(namespace):
                    connection.execute(f'DROP DATABASE "{left}" CASCADE')

    def test_another_instance_has_another_identity(
        self, sut: SystemUnderTest, entered: Adapter, new_workspace: NewWorkspace
    ) -> None:
        """There is one cluster: two connections to it must find the same identity."""
        server = server_of(new_workspace(), "default", "fsync")
        if isinstance(server, GivenServer):
            another = sut.adapter()
            another.open(server.start())
            there = another.identity()
            another.close()
            assert UUID(there.instance) == UUID(entered.identity().instance)
        else:
            super().test_another_instance_has_another_identity(sut, entered, new_workspace)


class TestCockroachdbAdapter(_AdapterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest("cockroachdb", WithoutExpiry, server_of, LOOK)

    def test_old_versions_go_without_being_asked_to(self, adapter: Adapter, namespace: str) -> None:
        """The mode ``gc`` waits for the collector's own round, so it is waited for once."""
        adapter.create(namespace, layout="blob", variant="gc-ttl-short", durability="fsync")
        objects = distinct_objects(64)
        assert adapter.put_many(batch_of(objects)) == 64
        assert adapter.delete(list(objects)) == 64
        before = adapter.engine_reading().components["garbage"]
        assert before > 64 * 8192
        adapter.reclaim("gc")
        assert adapter.engine_reading().components["garbage"] < 4096


class TestCockroachdbAdapterWithRowLevelTtl(_AdapterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest("cockroachdb", WithExpiry, server_of, LOOK)


@pytest.mark.skipif(bool(os.environ.get(VARIABLE)), reason="a cluster is given, none is started")
class TestCockroachdbServer(Counted, ServerContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(registry.system("cockroachdb"), LOOK)
