"""In a container the command may be process 1, which adopts what lost its parent."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import command, environment, write_plan

ALONE = ["unshare", "--pid", "--fork", "--mount-proc"]


def test_a_run_that_is_process_one_measures(tmp_path: Path) -> None:
    """Its fork server's parent is process 1 from the start: that does not make it an orphan."""
    if subprocess.run([*ALONE, "true"], capture_output=True, timeout=30).returncode:
        pytest.skip(f"user {os.getuid()} may not make a process namespace: unshare needs root")
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    done = subprocess.run(
        [*ALONE, *command("run", plan, "--json")],
        env=environment(tmp_path) | {"DEDUPLAB_WORKSPACE": str(tmp_path / "workspace")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["cells"]["OK"], told["not_run_cells"]) == (3, 0)
