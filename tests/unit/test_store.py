import dataclasses
import errno
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from deduplab import cell_directory, config, set_aside
from deduplab.bench import matrix
from deduplab.cell import CellResult
from deduplab.cli import campaign
from deduplab.errors import RunExists, StoreError, StoreFull
from deduplab.model import OK
from deduplab.store import Run, RunHeader

PLAN = config.parse(
    'name = "t"\nstages = ["bulk"]\n[data]\npayloads = ["random_binary"]\ngrades = ["U0"]\n'
    'logical_size = "1 MiB"\nobject_size = "8 KiB"\n[systems.plain]\n',
    origin="t.toml",
)
CELL = matrix.cells(PLAN)[0]
RESULT = CellResult(CELL, OK, None, None, None, None, (), 1, 2)


def new_run(root: Path) -> Run:
    header = RunHeader(root.name, "t", "digest", 1, 1, (CELL.cell_id,), {"cpu": "x"})
    return Run.create(root, header, "the plan")


def test_a_cell_comes_back_as_it_was_committed(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {0: np.array([3, 1, 2])})
    again = Run.open(tmp_path / "r")
    assert again.header == run.header
    assert again.plan_text == "the plan"
    assert list(again.cells()) == [RESULT]
    assert again.latencies_ns(CELL.cell_id, 0).tolist() == [3, 1, 2]
    assert again.latencies_ns(CELL.cell_id, 1).size == 0


def test_a_committed_cell_is_never_replaced(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    with pytest.raises(StoreError, match="committed already"):
        run.commit(dataclasses.replace(RESULT, attempts=2), {})
    assert run.cell(CELL.cell_id).attempts == 1


def test_what_a_killed_runner_left_half_written_is_not_a_cell(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    half = tmp_path / "r" / "cells" / f".staging-{CELL.cell_id}-123"
    half.mkdir()
    (half / "cell.json").write_text("{")
    assert run.committed_ids() == frozenset()
    with run.locked():
        assert not half.exists()


def test_a_run_is_held_by_one_runner(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    with (
        run.locked(),
        pytest.raises(StoreError, match="another process"),
        Run.open(tmp_path / "r").locked(),
    ):
        pass


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    path = run.root / "run.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(StoreError, match="format version 99"):
        Run.open(run.root)


def test_a_damaged_cell_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    (run.root / "cells" / CELL.cell_id / "cell.json").write_text("{")
    with pytest.raises(StoreError, match=r"cell\.json"):
        list(run.cells())


def test_bytes_that_are_no_text_are_damage_like_any_other(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    (run.root / "cells" / CELL.cell_id / "checksums.json").unlink()
    for path in (run.root / "cells" / CELL.cell_id / "cell.json", run.root / "run.json"):
        path.write_bytes(path.read_bytes().replace(b'"t"', b'"\xb9"').replace(b"plain", b"\xb9"))
        with pytest.raises(StoreError, match=path.name):
            list(Run.open(run.root).cells())


def test_an_unwritable_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be made"):
        new_run(tmp_path / "file" / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_is_never_made_in_the_place_of_another(tmp_path: Path) -> None:
    first = new_run(tmp_path / "r")
    with pytest.raises(RunExists, match=r"there is a run .*/r already"):
        new_run(tmp_path / "r")
    assert Run.open(tmp_path / "r").header == first.header
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_runs_that_are_begun_in_the_same_second_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000 * 10**9)
    runs = [campaign.new_run(tmp_path / "runs", PLAN, tmp_path) for _ in range(3)]
    first = runs[0].header.run_id
    assert [run.header.run_id for run in runs] == [first, f"{first}-2", f"{first}-3"]
    assert all(run.root.name == run.header.run_id for run in runs)


def test_a_cell_that_was_copied_does_not_count_twice(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    cell = run.root / "cells" / CELL.cell_id
    shutil.copytree(cell, cell.with_name("copy"))
    with pytest.raises(StoreError, match="hold the same cell"):
        list(run.cells())


def test_what_to_do_about_a_damaged_cell_is_said(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    (run.root / "cells" / CELL.cell_id / "cell.json").unlink()
    command = f"deduplab run {run.root / 'plan.toml'} --resume {run.root} --again"
    for read in (run.cell, lambda cell_id: run.latencies_ns(cell_id, 0, operations=3)):
        with pytest.raises(StoreError) as refusal:
            read(CELL.cell_id)
        assert str(refusal.value).endswith(command)


def test_a_cell_that_is_set_aside_is_kept_and_can_be_committed_anew(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    for attempts in (1, 2):
        run.commit(dataclasses.replace(RESULT, attempts=attempts), {0: np.array([attempts])})
        with run.locked():
            aside = run.set_aside(CELL.cell_id)
        assert aside == run.root / "set_aside" / f"{CELL.cell_id}-{attempts}"
        assert run.committed_ids() == frozenset()
    run.commit(dataclasses.replace(RESULT, attempts=3), {})
    assert [cell.attempts for cell in run.cells()] == [3]
    assert run.set_aside_ids() == (CELL.cell_id,) * 2
    for attempts in (1, 2):
        kept = run.root / "set_aside" / f"{CELL.cell_id}-{attempts}"
        assert cell_directory.read_result(kept).attempts == attempts
        assert cell_directory.read_latencies_ns(kept, 0).tolist() == [attempts]


def test_both_directories_of_a_cell_that_is_set_aside_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    synced: list[str] = []
    monkeypatch.setattr(set_aside, "sync_directory", lambda path: synced.append(path.name))
    with run.locked():
        run.set_aside(CELL.cell_id)
    assert synced == ["r", "set_aside", "cells"]


def test_a_cell_is_set_aside_by_who_holds_the_run_and_by_nobody_else(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    with run.locked():
        pass
    with pytest.raises(RuntimeError, match="not held"):
        run.set_aside(CELL.cell_id)
    assert run.committed_ids() == {CELL.cell_id}


def test_a_cell_that_can_not_be_set_aside_stays(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    (run.root / "set_aside").write_text("")
    with run.locked(), pytest.raises(StoreError, match="can't be set aside"):
        run.set_aside(CELL.cell_id)
    assert list(run.cells()) == [RESULT]


def test_a_run_without_its_plan_is_a_clear_error(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    (run.root / "plan.toml").unlink()
    with pytest.raises(StoreError, match=r"plan\.toml can't be read"):
        _ = run.plan_text


def test_a_run_that_can_not_be_held_is_a_clear_error(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    (run.root / "lock").mkdir()  # stands for a file system that became read-only
    with pytest.raises(StoreError, match="can't be written"), run.locked():
        pass


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(errno.ENOSPC, StoreFull, 4), (errno.EDQUOT, StoreFull, 4), (errno.EIO, StoreError, 5)],
)
def test_a_full_disk_of_results_is_told_from_other_failures_and_leaves_nothing(
    number: int, kind: type[StoreError], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "r")

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    before = sorted(path for path in tmp_path.rglob("*"))
    for write in (
        lambda: new_run(tmp_path / "other"),
        lambda: run.commit(RESULT, {0: np.array([1])}),
        lambda: run.keep_not_run({CELL.cell_id: "nobody answers"}),
    ):
        with pytest.raises(kind) as refusal:
            write()
        assert type(refusal.value) is kind
        assert refusal.value.exit_code == code
        assert ("free some space" in str(refusal.value)) == (kind is StoreFull)
    assert sorted(path for path in tmp_path.rglob("*")) == before
