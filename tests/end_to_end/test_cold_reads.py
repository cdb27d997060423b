"""Cold reads: an instance that is restarted on purpose counts, and only if it was really cold."""

from __future__ import annotations

import dataclasses
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from deduplab import config, registry
from deduplab.adapter import Adapter
from deduplab.adapters.plain import PlainAdapter
from deduplab.adapters.single_instance import SingleInstanceAdapter
from deduplab.analysis import rows
from deduplab.batch import Batch
from deduplab.bench import matrix
from deduplab.bench.cold import made_cold, require_possible
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.proof import InvalidError
from deduplab.bench.rig import Rig
from deduplab.cell import CellResult, RemoteAddress
from deduplab.errors import Unsupported
from deduplab.model import Identity, Layer, Measurement, OutcomeKind, Ruler, Stage
from deduplab.remote import RemoteServer
from deduplab.server import Endpoint, Server
from deduplab.store import Run
from deduplab.testing import faulty_class
from deduplab.trace import ENGINE_PREFIX, FILES_COLUMN, REPLICAS_COLUMN, Trace
from deduplab.units import KIB
from tests.end_to_end.conftest import Cli
from tests.end_to_end.test_lifecycle import bring_up_with

PLAN = """\
name = "cold"
repetitions = 1
durability = "{durability}"
trace_hz = 20
stages = ["bulk", "read", "cold-read", "insert", "read", "cold-read", "delete"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
logical_size = "1 MiB"
object_size = "8 KiB"
insert_share = "25 %"
read_objects = 16
[rest]
window_s = 0.1
interval_s = 0.02
deadline_s = 20
[systems.{system}]
"""


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return an empty directory on a disk; that of pytest may be in memory."""
    directory = Path(tempfile.mkdtemp(prefix="deduplab-test-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory)


def measured(
    directory: Path, adapter_class: type[Adapter], instance: Path | None = None
) -> CellResult:
    """Run a cell of the plan on an engine of this process."""
    text = PLAN.format(system="single_instance", durability="fsync")
    (cell,) = matrix.cells(config.parse(text, origin="cold.toml"))
    instance = instance or directory / "instance"
    instance.mkdir(exist_ok=True)
    result, _ = run_cell(
        cell,
        instance,
        ManifestCache(directory / "manifests"),
        bring_up=bring_up_with(adapter_class),
    )
    return result


def cold_reads(result: CellResult) -> list[Measurement]:
    return [entry for entry in result.measurements if entry.stage is Stage.COLD_READ]


def test_a_cold_read_tells_what_was_cached_before_and_after(disk: Path) -> None:
    result = measured(disk, SingleInstanceAdapter)
    assert result.outcome.ok, result.outcome
    first, second = cold_reads(result)
    assert first.cold is not None
    assert second.cold is not None
    assert first.cold.file_bytes >= 512 * KIB
    assert first.cold.resident_before_bytes >= 512 * KIB
    assert first.cold.resident_after_bytes == 0
    assert first.cold.resident_at_read_bytes < first.cold.resident_before_bytes
    assert first.cold.restart_ns > 0
    assert second.cold.resident_before_bytes > first.cold.resident_before_bytes / 2
    assert second.cold.resident_after_bytes == 0
    assert (first.objects, first.acknowledged, first.logical_bytes) == (16, 16, 128 * KIB)
    assert all(entry.cold is None for entry in result.measurements if entry not in (first, second))


def test_nothing_in_memory_is_claimed_to_be_cold(tmp_path: Path) -> None:
    """The stage says so, and the others go on with the instance as it was."""
    directory = Path(tempfile.mkdtemp(prefix="deduplab-test-", dir="/dev/shm"))
    try:
        result = measured(tmp_path, SingleInstanceAdapter, directory)
    finally:
        shutil.rmtree(directory)
    assert result.outcome.ok
    for entry in cold_reads(result):
        assert entry.outcome.kind is OutcomeKind.UNSUPPORTED
        assert "lies on tmpfs" in entry.outcome.reason
        assert entry.operations == 0


def test_what_is_no_restart_of_ours_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    server = RemoteServer(RemoteAddress("h", 1, "u"), tmp_path, "fsync")
    adapter = SingleInstanceAdapter()
    rig = Rig(adapter, server, adapter.capabilities, (), None, Endpoint(host="h", port=1))
    with pytest.raises(Unsupported, match="a server that runs already is not ours to restart"):
        require_possible(rig)
    with pytest.raises(Unsupported, match="is not ours to restart"):
        server.restart()


def test_a_restart_that_nobody_planned_stays_invalid(disk: Path) -> None:
    result = measured(disk, faulty_class(SingleInstanceAdapter, "another_instance", at=5))
    assert result.outcome.kind is OutcomeKind.INVALID
    assert "another instance answers before the planned restart" in result.outcome.reason


class Forgetful(SingleInstanceAdapter):
    """Comes back from a restart without its last object."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def put_many(self, batch: Batch) -> int:
        self._last = batch.keys[-1]
        return super().put_many(batch)

    def open(self, endpoint: Endpoint) -> None:
        super().open(endpoint)
        if self._last:
            self.delete([self._last])


