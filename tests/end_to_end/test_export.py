"""Exports by the command line, and the trap: a failed export followed by the clean-up."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from deduplab import volumes
from deduplab.errors import Unsupported
from deduplab.exports.receipts import read_receipts
from deduplab.units import KIB, MIB
from tests.end_to_end.conftest import Cli, command, environment, write_plan
from tests.unit.exported_runs import RUN_ID, finished_run, require_sound

KILLS = 8


def measured(tmp_path: Path, cli: Cli, *systems: str) -> Path:
    plan = write_plan(tmp_path / "p.toml", list(systems or ("null",)))
    return tmp_path / str(json.loads(cli("run", plan, "--json").stdout)["directory"])


def made(tmp_path: Path, name: str = "quick") -> Path:
    """Make a run without measuring it, where the command line finds it."""
    run = finished_run(tmp_path / name)
    (tmp_path / "runs").mkdir(exist_ok=True)
    return run.root.rename(tmp_path / "runs" / name)


def test_a_run_is_exported_read_back_and_told_once_more(tmp_path: Path, cli: Cli) -> None:
    run = measured(tmp_path, cli, "sqlite")
    to = ("--to", "out", "--to", "{run}.tar.gz")
    done = cli("export", *to)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written and read back") == 2
    require_sound(tmp_path / "out" / run.name)
    assert (tmp_path / f"{run.name}.tar.gz").exists()
    again = json.loads(cli("export", run.name, *to, "--json").stdout)
    assert [one["outcome"] for one in again] == ["there already"] * 2
    assert {one["run_id"] for one in again} == {run.name}
    (row,) = json.loads(cli("list", "runs", "--json").stdout)
    assert row["exported"] == f"{tmp_path / 'out'}, {tmp_path / '{run}.tar.gz'}"
    page = cli("report", tmp_path / "out" / run.name, "-o", "page.html")
    assert page.returncode == 0
    assert (tmp_path / "page.html").read_text() == (run / "report.html").read_text()
    tables = cli("trace", tmp_path / "out" / run.name, "--json")
    assert tables.returncode == 0


def test_all_runs_and_what_is_asked_wrongly(tmp_path: Path, cli: Cli) -> None:
    nothing = cli("export", "--all", "--to", "out")
    assert (nothing.returncode, "nothing to export" in nothing.stderr) == (5, True)
    made(tmp_path)
    renamed = made(tmp_path, "another") / "run.json"
    renamed.write_text(renamed.read_text().replace(RUN_ID, "another"))
    refused = cli("export", "--all", "--to", "one.zip")
    assert refused.returncode == 2
    assert "is one archive for 2 runs" in refused.stderr
    assert cli("export", "latest", "--all", "--to", "out").returncode == 2
    assert cli("export", "latest").returncode == 2
    assert cli("export", "latest", "--to", "sftp://host/x").returncode == 2
    assert cli("export", "--all", "--to", "{run}.zip").returncode == 0
    assert {path.name for path in tmp_path.glob("*.zip")} == {f"{RUN_ID}.zip", "another.zip"}


def test_a_failed_export_followed_by_the_clean_up_deletes_nothing(tmp_path: Path, cli: Cli) -> None:
    run = made(tmp_path)
    (tmp_path / "blocked").write_text("no directory")
    failed = cli("export", "--all", "--to", "good", "--to", "blocked/below")
    assert failed.returncode == 5
    assert "1 of 2 exports failed, the first: " in failed.stderr
    assert "Traceback" not in failed.stderr
    for words in (("--to", "blocked/below"), ("--to", "good", "--to", "blocked/below")):
        kept = cli("clean", "--exported", *words, "--yes")
        assert kept.returncode == 5
        assert f"is not at {tmp_path / 'blocked/below'}" in kept.stdout
        assert run.exists()
    unnamed = tmp_path / "runs" / "unnamed"
    shutil.copytree(run, unnamed)
    (unnamed / "receipts.json").unlink()
    assert cli("clean", "--exported", "--to", "good", "--yes").returncode == 5
    assert unnamed.exists()
    assert not run.exists()
    require_sound(tmp_path / "good" / RUN_ID)


def test_only_what_is_exported_as_it_is_now_is_cleaned_away(tmp_path: Path, cli: Cli) -> None:
    """After a good export: the run goes on, the export is damaged or taken away."""
    run = made(tmp_path)
    clean = ("clean", "--exported", "--to", "out", "--yes")
    cell = sorted((run / "cells").iterdir())[0]
    shutil.move(cell, tmp_path / "cell")
    assert cli("export", "--to", "out").returncode == 0
    told = cli(*clean)
    assert (told.returncode, "stays: it is not finished" in told.stdout) == (0, True)
    shutil.move(tmp_path / "cell", cell)
    told = cli(*clean)
    assert (told.returncode, "not any more what was exported" in told.stdout) == (5, True)
    assert cli("export", "--to", "out").returncode == 0

    figures = tmp_path / "out" / RUN_ID / "figures.csv"
    content = figures.read_bytes()
    figures.write_bytes(content[:-1])
    told = cli(*clean)
    assert (told.returncode, "figures.csv has other bytes" in told.stdout) == (5, True)
    figures.write_bytes(content)
    (tmp_path / "out").rename(tmp_path / "away")
    told = cli(*clean)
    assert (told.returncode, "is not at" in told.stdout) == (5, True)
    told = cli("clean", "--exported", "--yes")
    assert (told.returncode, "is not whole at" in told.stdout) == (5, True)
    assert run.exists()
    (tmp_path / "away").rename(tmp_path / "out")
    assert cli(*clean[:-1]).returncode == 5, "nobody answered"
    assert cli(*clean, "--older-than", "100000").returncode == 0
    assert run.exists()
    told = cli(*clean)
    assert (told.returncode, told.stdout.endswith(f"run {RUN_ID} deleted\n")) == (0, True)
    assert list((tmp_path / "runs").iterdir()) == []
    assert cli("clean", "--to", "out").returncode == 2
    assert cli("clean", "--exported", "--run", "x").returncode == 2


def test_a_deletion_that_was_cut_short_leaves_no_run_and_is_ended(tmp_path: Path, cli: Cli) -> None:
    run = made(tmp_path)
    run.rename(run.with_name(f".deleting-{run.name}"))
    assert json.loads(cli("list", "runs", "--json").stdout) == []
    assert cli("clean").returncode == 0
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_damaged_run_is_not_exported_in_silence(tmp_path: Path, cli: Cli) -> None:
    run = made(tmp_path)
    (sorted((run / "cells").iterdir())[0] / "latency-0.npy").unlink()
    refused = cli("export", "--to", "out")
    assert refused.returncode == 5
    assert "is damaged, so it is not exported" in refused.stderr
    assert not (tmp_path / "out").exists()
    taken = cli("export", "--to", "out", "--damaged-too")
    assert taken.returncode == 0
    assert "(1 damaged cells, so no figures)" in taken.stdout
    assert cli("clean", "--exported", "--yes").returncode == 5
    assert run.exists()


def test_a_run_that_is_being_measured_is_not_exported(tmp_path: Path, cli: Cli) -> None:
    run = made(tmp_path)
    with (run / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = cli("export", "--to", "out")
    assert refused.returncode == 5
    assert "is being run by another process" in refused.stderr


@pytest.mark.parametrize("name", ["results", "{run}.tar.gz"])
def test_a_target_that_runs_full_is_told_and_nothing_half_written_stays(
    name: str, tmp_path: Path, cli: Cli, workspace: Path
) -> None:
    run = made(tmp_path)
    # What can't be packed: else an archive would find the room.
    (run / "not_run.json").write_text(json.dumps({"x": os.urandom(1200 * KIB).hex()}))
    place = workspace / "disk"
    place.mkdir(mode=0o711, parents=True)
    try:
        with volumes.mounted("ext4", 16 * MIB, place) as disk:
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                free_bytes = shutil.disk_usage(disk).free
                os.posix_fallocate(file.fileno(), 0, free_bytes - 600 * KIB)
            full = cli("export", "--to", disk / name)
            assert full.returncode == 4, full.stderr
            assert "free some space on that disk" in full.stderr
            assert "Traceback" not in full.stderr
            assert {path.name for path in disk.iterdir()} <= {"ballast", "lost+found", "results"}
            assert not list((disk / "results").glob("*"))
            assert cli("clean", "--exported", "--yes").returncode == 5
            assert run.exists()
            ballast.unlink()
            assert cli("export", "--to", disk / name).returncode == 0
    except Unsupported as error:
        pytest.skip(str(error))
    finally:
        place.rmdir()


def test_an_export_that_is_killed_again_and_again_is_whole_or_does_not_count(
    tmp_path: Path, cli: Cli
) -> None:
    run = made(tmp_path)
    large = run / "set_aside" / f"{'b' * 20}-1" / "latency-0.npy"
    large.parent.mkdir(parents=True)
    large.write_bytes(os.urandom(48 * MIB))
    chance = random.Random(20261130)
    to = ("--to", "out", "--to", "{run}.tar.gz", "--without-parquet")
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command("export", *to), env=environment(tmp_path), cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(chance.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        folder, archive = tmp_path / "out" / RUN_ID, tmp_path / f"{RUN_ID}.tar.gz"
        if folder.exists():
            require_sound(folder)
        if archive.exists():
            subprocess.run(["tar", "-tzf", archive], capture_output=True, timeout=60, check=True)
        receipts = {receipt.target for receipt in read_receipts(run)}
        assert folder.exists() or str(tmp_path / "out") not in receipts
        assert archive.exists() or len(receipts) < 2
    assert killed >= KILLS // 2
    assert cli("export", *to).returncode == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {RUN_ID}
    assert not list(tmp_path.glob(".staging-*"))
    assert not list(run.glob(".*"))
    assert cli("clean", "--exported", *to[:4], "--yes").returncode == 0
