"""The ClickHouse adapter drives a server over HTTP: here, chdb behind HTTP.

The statements, the bodies and the answers are ClickHouse's; users, rights and
the server's own HTTP interface are not tested here, see ``looks_clickhouse_http``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deduplab.adapters.clickhouse import ClickhouseAdapter
from deduplab.errors import LoginRefused, OperationFailed, SystemUnavailable
from deduplab.server import Endpoint, Secret
from deduplab.testing import AdapterContract, SystemUnderTest, batch_of, distinct_objects
from tests.contract.certificates import self_signed
from tests.contract.looks_clickhouse_http import ChdbBehindHttp, HttpLook
from tests.required import Counted

pytestmark = pytest.mark.server
pytest.importorskip("chdb", exc_type=ImportError)
pytest.importorskip("clickhouse_connect", exc_type=ImportError)


class TestRemoteClickhouseAdapter(Counted, AdapterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        def server(workspace: Path, variant: str, durability: str) -> ChdbBehindHttp:
            return ChdbBehindHttp(workspace, variant=variant, durability=durability)

        return SystemUnderTest(
            "clickhouse (chdb behind HTTP)", ClickhouseAdapter, server, HttpLook()
        )


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A server that speaks TLS, and the certificate to trust."""
    directory = tmp_path_factory.mktemp("clickhouse")
    server = ChdbBehindHttp(directory, variant="", durability="fsync")
    server.certificate = self_signed(directory, "clickhouse")
    try:
        yield replace(server.start(), options={"ssl_ca": str(server.certificate[0])})
    finally:
        server.stop()


def opened(endpoint: Endpoint) -> ClickhouseAdapter:
    adapter = ClickhouseAdapter()
    adapter.open(endpoint)
    return adapter


@pytest.mark.parametrize("variant", ClickhouseAdapter.capabilities.variant_names())
def test_every_variant_over_tls(endpoint: Endpoint, variant: str) -> None:
    adapter = opened(endpoint)
    adapter.create("deduplab-lab", layout="blob", variant=variant, durability="fsync")
    before = adapter.counters()["rows_inserted"]
    objects = distinct_objects(20)
    assert adapter.put_many(batch_of(objects)) == 20
    assert adapter.counters()["rows_inserted"] > before
    adapter.put("one", b"\x00more\xff")
    assert adapter.get("one") == b"\x00more\xff"
    assert adapter.count() == 21
    assert adapter.engine_reading().total_bytes > 20 * 8192
    settings = adapter.identity().configuration
    assert settings["mutations_sync"] == "2"
    assert "clickhouse-connect" in settings
    assert "chdb" not in settings
    adapter.destroy()
    adapter.close()


def test_a_server_must_prove_who_it_is(endpoint: Endpoint) -> None:
    with pytest.raises(SystemUnavailable, match=r"did not prove who it is.*ssl_ca"):
        opened(replace(endpoint, options={"tls": "verify"}))


def test_a_wrong_password_is_told(endpoint: Endpoint) -> None:
    with pytest.raises(LoginRefused, match=r"refuses the login of user 'lab'.*check the user"):
        opened(replace(endpoint, secret=Secret("wrong")))


def test_nobody_there_is_told() -> None:
    with pytest.raises(SystemUnavailable, match=r"127\.0\.0\.1 can't be reached"):
        opened(Endpoint(host="127.0.0.1", port=1))


def test_a_server_that_goes_away_is_unavailable_and_a_refusal_a_failure(tmp_path: Path) -> None:
    server = ChdbBehindHttp(tmp_path, variant="", durability="fsync")
    try:
        adapter = opened(server.start())
        adapter.create("deduplab-lab", layout="blob", variant="mergetree", durability="fsync")
        with pytest.raises(OperationFailed, match=r"clickhouse refused: .*Code: "):
            adapter._engine.run("SELECT nothing FROM nowhere")
    finally:
        server.stop()
    with pytest.raises(SystemUnavailable, match="can't be reached"):
        adapter.put("key", b"payload")
    adapter.close()
