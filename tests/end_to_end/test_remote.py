"""A server that runs already: only the lab's namespace is touched, and its files are missing."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deduplab import config
from deduplab.analysis import rows
from deduplab.analysis.tables import findings_of
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.errors import PlanError
from deduplab.executors.workspace import instance_directory, prepared
from deduplab.model import Layer, RemoteAddress
from deduplab.remote import resolve
from deduplab.report import html
from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from deduplab.store import Run, RunHeader
from tests.end_to_end.conftest import PLAN, workspace_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Endpoint]:
    workspace = prepared(workspace_of(tmp_path))
    with instance_directory(workspace) as directory:
        running = PostgresqlServer(directory, variant="default", durability="fsync")
        try:
            yield running.start()
        finally:
            running.stop()
    shutil.rmtree(workspace)


@pytest.mark.server
def test_a_server_that_runs_already_is_measured_by_what_it_says(
    server: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.secret is not None
    assert server.host is not None
    assert server.port is not None
    assert server.user is not None
    monkeypatch.setenv("LAB_SECRET", server.secret.reveal())
    table = PLAN.format(repetitions=1, systems="[systems.postgresql]")
    remote = RemoteAddress(server.host, server.port, server.user, "postgres", "env:LAB_SECRET")
    cells = [
        dataclasses.replace(cell, remote=remote)
        for cell in matrix.cells(config.parse(table, origin="p.toml"))
    ]
    ids = tuple(cell.cell_id for cell in cells)
    run = Run.create(tmp_path / "run", RunHeader("remote", "small", "d" * 64, 1, 1, ids), table)
    for cell in cells:
        result, latencies_ns = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
        assert result.outcome.ok, result.outcome
        run.commit(result, latencies_ns)
    footprint = result.measurements[0].moments[-1].footprint
    assert footprint.reading(Layer.FILES) is None
    assert Layer.FILES in {missing.layer for missing in footprint.missing}
    engine = footprint.reading(Layer.ENGINE)
    assert engine is not None
    assert engine.total_bytes > 256 * 1024
    assert result.measurements[0].storage_write_bytes is None
    (found,) = findings_of(rows(run))
    assert found.layer == "ENGINE"
    shuffled = found.at("shuffled", "rest")
    assert shuffled is not None
    assert shuffled.dedup_efficiency is not None
    assert shuffled.dedup_efficiency.value is not None
    assert "postgresql (layer ENGINE)" in html.render(run)
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.secret.reveal(),
        dbname="postgres",
    ) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'deduplab%'"
        ).fetchone()
    assert left == (0,), "the namespace is dropped at the end"


def test_a_secret_that_is_not_there_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_SECRET", raising=False)
    with pytest.raises(PlanError, match="LAB_SECRET is not set"):
        resolve("env:LAB_SECRET")
    with pytest.raises(PlanError, match="can't be read"):
        resolve(f"file:{tmp_path / 'none'}")
    (tmp_path / "secret").write_text("a secret\nanother line\n")
    assert resolve(f"file:{tmp_path / 'secret'}").reveal() == "a secret"
    assert "a secret" not in repr(resolve(f"file:{tmp_path / 'secret'}"))
