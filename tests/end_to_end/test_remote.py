"""Servers that run already: only the lab's namespace is touched, and their files are missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deduplab import config, registry
from deduplab.analysis import rows
from deduplab.analysis.tables import findings_of
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import NAMESPACE
from deduplab.cell import Cell, CellResult
from deduplab.errors import PlanError, SystemUnavailable
from deduplab.executors.workspace import instance_directory, prepared
from deduplab.model import Layer, OutcomeKind, Stage
from deduplab.remote import resolve
from deduplab.report import html
from deduplab.server import Endpoint, Server
from deduplab.servers import _private_server
from deduplab.servers.redis import RedisServer
from deduplab.servers.rest import RestServer
from deduplab.store import Run, RunHeader
from deduplab.testing import RawLook
from tests.contract.gate import gate
from tests.contract.looks import LOOKS
from tests.end_to_end.conftest import PLAN, workspace_of

SYSTEMS = ("postgresql", "redis", "minio", "kafka", "nats")


@contextmanager
def brought_up(
    tmp_path: Path, kind: type[Server], variant: str
) -> Iterator[tuple[Server, Endpoint]]:
    workspace = prepared(workspace_of(tmp_path))
    try:
        with instance_directory(workspace) as directory:
            running = kind(directory, variant=variant, durability="fsync")
            try:
                yield running, running.start()
            finally:
                running.stop()
    finally:
        shutil.rmtree(workspace)


@pytest.fixture(scope="module", params=SYSTEMS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Endpoint]]:
    entry = registry.system(request.param)
    variant = entry.capabilities().variant_names()[0]
    place = tmp_path_factory.mktemp(request.param)
    with brought_up(place, entry.server_class(), variant) as (_, endpoint):
        yield request.param, endpoint


def table_of(system: str, endpoint: Endpoint, secret: str, **more: str) -> str:
    """Return the tables of a plan, as a user writes them."""
    lines = [
        f"[systems.{system}]",
        f"[systems.{system}.remote]",
        f'host = "{endpoint.host}"',
        f"port = {endpoint.port}",
        f'user = "{endpoint.user}"',
        f'secret = "{secret}"',
        'tls = "off"',
    ]
    if endpoint.database:
        lines.append(f'database = "{endpoint.database}"')
    return "\n".join([*lines, *(f'{name} = "{value}"' for name, value in more.items())])


def plan_of(tables: str) -> str:
    # Pages of 8 KiB, in which PostgreSQL counts, are steps too coarse for 256 KiB.
    plan = PLAN.replace('logical_size = "256 KiB"', 'logical_size = "1 MiB"')
    return plan.format(repetitions=1, systems=tables)


def cells_of(text: str) -> list[Cell]:
    return list(matrix.cells(config.parse(text, origin="remote.toml")))


def revealed(endpoint: Endpoint) -> str:
    assert endpoint.secret is not None
    return endpoint.secret.reveal()


def committed(cells: list[Cell], text: str, tmp_path: Path) -> tuple[Run, list[CellResult]]:
    ids = tuple(cell.cell_id for cell in cells)
    run = Run.create(tmp_path / "run", RunHeader("remote", "small", "d" * 64, 1, 1, ids), text)
    results = []
    for cell in cells:
        result, latencies_ns = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
        assert result.outcome.ok, result.outcome
        run.commit(result, latencies_ns)
        results.append(result)
    return run, results


@pytest.mark.server
@pytest.mark.parametrize("by", ["environment", "file"])
def test_a_plan_measures_a_server_that_runs_already(
    running: tuple[str, Endpoint], by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, endpoint = running
    secret = "env:LAB_SECRET"
    if by == "environment":
        monkeypatch.setenv("LAB_SECRET", revealed(endpoint))
    else:
        (tmp_path / "secret").write_text(revealed(endpoint) + "\n")
        secret = f"file:{tmp_path / 'secret'}"
    text = plan_of(table_of(name, endpoint, secret))
    cells = cells_of(text)
    run, results = committed(cells[:1] if by == "file" else cells, text, tmp_path)
    for result in results:
        footprint = result.measurements[0].moments[-1].footprint
        assert footprint.reading(Layer.FILES) is None
        assert Layer.FILES in {missing.layer for missing in footprint.missing}
        engine = footprint.reading(Layer.ENGINE)
        # MinIO has no size of a bucket for a moment: it is missing, no other number stands in.
        assert (engine is None) is (name == "minio")
        assert engine is None or engine.total_bytes > 128 * 1024
        assert result.measurements[0].storage_write_bytes is None
    if by == "environment":
        page = html.render(run)
        assert revealed(endpoint) not in page
        if name != "minio":
            (found,) = findings_of(rows(run))
            assert found.layer == "ENGINE"
            shuffled = found.at("shuffled", "rest")
            assert shuffled is not None
            assert shuffled.dedup_efficiency is not None
            assert shuffled.dedup_efficiency.value is not None
            assert "(layer ENGINE)" in page
    assert revealed(endpoint) not in "".join(
        path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*.json")
    )
    look: RawLook = LOOKS[name]
    assert not look.exists(endpoint, NAMESPACE), "the namespace is dropped at the end"


@pytest.mark.server
def test_a_namespace_of_somebody_else_is_left_alone(
    running: tuple[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, endpoint = running
    look: RawLook = LOOKS[name]
    monkeypatch.setenv("LAB_SECRET", revealed(endpoint))
    look.make_foreign(endpoint, NAMESPACE)
    cell = cells_of(plan_of(table_of(name, endpoint, "env:LAB_SECRET")))[0]
    before = look.count(endpoint, NAMESPACE) if name != "postgresql" else 0
    result, _ = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
    assert result.outcome.kind is OutcomeKind.FAILED
    assert "NamespaceRefused" in result.outcome.reason
    assert result.measurements == ()
    assert look.exists(endpoint, NAMESPACE)
    assert name == "postgresql" or look.count(endpoint, NAMESPACE) == before


def at_last_stage(cell: Cell, action: Callable[[], None]) -> Callable[[int, Stage], None]:
    def notify(position: int, stage: Stage) -> None:
        if position == len(cell.stages) - 1:
            action()

    return notify


@pytest.mark.server
def test_another_instance_with_the_same_data_makes_the_cell_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy, a replica takes over in the last stage: all works, and is no figure."""
    with (
        brought_up(tmp_path, RestServer, "default") as (server, endpoint),
        gate(endpoint) as front,
    ):
        assert endpoint.directory is not None
        front.tokens["a token"] = {"PUT", "GET", "DELETE", "below", "GET /v1/health"}
        monkeypatch.setenv("LAB_SECRET", "a token")
        address = Endpoint(host="127.0.0.1", port=front.server_address[1], user="lab")
        cell = cells_of(plan_of(table_of("rest", address, "env:LAB_SECRET")))[0]

        def replace_it() -> None:
            server.stop()
            (server.workspace / "data" / "instance").unlink()
            front.behind = server.start()

        manifests = ManifestCache(tmp_path / "manifests")
        result, _ = run_cell(cell, tmp_path, manifests, at_last_stage(cell, replace_it))
        assert result.outcome.kind is OutcomeKind.INVALID, result.outcome
        assert "another instance" in result.outcome.reason
        assert all(one.outcome.ok for one in result.measurements)
        result, _ = run_cell(cell, tmp_path, manifests)
        assert result.outcome.ok, result.outcome


@pytest.mark.server
def test_an_instance_that_is_replaced_is_unavailable_for_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Redis at the same port: the login is lost, and nothing goes on as if it were not."""
    with (
        brought_up(tmp_path / "first", RedisServer, "string") as (first, endpoint),
        instance_directory(prepared(tmp_path / "second")) as directory,
    ):
        monkeypatch.setenv("LAB_SECRET", revealed(endpoint))
        cell = cells_of(plan_of(table_of("redis", endpoint, "env:LAB_SECRET")))[0]
        second = RedisServer(directory, variant="string", durability="fsync")

        def replace_it() -> None:
            first.stop()
            monkeypatch.setattr(_private_server, "free_port", lambda: endpoint.port)
            assert second.start().port == endpoint.port

        try:
            with pytest.raises(SystemUnavailable):
                run_cell(cell, tmp_path, ManifestCache(tmp_path), at_last_stage(cell, replace_it))
        finally:
            second.stop()


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
