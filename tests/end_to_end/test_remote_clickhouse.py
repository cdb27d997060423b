"""A plan that names a ClickHouse server is measured there: here, on chdb behind HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.errors import PlanError
from deduplab.model import Layer
from tests.contract.looks_clickhouse_http import ChdbBehindHttp, HttpLook
from tests.end_to_end.conftest import PLAN

pytestmark = pytest.mark.server
pytest.importorskip("chdb", exc_type=ImportError)
pytest.importorskip("clickhouse_connect", exc_type=ImportError)

ADDRESS = """[systems.{system}]
[systems.{system}.remote]
host = "127.0.0.1"
port = {port}
user = "lab"
secret = "env:LAB_SECRET"
tls = "off"
"""


def test_a_plan_with_an_address_runs_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ChdbBehindHttp(tmp_path, variant="", durability="fsync")
    try:
        endpoint = server.start()
        assert endpoint.secret is not None
        monkeypatch.setenv("LAB_SECRET", endpoint.secret.reveal())
        systems = ADDRESS.format(system="clickhouse", port=endpoint.port)
        plan = config.parse(PLAN.format(repetitions=1, systems=systems), origin="p.toml")
        cell = next(iter(matrix.cells(plan)))
        result, _ = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
        assert result.outcome.ok, result.outcome
        footprint = result.measurements[0].moments[-1].footprint
        assert footprint.reading(Layer.FILES) is None
        engine = footprint.reading(Layer.ENGINE)
        assert engine is not None
        assert engine.total_bytes > 64 * 1024
        left = HttpLook().ask(
            endpoint, "SELECT count() FROM system.databases WHERE name LIKE 'deduplab%'"
        )
        assert left == "0", "the namespace is dropped at the end"
    finally:
        server.stop()


def test_an_embedded_system_without_servers_takes_no_address() -> None:
    systems = ADDRESS.format(system="duckdb", port=1)
    with pytest.raises(PlanError, match="duckdb is no server: it can't be remote"):
        config.parse(PLAN.format(repetitions=1, systems=systems), origin="p.toml")
