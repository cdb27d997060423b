"""A PostgreSQL that is killed leaves no shared memory, and nobody else's is touched."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from deduplab.errors import SystemUnavailable
from deduplab.executors.workspace import prepared, sweep
from deduplab.lab.place import Lab
from deduplab.servers import _postgresql_segments as segments
from deduplab.servers._account import make_passable, unprivileged_account
from deduplab.servers.postgresql import PostgresqlServer
from tests.leftovers import own_segments

pytestmark = pytest.mark.server

READY_S = 30.0


@pytest.fixture
def workspace() -> Iterator[Path]:
    """A workspace that unprivileged accounts can pass."""
    with tempfile.TemporaryDirectory(prefix="deduplab-segments-", dir="/var/tmp") as directory:
        yield prepared(Path(directory))


@pytest.fixture
def server(
    workspace: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[PostgresqlServer]:
    """A server that is up, in the directory of an instance whose owner is dead."""
    inner = workspace / "instance-of-nobody" / "instance"
    for directory in (inner.parent, inner):
        make_passable(directory)
    (inner.parent / "owner").touch()
    server = started(inner, not_brought_up)
    yield server
    server.stop()


def started(inner: Path, not_brought_up: Callable[[str, Exception], NoReturn]) -> PostgresqlServer:
    server = PostgresqlServer(inner, variant="default", durability="fsync")
    try:
        server.start()
    except SystemUnavailable as error:
        not_brought_up("postgresql", error)
    return server


def interlock(data: Path) -> int:
    """Return the id of the System V segment that is named in a data directory."""
    return int((data / "postmaster.pid").read_text().splitlines()[6].split()[1])


def is_there(identifier: int) -> bool:
    table = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return identifier in [int(line.split()[1]) for line in table]


def kill_all(server: PostgresqlServer) -> None:
    processes = [psutil.Process(pid) for pid in server.processes()]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=READY_S)


def test_what_a_killed_instance_left_is_swept(workspace: Path, server: PostgresqlServer) -> None:
    identifier = interlock(server.data)
    sweep_while_it_runs = segments.remove_below(server.workspace.parent)
    assert (sweep_while_it_runs, is_there(identifier)) == (0, True)
    kill_all(server)
    assert is_there(identifier), "PostgreSQL removes it itself now: the module can go"
    assert sweep(workspace)[1] == 1
    assert not is_there(identifier)
    assert not own_segments(workspace)


def test_what_a_killed_instance_of_the_lab_left_goes_with_it(
    workspace: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    lab = Lab(workspace)
    with lab.changing():
        instance, owner = lab.claim("postgresql")
        make_passable(instance.workspace)
        server = started(instance.workspace, not_brought_up)
        identifier = interlock(server.data)
        kill_all(server)
        assert is_there(identifier)
        owner.close()
        lab.clean(instance)
    assert not is_there(identifier)
    server.stop()


def test_stopping_a_killed_server_removes_what_it_left(server: PostgresqlServer) -> None:
    identifier = interlock(server.data)
    kill_all(server)
    server.stop()
    assert not is_there(identifier)


@pytest.fixture
def backend(server: PostgresqlServer) -> Iterator[subprocess.Popen[bytes]]:
    """A backend alone, as ``initdb`` runs it, with its segments by names of its own."""
    server.stop()
    (server.data / "pg_dynshmem").unlink()  # a link to what is gone
    (server.data / "pg_dynshmem").mkdir(mode=0o700)
    account = unprivileged_account()
    if account:
        account.own(server.data / "pg_dynshmem")
    command = [str(server.binaries / "postgres"), "--single", "-D", str(server.data)]
    process = subprocess.Popen(
        [*command, "-c", "dynamic_shared_memory_type=posix", "postgres"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=server.data,
        **(account.popen_arguments() if account else {}),
    )
    assert process.stdout is not None
    while b"backend>" not in os.read(process.stdout.fileno(), 4096):
        assert process.poll() is None
    yield process
    process.kill()
    process.communicate()


def dynamic_segments(process: subprocess.Popen[bytes]) -> list[Path]:
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    return [Path(name) for name in sorted(set(re.findall(r"/dev/shm/PostgreSQL\.\d+", maps)))]


def test_segments_in_a_place_that_all_share_are_removed_with_proof_alone(
    server: PostgresqlServer, backend: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    listed = dynamic_segments(backend)
    identifier = interlock(server.data)
    assert len(listed) >= 2, "the control segment, and that of statistics"
    assert segments.remove(server.data) == 0, "somebody is attached"
    backend.send_signal(signal.SIGKILL)
    backend.wait()
    assert all(path.exists() for path in listed)

    shutil.copy(server.data / "postmaster.pid", tmp_path)
    assert segments.remove(tmp_path) == 0, "it belongs to another data directory"
    assert is_there(identifier)
    assert all(path.exists() for path in listed)

    assert segments.remove(server.data) == len(listed) + 1
    assert not is_there(identifier)
    assert not any(path.exists() for path in listed)
    assert segments.remove(server.data) == 0


@pytest.mark.parametrize("text", ["", "1\n", "\n" * 6 + "word\n", "\n" * 6 + "1 word\n"])
def test_a_lock_file_that_names_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    assert segments.remove(tmp_path) == 0


def test_a_killed_initdb_leaves_nothing(
    workspace: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    """All that it runs is killed in the middle, from outside, while the recipe waits for it."""
    inner = workspace / "instance"
    make_passable(inner)
    server = PostgresqlServer(inner, variant="default", durability="fsync")
    try:
        assert server.binaries
    except SystemUnavailable as error:
        not_brought_up("postgresql", error)
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "deduplab.servers._process.ChildProcess.wait",
            lambda child, *, deadline_s: _killed_in_the_middle(child.pid, server.data, seen),
        )
        with pytest.raises(SystemUnavailable, match="initdb ended with exit code -9"):
            server.start()
    assert seen
    assert not is_there(seen[0])


def _killed_in_the_middle(pid: int, data: Path, seen: list[int]) -> int:
    end = time.monotonic() + READY_S
    while not seen:
        assert time.monotonic() < end
        try:
            seen.append(interlock(data))
        except (OSError, IndexError):
            continue
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=READY_S)
    return -signal.SIGKILL