class Another(SingleInstanceAdapter):
    """Is another instance after each restart."""

    opened = 0

    def open(self, endpoint: Endpoint) -> None:
        super().open(endpoint)
        self.opened += 1

    def identity(self) -> Identity:
        found = super().identity()
        return dataclasses.replace(found, instance=f"{found.instance}-{self.opened}")


class Clinging(PlainAdapter):
    """Leaves its files mapped and read when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[mmap.mmap] = []
        self._where: Path | None = None

    def open(self, endpoint: Endpoint) -> None:
        self._where = endpoint.directory
        super().open(endpoint)

    def close(self) -> None:
        super().close()
        for path in self._where.rglob("*") if self._where else ():
            if path.is_file() and path.stat().st_size >= 8 * KIB:
                with path.open("rb") as file:
                    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                assert sum(held[::4096]) >= 0
                self._held.append(held)


@pytest.mark.parametrize(
    ("adapter_class", "reason"),
    [
        (Forgetful, "cold-read: "),
        (Another, "another instance or configuration answers after the planned restart"),
        (Clinging, "stayed in the page cache though they were dropped"),
    ],
)
def test_what_is_not_the_same_data_cold_does_not_count(
    adapter_class: type[Adapter], reason: str, disk: Path
) -> None:
    result = measured(disk, adapter_class)
    assert result.outcome.kind is OutcomeKind.INVALID
    assert result.outcome.reason.startswith("cold-read: ")
    assert reason in result.outcome.reason


class Immortal(Server):
    """A server that says it was restarted, and was not."""

    def start(self) -> Endpoint:
        (self.workspace / "data").mkdir(exist_ok=True)
        return Endpoint(directory=self.workspace / "data", host="127.0.0.1", port=1)

    def stop(self) -> None:
        """Do nothing."""

    def processes(self) -> tuple[int, ...]:
        return (os.getppid(),)


def test_a_server_that_runs_on_was_not_restarted(disk: Path) -> None:
    server, adapter = Immortal(disk, variant="", durability="fsync"), SingleInstanceAdapter()
    endpoint = server.start()
    adapter.open(endpoint)
    adapter.create("n-1", layout="blob", variant="default", durability="fsync")
    rig = Rig(adapter, server, adapter.capabilities, (), None, endpoint)
    with pytest.raises(InvalidError, match=f"not shut down: process {os.getppid()} runs on"):
        made_cold(rig, adapter.identity())
    adapter.close()


def is_seen_again(trace: Trace, position: int, name: str) -> bool:
    """Whether a column has a value after one that is missing, since the restart began."""
    (begun,) = (
        mark.at_ns for mark in trace.marks if (mark.position, mark.name) == (position, "restart")
    )
    missing = np.isnan(trace.columns[name][trace.at_ns >= begun])
    return bool((~missing[missing.argmax() :]).any())


@pytest.mark.server
@pytest.mark.parametrize(
    "system",
    [
        *("sqlite", "duckdb", "rocksdb", "lmdb", "clickhouse", "chunked"),
        *("postgresql", "mariadb", "redis", "valkey", "kafka", "nats", "minio"),
        *("seaweedfs", "rest"),
    ],
)
def test_every_system_is_cold_and_holds_what_it_held(
    system: str, cli: Cli, tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    """Its tracer, which lost it meanwhile, sees it again."""
    offers = registry.system(system).capabilities()
    plan = tmp_path / "cold.toml"
    text = PLAN.replace('"insert", "read", "cold-read", "delete"', '"delete"')
    text = text.replace("window_s = 0.1", "window_s = 2")  # time for the tracer to connect again
    plan.write_text(text.format(system=system, durability=offers.durability[0]))
    done = cli("run", plan, timeout_s=240, columns=220)
    if done.returncode == 3:
        not_brought_up(system, Exception(done.stderr))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Cold reads" in done.stdout
    run = Run.open(next(root for root in (tmp_path / "runs").iterdir() if root.is_dir()))
    (result,) = run.cells()
    assert result.outcome.ok, result.outcome
    for entry in cold_reads(result):
        assert entry.outcome.ok, entry.outcome
        assert entry.cold is not None
        assert entry.cold.resident_before_bytes > 0
        assert entry.cold.resident_after_bytes <= 64 * KIB
        trace = run.trace(result.cell.cell_id)
        assert trace is not None, result.no_trace
        for name in trace.columns:
            assert not name.startswith(ENGINE_PREFIX) or is_seen_again(trace, entry.position, name)
    page = (run.root / "report.html").read_text()
    assert 'id="cold"' in page


@pytest.mark.server
@pytest.mark.parametrize("system", ["plain", "postgresql", "redis"])
def test_every_member_of_a_replicated_system_is_cold_and_traced(
    system: str, cli: Cli, tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    plan = tmp_path / "cold.toml"
    text = PLAN.replace('"insert", "read", "cold-read", "delete"', '"delete"')
    plan.write_text("replicas = 3\n" + text.format(system=system, durability="fsync"))
    done = cli("run", plan, timeout_s=240)
    if done.returncode == 3:
        not_brought_up(system, Exception(done.stderr))
    assert done.returncode == 0, done.stdout + done.stderr
    run = Run.open(next(root for root in (tmp_path / "runs").iterdir() if root.is_dir()))
    (result,) = run.cells()
    assert result.outcome.ok, result.outcome
    bulk = result.measurements[0].moments[-1].footprint
    members = bulk.reading(Layer.REPLICAS, Ruler.APPARENT)
    assert members is not None
    (entry,) = cold_reads(result)
    assert entry.cold is not None
    # Directories have a length, too, but no pages; of one member alone it would be a third.
    assert 0.7 * members.total_bytes < entry.cold.file_bytes < 1.1 * members.total_bytes
    assert entry.cold.resident_before_bytes > 3 * 512 * KIB
    assert entry.cold.resident_after_bytes <= 64 * KIB
    trace = run.trace(result.cell.cell_id)
    assert trace is not None, result.no_trace
    files, replicas = trace.columns[FILES_COLUMN], trace.columns[REPLICAS_COLUMN]
    both = np.isfinite(files) & np.isfinite(replicas)
    assert both.any()
    # Of samples in which something is written, members may differ by what is under way.
    assert np.median(replicas[both] / files[both]) == pytest.approx(3, rel=0.1)


def test_cold_and_warm_reads_stand_side_by_side_and_are_never_put_together(
    cli: Cli, tmp_path: Path
) -> None:
    plan = tmp_path / "cold.toml"
    plan.write_text(PLAN.format(system="sqlite", durability="fsync"))
    assert cli("run", plan).returncode == 0
    run = Run.open(next(root for root in (tmp_path / "runs").iterdir() if root.is_dir()))
    found = rows(run)
    metrics = {row.metric for row in found if row.stage == "cold-read"}
    assert {"latency_first_ns", "latency_p50_ns", "restart_s", "resident_after_bytes"} <= metrics
    (result,) = run.cells()
    for row in found:
        if row.metric == "latency_first_ns":
            firsts = [
                run.latencies_ns(result.cell.cell_id, entry.position)[0]
                for entry in cold_reads(result)
            ]
            assert row.value in firsts
    p50 = {row.stage: row.value for row in found if row.metric == "latency_p50_ns"}
    assert p50["read"] != p50["cold-read"]
    of_warm = {row.metric for row in found if row.stage == "read"}
    assert not {"latency_first_ns", "restart_s"} & of_warm
