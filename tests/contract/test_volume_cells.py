"""Cells and runs on volumes: known answers, engines and servers, and a run that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from deduplab import config
from deduplab.bench import cold, matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import Rig
from deduplab.cell import CellResult
from deduplab.errors import SystemUnavailable
from deduplab.model import (
    DEDUPE,
    ColdStart,
    Identity,
    Layer,
    Measurement,
    OutcomeKind,
    Ruler,
    Stage,
)
from deduplab.runs_folder import find_run
from deduplab.store import Run
from deduplab.units import MIB
from deduplab.volumes import direct_reads, mount_points, mounted
from tests.contract.loop_mounts import (
    GONE_S,
    KINDS,
    SHARING,
    Refuse,
    left_in,
    loop_devices,
    skip_unless_possible,
    wait_until,
)

PLAN = """\
name = "v"
repetitions = 1
volume = "{kind}"
{keys}
stages = [{stages}]
[data]
payloads = ["{payload}"]
grades = ["U0", "U50"]
distances = ["shuffled"]
logical_size = "4 MiB"
object_size = "32 KiB"
insert_share = "25 %"
batch_size = "1 MiB"
[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 20
[systems.{system}]
"""


@pytest.fixture(scope="module", autouse=True)
def possible(not_brought_up: Refuse) -> None:
    skip_unless_possible(not_brought_up)


def cells_on(
    kind: str, tmp_path: Path, system: str, keys: str = "", payload: str = "random_binary",
    stages: str = '"bulk", "reclaim"', control: bool = True,
) -> dict[int, CellResult]:  # fmt: skip
    """Run a cell of U50, and its control U0, on a volume, here in this process."""
    text = PLAN.format(kind=kind, keys=keys, payload=payload, stages=stages, system=system)
    found = {}
    for number, cell in enumerate(matrix.cells(config.parse(text, origin="v.toml"))):
        instance = tmp_path / f"i{number}"
        instance.mkdir(mode=0o711)
        result, _ = run_cell(cell, instance, ManifestCache(tmp_path / "manifests"))
        assert result.outcome.ok, result.outcome
        found[cell.bulk.grade_percent] = result
    assert not left_in(tmp_path)
    return found


def grown(result: CellResult, moment: str, layer: Layer = Layer.VOLUME) -> int:
    """How much a layer grew until a moment of bulk, or of what came after it."""
    assert result.baseline is not None
    base = result.baseline.footprint.reading(layer)
    found = next(
        one.footprint.reading(layer)
        for entry in result.measurements
        for one in entry.moments
        if one.name == moment
    )
    assert base is not None
    assert found is not None
    return found.total_bytes - base.total_bytes


def eta(cells: dict[int, CellResult], moment: str, layer: Layer = Layer.VOLUME) -> float:
    """Dedup efficiency of U50, by the formulas of the method.

    How full the nodes of btrfs' trees are depends on when it wrote them out. With few
    files their share is small, so that this does not show.
    """
    manifests = {grade: cell.bulk_manifest for grade, cell in cells.items()}
    first, copied = manifests[0], manifests[50]
    assert first is not None
    assert copied is not None
    u = grown(cells[0], moment, layer) / first.logical_bytes
    c = (grown(cells[50], moment, layer) - u * copied.unique_bytes) / copied.duplicate_bytes
    return 1 - c / u


def dedupe_of(result: CellResult) -> Measurement:
    return next(entry for entry in result.measurements if entry.mode == DEDUPE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_volume_is_read_cold_past_the_cache_below_for_so_long(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop device goes past it from the restart to the last read, and at no other time."""
    seen = []
    real = cold.made_cold

    def watched(rig: Rig, expected: Identity, *others: Any) -> tuple[ColdStart, Identity]:
        seen.append(is_direct(tmp_path))
        return real(rig, expected, *others)

    monkeypatch.setattr("deduplab.bench.stages.made_cold", watched)
    stages = '"bulk", "cold-read", "insert", "delete"'
    found = cells_on(kind, tmp_path, "sqlite", stages=stages)[50].measurements[1]
    assert seen == [True, True]
    assert found.cold is not None
    assert found.cold.resident_before_bytes > MIB
    assert found.cold.resident_after_bytes == 0


def test_a_volume_goes_through_the_cache_again_after_direct_reads(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    directory.mkdir()
    with mounted("ext4", 64 * MIB, directory):
        (directory / "file").write_bytes(b"x" * MIB)
        assert not is_direct(tmp_path)
        with direct_reads(directory):
            assert is_direct(tmp_path)
            assert (directory / "file").read_bytes() == b"x" * MIB
        assert not is_direct(tmp_path)
    with (
        pytest.raises(SystemUnavailable, match="no file system is mounted at"),
        direct_reads(directory),
    ):
        pass


def is_direct(root: Path) -> bool:
    """Whether the only loop device below a directory goes past the page cache."""
    (backing,) = (
        path
        for path in Path("/sys/block").glob("loop*/loop/backing_file")
        if path.read_text().startswith(str(root))
    )
    return (backing.parent / "dio").read_text().strip() == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_plain_on_a_volume_is_the_known_answer(kind: str, tmp_path: Path) -> None:
    cells = cells_on(kind, tmp_path, "plain", "dedupe = true" if kind in SHARING else "")
    logical_bytes = 4 * MIB
    for moment in ("flush", "rest"):
        assert eta(cells, moment) == pytest.approx(0, abs=0.02)
        assert eta(cells, moment, Layer.FILES) == pytest.approx(0, abs=0.01)
        assert 1 <= grown(cells[0], moment) / logical_bytes < 1.15
    for result in cells.values():
        for entry in result.measurements[0].moments:
            assert Layer.VOLUME not in {missing.layer for missing in entry.footprint.missing}
            assert entry.footprint.reading(Layer.FILES, Ruler.APPARENT) is not None
    if kind not in SHARING:
        return
    assert dedupe_of(cells[50]).outcome.ok
    # A copy still costs its file's own metadata, and nothing else.
    assert 0.85 < eta(cells, DEDUPE) <= 1
    assert eta(cells, DEDUPE, Layer.FILES) == pytest.approx(0, abs=0.01)
    halved = grown(cells[50], DEDUPE) / grown(cells[50], "rest")
    assert halved == pytest.approx(0.5, abs=0.06)


def test_a_volume_that_compresses_shows_it_in_u(tmp_path: Path) -> None:
    cells = cells_on("btrfs-zstd", tmp_path, "plain", payload="text_document")
    assert grown(cells[0], "rest") < 0.8 * grown(cells[0], "rest", Layer.FILES)
    assert eta(cells, "rest") == pytest.approx(0, abs=0.05)


def test_ext4_offers_no_dedupe_and_the_chain_goes_on(tmp_path: Path) -> None:
    text = PLAN.format(
        kind="xfs", keys="dedupe = true", payload="random_binary",
        stages='"bulk", "reclaim", "delete"', system="plain",
    ).replace('volume = "xfs"', 'volumes = ["ext4", "xfs"]')  # fmt: skip
    cell = next(
        cell
        for cell in matrix.cells(config.parse(text, origin="v.toml"))
        if cell.volume == "ext4" and cell.bulk.grade_percent
    )
    result, _ = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
    assert result.outcome.ok
    assert dedupe_of(result).outcome.kind is OutcomeKind.UNSUPPORTED
    assert "ext4 can't share blocks" in dedupe_of(result).outcome.reason
    assert result.measurements[-1].stage is Stage.DELETE


@pytest.mark.parametrize("system", ["sqlite", "rocksdb", "postgresql", "mariadb"])
def test_engines_and_servers_live_on_a_volume(
    system: str, tmp_path_factory: pytest.TempPathFactory, not_brought_up: Refuse
) -> None:
    root = Path("/var/tmp") / f"deduplab-volumes-{os.getpid()}-{system}"  # reachable for nobody
    root.mkdir(mode=0o711)
    stages = '"bulk", "read", "reclaim", "insert", "delete", "reclaim", "refill"'
    try:
        cells = cells_on("btrfs", root, system, "dedupe = true", stages=stages, control=False)
    except AssertionError as error:
        if "SystemUnavailable" in str(error):
            not_brought_up(system, error)
        raise
    finally:
        subprocess.run(["rm", "-r", str(root)], check=True)
    for result in cells.values():
        assert grown(result, "rest", Layer.FILES) > 4 * MIB
        assert dedupe_of(result).outcome.ok
        modes = [entry.mode for entry in result.measurements if entry.stage is Stage.RECLAIM]
        assert modes.count(DEDUPE) == 1, "an emptied container has nothing to share"


# Runs


def write_plan(path: Path) -> Path:
    text = PLAN.format(
        kind="xfs", keys="dedupe = true", payload="random_binary",
        stages='"bulk", "reclaim"', system="postgresql",
    )  # fmt: skip
    path.write_text(text)
    return path


def test_a_killed_run_leaves_no_volume_and_goes_on(tmp_path: Path, not_brought_up: Refuse) -> None:
    workspace = Path("/var/tmp") / f"deduplab-volumes-{os.getpid()}-run"
    plan = write_plan(tmp_path / "p.toml")
    arguments = [sys.executable, "-m", "deduplab", "run", str(plan)]
    environment = {
        **os.environ,
        "DEDUPLAB_RUNS": str(tmp_path / "runs"),
        "DEDUPLAB_WORKSPACE": str(workspace),
    }

    def is_mounted() -> bool:
        """Whether there is a volume, and its image is deleted: one in the making is swept later."""
        return bool(loop_devices(workspace)) and not list(workspace.rglob("*.image"))

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments, env=environment, cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        for victim in ("the run", "the cell's process"):
            process = start()
            assert wait_until(is_mounted), "no volume was ever made"
            inside = next(iter(processes_on(workspace)), None)
            if victim == "the run" or inside is None:
                os.kill(process.pid, signal.SIGKILL)
            else:
                os.kill(inside, signal.SIGKILL)
                process.terminate()
            process.wait(GONE_S)
            assert wait_until(lambda: not loop_devices(workspace)), f"{victim} left a loop device"
            assert not left_in(workspace)
        done = subprocess.run(
            arguments, env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        run: Run = find_run(tmp_path / "runs", "latest")
        results = list(run.cells())
        assert any(result.outcome.ok for result in results)
        assert not list(workspace.glob("instance-*"))
        assert not left_in(workspace)
    finally:
        subprocess.run(["rm", "-rf", str(workspace)], check=True)


def processes_on(workspace: Path) -> list[int]:
    """Processes that see a volume of this workspace, the one that made it first."""
    found = []
    for process in psutil.process_iter():
        places = mount_points(str(process.pid))
        if any(place.is_relative_to(workspace) for place in places):
            found.append(process.pid)
    return sorted(found)
