"""What a private PostgreSQL promises beyond the contract of servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import pytest

from deduplab.adapters.postgresql import PostgresqlAdapter
from deduplab.batch import Batch
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint
from deduplab.servers._postgresql_binaries import choose_binaries
from deduplab.servers._process import ChildProcess
from deduplab.servers.postgresql import PostgresqlServer

pytestmark = pytest.mark.server

_GONE_S = 15.0


@pytest.fixture(scope="module", autouse=True)
def _binaries() -> None:
    try:
        choose_binaries("default")
    except SystemUnavailable as error:
        pytest.skip(f"postgresql can't be brought up: {error}")


@pytest.fixture
def new_workspace() -> Iterator[Callable[[], Path]]:
    """Return empty directories that an unprivileged account can reach.

    Those of ``tmp_path`` it can't: pytest closes their parent to others, again
    with every session that starts.
    """
    with ExitStack() as stack:

        def make() -> Path:
            directory = TemporaryDirectory(prefix="deduplab-postgresql-")
            return Path(stack.enter_context(directory))

        yield make


@pytest.fixture
def server(new_workspace: Callable[[], Path]) -> Iterator[PostgresqlServer]:
    instance = PostgresqlServer(new_workspace(), variant="default", durability="fsync")
    yield instance
    instance.stop()


def _processes(numbers: Iterable[int]) -> list[psutil.Process]:
    """Return these processes without those that ended meanwhile."""
    found = []
    for number in numbers:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


def test_the_password_is_nowhere_but_in_the_endpoint(server: PostgresqlServer) -> None:
    endpoint = server.start()
    assert endpoint.secret is not None
    password = endpoint.secret.reveal()
    family = _processes(server.processes())
    assert family[0].pid == server.processes()[0]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # a worker may end at any time
            assert password not in " ".join(process.cmdline())
            assert password not in " ".join(process.environ().values())
    names = ("postgresql.log", "data/postgresql.conf", "data/pg_hba.conf", "data/postmaster.opts")
    for name in names:
        assert password not in (server.workspace / name).read_text()
    assert not (server.workspace / "password").exists()


def test_a_wrong_password_is_refused(server: PostgresqlServer) -> None:
    endpoint = server.start()
    stranger = Endpoint(
        host=endpoint.host, port=endpoint.port, user=endpoint.user, database=endpoint.database
    )
    with pytest.raises(SystemUnavailable, match="password"):
        PostgresqlAdapter().open(stranger)


def test_an_owner_that_is_killed_takes_its_server_with_it(
    new_workspace: Callable[[], Path],
) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from deduplab.servers.postgresql import PostgresqlServer\n"
        "server = PostgresqlServer(Path(sys.argv[1]), variant='default', durability='fsync')\n"
        "server.start()\n"
        "print(*server.processes(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(new_workspace())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        family = _processes([int(word) for word in owner.stdout.readline().split()])
        assert len(family) > 1
        owner.kill()
        _, alive = psutil.wait_procs(family, timeout=_GONE_S)
    for process in alive:
        process.kill()
    assert alive == []


def test_the_server_lives_in_a_session_of_its_own(server: PostgresqlServer) -> None:
    server.start()
    assert os.getsid(server.processes()[0]) != os.getsid(0)


def test_a_restart_keeps_data_and_looks_like_another_run(server: PostgresqlServer) -> None:
    adapter = PostgresqlAdapter()
    adapter.open(server.start())
    adapter.create("restarted", layout="blob", variant="default", durability="fsync")
    adapter.put("key", b"payload")
    before = adapter.identity()
    server.stop()
    with pytest.raises(SystemUnavailable):
        adapter.put("other", b"payload")
    adapter.open(server.start())
    after = adapter.identity()
    assert after.since != before.since
    assert after.instance == before.instance
    adapter.close()


def test_equal_loads_leave_equal_files(new_workspace: Callable[[], Path]) -> None:
    first, second = (_filled_bytes(new_workspace()) for _ in range(2))
    assert abs(first[0] - second[0]) <= 64 * 1024
    assert first[1] == second[1] == 1024 * 1024


def _filled_bytes(workspace: Path) -> tuple[int, int]:
    """Load 4 MiB in a fresh instance; return bytes of all files, and of its WAL."""
    server = PostgresqlServer(workspace, variant="default", durability="fsync")
    adapter = PostgresqlAdapter()
    try:
        adapter.open(server.start())
        adapter.create("loaded", layout="blob", variant="default", durability="fsync")
        data = np.random.default_rng(3).bytes(512 * 8192)
        offsets = np.arange(513, dtype=np.int64) * 8192
        keys = [f"o{index:05d}" for index in range(512)]
        assert adapter.put_many(Batch(keys, memoryview(data), offsets)) == 512
        adapter.flush()
        files = [path for path in server.data.rglob("*") if path.is_file()]
        wal = [path for path in files if path.parent.name == "pg_wal"]
        return sum(path.stat().st_size for path in files), sum(p.stat().st_size for p in wal)
    finally:
        adapter.close()
        server.stop()


def test_a_program_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = ChildProcess("short", ["sh", "-c", "echo no such luck; exit 3"], log=log)
    with pytest.raises(SystemUnavailable, match="exit code 3") as caught:
        child.wait_ready(lambda: False, deadline_s=10)
    assert "no such luck" in str(caught.value)
    child.stop(())


def test_a_program_that_never_answers_meets_its_deadline(tmp_path: Path) -> None:
    child = ChildProcess("deaf", ["sleep", "60"], log=tmp_path / "log")
    with pytest.raises(SystemUnavailable, match="does not answer"):
        child.wait_ready(lambda: False, deadline_s=0.05)
    child.stop(())
    assert not child.running


def test_stop_ends_what_ignores_signals_and_what_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "up"
    script = f"trap '' INT; sleep 60 & touch {marker}; wait; wait"
    child = ChildProcess("stubborn", ["bash", "-c", script], log=tmp_path / "log")
    child.wait_ready(marker.exists, deadline_s=10)
    family = [psutil.Process(number) for number in child.process_ids()]
    assert len(family) == 2
    child.stop([(signal.SIGINT, 0.05)])
    child.stop([(signal.SIGINT, 0.05)])
    assert not any(process.is_running() for process in family)
    assert child.process_ids() == ()
