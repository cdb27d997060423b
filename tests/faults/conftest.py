from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deduplab.executors.workspace import prepared
from tests.faults.cells import SERVERS
from tests.faults.processes import inside


@pytest.fixture(params=SERVERS)
def system(request: pytest.FixtureRequest) -> str:
    """Every system of the registry that is a server of its own."""
    return str(request.param)


@pytest.fixture
def workspace() -> Iterator[Path]:
    """A workspace that an unprivileged server account can reach, unlike pytest's directories.

    Nothing may be left in it, neither a process nor an instance.
    """
    path = prepared(Path(tempfile.mkdtemp(prefix="deduplab-faults-", dir="/var/tmp")))
    try:
        yield path
        assert not inside(path)
        assert not list(path.glob("instance-*"))
    finally:
        for process in inside(path):
            process.kill()
        psutil.wait_procs(inside(path), timeout=10)
        shutil.rmtree(path)


@pytest.fixture
def new_instance(workspace: Path) -> Callable[[], Path]:
    """Makes an empty directory for one instance."""
    made: list[Path] = []

    def make() -> Path:
        path = workspace / f"fault-{len(made)}"
        path.mkdir(mode=0o711)
        made.append(path)
        return path

    return make
