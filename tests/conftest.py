"""The whole suite leaves nothing: what it started or made and did not take away fails it, by name.

Processes are found by a variable that they inherit, temporary files by a
directory of the suite's own; servers and their keepers, which get few variables,
by that directory too. Names that products choose in places that all
share are looked at only where nobody else works (continuous integration sets
``CI``), since they tell nobody whose they are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from multiprocessing import util
from pathlib import Path
from typing import Final

import psutil
import pytest

from deduplab import pool_directory
from deduplab.executors.workspace import default_workspace
from deduplab.servers import _seaweedfs_sockets, _shared_memory
from deduplab.volumes import mount_points

pytest_plugins = ("tests.required", "tests.workers")

MARK: Final = "DEDUPLAB_SUITE"
GONE_DEADLINE_S: Final = 15.0
SHARED: Final = (
    ("/dev/shm", "PostgreSQL.*"),
    ("/dev/shm", "deduplab-*"),
    ("/tmp", "dask-scratch-space*"),
    ("/tmp", "hsperfdata_*/*"),
    ("/tmp", "seaweedfs-*.sock"),
    ("/tmp", "weed.*"),
    ("/var/tmp", "deduplab-*"),
)
_BEFORE: pytest.StashKey[set[Path]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Begin: all that is temporary goes below one directory, all processes bear one mark."""
    if MARK in os.environ:
        return  # a worker of the suite, or a suite inside the suite: the outermost one looks
    os.environ[MARK] = uuid.uuid4().hex
    # pytest's own directories stay where they are: it keeps some, and a socket's name has an end.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    directory = tempfile.mkdtemp(prefix="deduplab-suite-")
    Path(directory).chmod(0o711)  # servers that give up root pass through it
    os.environ["TMPDIR"] = tempfile.tempdir = directory
    config.stash[_BEFORE] = _shared()


@pytest.hookimpl(trylast=True)  # after all workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End: wait for what is about to go, then name what is left."""
    before = session.config.stash.get(_BEFORE, None)
    if before is None:
        return
    left = _processes_left()
    directory = Path(tempfile.gettempdir())
    # What was killed on purpose is swept by the next start, which is now.
    pool_directory.sweep(directory)
    _shared_memory.sweep()
    _seaweedfs_sockets.sweep()
    left += [f"mount {place}" for place in mount_points() if _is_ours(place, directory)]
    left += [str(path) for path in directory.iterdir() if not _goes_at_exit(path)]
    if os.environ.get("CI"):
        left += [str(path) for path in sorted(_shared() - before)]
    # After multiprocessing has removed its own directory (at -100).
    util.Finalize(None, shutil.rmtree, (directory,), {"ignore_errors": True}, exitpriority=-200)
    if left:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.section("left behind by the suite", red=True)
            for what in left:
                reporter.write_line(what)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _processes_left() -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            told = process.environ()
            ours = any(told.get(name) == os.environ[name] for name in (MARK, "TMPDIR"))
        except (psutil.Error, OSError):
            continue
        if ours and process.pid not in _above():
            found.append(process)
    _, alive = psutil.wait_procs([p for p in found if not _is_pool(p)], GONE_DEADLINE_S)
    return [f"process {process.pid}: {_command(process)}" for process in alive]


def _above() -> set[int]:
    """Return this process and those that started it."""
    here = psutil.Process()
    return {here.pid, *(parent.pid for parent in here.parents())}


def _is_pool(process: psutil.Process) -> bool:
    """Whether it is multiprocessing's own: it ends with this process."""
    return "multiprocessing" in _command(process)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:200]
    except psutil.Error:
        return "ended"


def _goes_at_exit(path: Path) -> bool:
    """Whether multiprocessing removes it after us."""
    return path == Path(util.get_temp_dir())


def _is_ours(place: Path, directory: Path) -> bool:
    return place.is_relative_to(directory)


def _shared() -> set[Path]:
    found = {path for place, pattern in SHARED for path in Path(place).glob(pattern)}
    return found - {default_workspace()}  # it is there to stay, as long as nothing is in it
