import os
from pathlib import Path

import pytest

from deduplab.errors import StoreError
from deduplab.runs_folder import find_run
from deduplab.store import Run, RunHeader


def new_run(root: Path, created_unix_ns: int) -> Run:
    header = RunHeader(root.name, "t", "digest", 1, created_unix_ns, (), {})
    return Run.create(root, header, "the plan")


def test_runs_are_found_by_path_id_beginning_and_age(tmp_path: Path) -> None:
    new_run(tmp_path / "quick-1", 5)
    new_run(tmp_path / "quick-2", 4)
    assert find_run(tmp_path, "latest").header.run_id == "quick-1"
    assert find_run(tmp_path, "quick-2").header.run_id == "quick-2"
    assert find_run(tmp_path, str(tmp_path / "quick-2")).header.run_id == "quick-2"
    with pytest.raises(StoreError, match="several runs begin"):
        find_run(tmp_path, "quick")
    with pytest.raises(StoreError, match="no run 'slow'"):
        find_run(tmp_path, "slow")
    with pytest.raises(StoreError, match="no runs in"):
        find_run(tmp_path / "empty", "latest")


def test_runs_of_another_version_do_not_hide_the_latest(tmp_path: Path) -> None:
    old, new = new_run(tmp_path / "old", 1), new_run(tmp_path / "new", 1)
    header = old.root / "run.json"
    header.write_text(header.read_text().replace('"format_version": 1', '"format_version": 99'))
    os.utime(header, ns=(0, 0))
    assert find_run(tmp_path, "latest").root == new.root
    os.utime(header)
    with pytest.raises(StoreError, match="format version 99"):
        find_run(tmp_path, "latest")
