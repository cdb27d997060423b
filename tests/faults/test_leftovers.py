"""What is interrupted or killed leaves nothing: no process, mount, segment, socket or directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from deduplab import pool_directory, registry, volumes
from deduplab.errors import SystemUnavailable
from deduplab.executors.workspace import prepared, sweep
from deduplab.servers import _seaweedfs_sockets, _shared_memory
from tests.faults.processes import marked
from tests.leftovers import own_segments, sockets_of

MARK = "TMPDIR"  # servers, too, are told it, and few other variables
GONE_S = 30.0

SMALL_SUITE = """
import os, sys, time
from pathlib import Path
import pytest
from deduplab import registry, volumes
from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.executors.local import LocalExecutor
from deduplab.executors.workspace import instance_directory, prepared
from deduplab.store import Run, RunHeader

WORKSPACE = prepared(Path(os.environ["DEDUPLAB_WORKSPACE"]))

@pytest.fixture
def up(tmp_path):
    from contextlib import ExitStack
    with ExitStack() as stack:
        for name in ("postgresql", "redis", "rest", "seaweedfs"):
            entry = registry.system(name)
            offers = entry.capabilities()
            directory = stack.enter_context(instance_directory(WORKSPACE))
            if name == "redis":
                place = directory / "disk"
                place.mkdir(mode=0o711)
                try:
                    stack.enter_context(volumes.mounted("ext4", 64 << 20, place))
                    directory = place / "inner"
                    directory.mkdir(mode=0o711)
                except Unsupported:
                    pass
            server = entry.server_class()(
                directory, variant=offers.variant_names()[0], durability=offers.durability[0]
            )
            stack.callback(server.stop)
            try:
                server.start()
            except SystemUnavailable as error:
                print(name, error)
        header = RunHeader("r", "r", "d" * 64, 1, 1, ())
        LocalExecutor(Run.create(tmp_path / "run", header, ""), WORKSPACE, ("rest",))
        yield

def test_in_the_middle(up):
    Path(os.environ["READY"]).touch()
    time.sleep(120)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that unprivileged accounts can pass."""
    with tempfile.TemporaryDirectory(prefix="deduplab-left-", dir="/var/tmp") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


def begun(place: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a small suite in a session of its own; return it in the middle of its test."""
    suite = place / "suite"
    suite.mkdir()
    temporary = place / "temporary"
    temporary.mkdir(mode=0o711)
    (suite / "test_small.py").write_text(SMALL_SUITE)
    ready = place / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)],
        env={
            **os.environ,
            MARK: str(temporary),
            "READY": str(ready),
            "DEDUPLAB_WORKSPACE": str(place / "workspace"),
        },
        cwd=suite,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore it, and so would the small suite.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 90
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(process.communicate()[0])
        time.sleep(0.05)
    return process, str(temporary)


@pytest.mark.server
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_suite_that_is_cut_short_leaves_nothing(how: signal.Signals, place: Path) -> None:
    process, mark = begun(place)
    workspace = place / "workspace"
    running = marked(MARK, mark)
    sockets = sockets_of(running)
    assert any("rest_server" in " ".join(one.cmdline()) for one in running), "no server is seen"
    try:
        os.kill(process.pid, how)
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(running, timeout=GONE_S)
        assert not alive, [one.cmdline() for one in alive]
        assert not marked(MARK, mark)
        deadline = time.monotonic() + GONE_S
        while mounts_below(place) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not mounts_below(place)
    finally:
        for left in marked(MARK, mark):
            left.kill()
        volumes.unmount_below(place)
    if how is signal.SIGKILL:
        # What only a directory can hold is swept by the next start.
        sweep(prepared(workspace))
        pool_directory.sweep(place / "temporary")
        _seaweedfs_sockets.sweep()
    assert not list(workspace.iterdir())
    assert not own_segments(workspace)
    assert not [path for path in (place / "temporary").iterdir() if path.name[:7] != "pytest-"]
    assert not [path for path in sockets if path.exists()]


def mounts_below(place: Path) -> list[Path]:
    return [point for point in volumes.mount_points() if point.is_relative_to(place)]


@pytest.mark.server
def test_a_killed_postgresql_leaves_no_segment_once_it_is_stopped(
    place: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    entry = registry.system("postgresql")
    server = entry.server_class()(place, variant="default", durability="fsync")
    try:
        server.start()
    except SystemUnavailable as error:
        not_brought_up("postgresql", error)
    try:
        assert own_segments(place), "its segments lie elsewhere"
        for pid in server.processes():
            os.kill(pid, signal.SIGKILL)
    finally:
        server.stop()
    assert not own_segments(place)


def test_a_directory_in_memory_goes_once_its_instance_is_gone(tmp_path: Path) -> None:
    memory, instance = tmp_path / "memory", tmp_path / "instance-1" / "volume"
    memory.mkdir()
    instance.mkdir(parents=True)
    made = _shared_memory.make(instance, None, memory)
    assert made is not None
    (made / "mmap.1").write_bytes(b"segment")
    assert _shared_memory.sweep(memory) == 0
    instance.rmdir()
    assert _shared_memory.sweep(memory) == 0, "the volume's mount can't be seen by everybody"
    instance.parent.rmdir()
    assert _shared_memory.sweep(memory) == 1
    assert not list(memory.iterdir())


def test_a_pool_directory_of_a_live_process_stays(tmp_path: Path) -> None:
    dead = tmp_path / "pymp-dead"
    foreign = tmp_path / "pymp-foreign"
    for directory in (dead, foreign):
        directory.mkdir()
        (directory / "listener-x").touch()
    (dead / "deduplab-owner").touch()
    claimed = pool_directory.claim()
    assert pool_directory.sweep(claimed.parent) == 0
    assert pool_directory.sweep(tmp_path) == 1
    assert not dead.exists()
    assert foreign.exists(), "what bears no mark of ours is not ours"
    assert claimed.exists()
