"""A disk that runs full in the middle of a stage: said as such, not tried again, nothing counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import volumes
from deduplab.adapters import _mariadb_connector, _pgwire, _resp
from deduplab.adapters._rest_refusal import Refused
from deduplab.analysis import rows
from deduplab.bench.runner import Silent, run_campaign
from deduplab.errors import DeduplabError, DiskSpaceError, SystemUnavailable, Unsupported
from deduplab.executors.local import LocalExecutor
from deduplab.executors.workspace import sweep
from deduplab.model import OutcomeKind, Stage
from deduplab.store import Run
from deduplab.units import KIB, MIB
from tests.faults.campaigns import SILENT, Here, new_run, no_fault
from tests.faults.cells import EMBEDDED, SERVERS, cell_of, plan_of

DISK_BYTES = 512 * MIB
LEFT_BYTES = 2 * MIB


@pytest.fixture
def disk(workspace: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = workspace / "disk"
    place.mkdir(mode=0o711)
    try:
        with volumes.mounted("ext4", DISK_BYTES, place) as directory:
            yield directory
    except Unsupported as error:
        pytest.skip(str(error))


class Ballast:
    """Fills a disk up, but for a little, when the first stage begins."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "ballast"

    def notify(self, position: int, stage: Stage) -> None:
        if self.path.exists():
            return
        with self.path.open("wb") as file:
            free_bytes = shutil.disk_usage(self.path.parent).free
            os.posix_fallocate(file.fileno(), 0, free_bytes - LEFT_BYTES)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("system", [*SERVERS, *EMBEDDED])
def test_a_disk_that_runs_full_is_told_as_that(
    system: str,
    disk: Path,
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    cells = (cell_of(system, Stage.BULK, size="16 MiB", batch="512 KiB"), cell_of(system))
    run = new_run(tmp_path / "run", cells, plan_of(system))
    ballast = Ballast(disk)
    full = Here(run, disk, lambda attempt: (ballast.notify, no_fault(attempt)[1]))
    run_campaign(run, cells[:1], full, SILENT)
    if run.not_run():
        not_brought_up(system, SystemUnavailable(run.not_run()[cells[0].cell_id]))
    result = run.cell(cells[0].cell_id)
    assert result.outcome.kind is OutcomeKind.FAILED
    assert result.outcome.reason.startswith("bulk: DiskSpaceError: the disk is full: ")
    assert "--workspace" in result.outcome.reason
    assert result.attempts == 1
    assert not any(measurement.outcome.ok for measurement in result.measurements)
    assert not [row for row in rows(run) if row.ok]

    ballast.path.unlink()
    assert run_campaign(run, cells, Here(run, disk), SILENT).ended == {OutcomeKind.OK: 1}


class Filler(Silent):
    """Progress that fills the disk up when the first stage begins."""

    def __init__(self, disk: Path) -> None:
        self.ballast = Ballast(disk)

    def stage_began(self, position: int, stage: Stage) -> None:
        self.ballast.notify(position, stage)


@pytest.mark.parametrize("system", ["sqlite", "lmdb"])
def test_a_disk_that_stays_full_ends_the_run_and_fails_no_cell(
    system: str, disk: Path, tmp_path: Path
) -> None:
    """Else every cell that is left would be committed as failed, and none measured again."""
    cells = (cell_of(system, size="16 MiB", batch="512 KiB"), cell_of(system))
    run = new_run(tmp_path / "run", cells, plan_of(system))
    filler = Filler(disk)
    for _ in range(2):  # in the middle of a cell, and before one
        with pytest.raises(DiskSpaceError, match="the same command goes on"):
            run_campaign(run, cells, LocalExecutor(run, disk, (system,)), filler)
        assert not run.committed_ids()
        sweep(disk)
        assert not list(disk.glob("instance-*"))
    filler.ballast.path.unlink()
    executor = LocalExecutor(run, disk, (system,))
    assert run_campaign(run, cells, executor, SILENT).ended == {OutcomeKind.OK: 2}


def test_a_full_disk_of_results_ends_the_run_as_a_full_workspace_does(
    disk: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(plan_of("null").replace("repetitions = 1", "repetitions = 30"))
    places = ("--workspace", tmp_path / "workspace", "--runs", disk / "runs")
    command = list(map(str, (sys.executable, "-m", "deduplab", "run", plan, *places)))

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    for left_bytes in (0, 400 * KIB):  # from the start on, and in the middle
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            with suppress(OSError):
                while file.write(bytes(64 * KIB)):
                    pass
            file.truncate(file.tell() - left_bytes)
        full = run()
        assert full.returncode == 4, full.stdout + full.stderr
        assert "free some space on that disk" in full.stderr
        assert "Traceback" not in full.stderr
        ballast.unlink()
    (found,) = (disk / "runs").glob("[!.]*")
    committed = len(Run.open(found).committed_ids())
    assert committed > 0
    gone_on = run()
    assert gone_on.returncode == 0, gone_on.stderr
    assert f"going on with {found.name}: {committed} of" in gone_on.stdout


@pytest.mark.parametrize(
    "error",
    [
        _pgwire.translated("53100", "could not extend file: No space left on device"),
        _mariadb_connector.translated(1021, "HY000", "Disk full (/tmp); waiting"),
        _mariadb_connector.translated(1114, "HY000", "The table 'objects' is full"),
        _resp.translated("MISCONF Errors writing to the AOF file: No space left on device"),
        Refused(507, "storage-full", "database or disk is full").translated("put"),
    ],
)
def test_a_servers_own_words_for_a_full_disk_are_known(error: DeduplabError) -> None:
    assert isinstance(error, DiskSpaceError)


def test_other_refusals_are_none_of_a_full_disk() -> None:
    assert not isinstance(_pgwire.translated("53200", "out of memory"), DiskSpaceError)
    assert not isinstance(_mariadb_connector.translated(1062, "23000", "x"), DiskSpaceError)
    assert not isinstance(_resp.translated("MISCONF other"), DiskSpaceError)
