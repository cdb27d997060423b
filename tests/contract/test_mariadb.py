"""MariaDB is held to the contracts of adapters and servers, and to what it promises alone."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
import pytest

from deduplab.adapter import Adapter
from deduplab.adapters.mariadb import MariadbAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.registry import SystemEntry
from deduplab.server import Endpoint, Secret
from deduplab.servers._process import free_port
from deduplab.servers.mariadb import MariadbServer
from deduplab.testing import (
    AdapterContract,
    ServerContract,
    SystemUnderTest,
    _native_contract,
    batch_of,
    distinct_objects,
    random_payload,
)
from deduplab.testing.records import AWKWARD_RECORDS, SAMPLE_RECORDS
from tests.contract.certificates import self_signed
from tests.contract.looks_mariadb import MariadbLook
from tests.required import Counted

ENTRY: Final = SystemEntry(
    "mariadb",
    "server",
    "deduplab.adapters.mariadb:MariadbAdapter",
    "deduplab.servers.mariadb:MariadbServer",
    "MariaDB, a private server; InnoDB and MyRocks",
)


class _Fixtures(Counted):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(ENTRY, MariadbLook())


NEGATIVE_ZEROS: Final = [
    key for key, record in AWKWARD_RECORDS.items() if "-0.0" in map(repr, record)
]


class TestMariadbAdapter(_Fixtures, AdapterContract):
    @pytest.fixture(autouse=True)
    @staticmethod
    def without_negative_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
        """MariaDB has no negative zero: such a record is refused, as is tested below."""
        kept = {
            key: tuple(0.0 if repr(value) == "-0.0" else value for value in record)
            for key, record in AWKWARD_RECORDS.items()
        }
        monkeypatch.setattr(_native_contract, "AWKWARD_RECORDS", kept)

    def test_a_negative_zero_is_refused(self, native: Adapter) -> None:
        assert NEGATIVE_ZEROS
        for key in NEGATIVE_ZEROS:
            with pytest.raises(OperationFailed, match="negative zero"):
                native.put(key, AWKWARD_RECORDS[key])
        with pytest.raises(OperationFailed, match="negative zero"):
            native.put_many(batch_of(AWKWARD_RECORDS, SAMPLE_RECORDS))
        assert native.count() == 0


class TestMariadbServer(_Fixtures, ServerContract):
    pass


@contextmanager
def instance(
    workspace: Path, variant: str = "default", durability: str = "fsync"
) -> Iterator[tuple[MariadbServer, Endpoint, MariadbAdapter]]:
    workspace.chmod(0o755)
    server = MariadbServer(workspace, variant=variant, durability=durability)
    adapter = MariadbAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        yield server, endpoint, adapter
    finally:
        adapter.close()
        server.stop()


@pytest.fixture
def workspace() -> Iterator[Path]:
    # pytest's own directories are closed to the account that the server runs under.
    with tempfile.TemporaryDirectory(prefix="deduplab-mariadb-") as name:
        yield Path(name)


def granted(endpoint: Endpoint) -> Endpoint:
    """Make a user with exactly the rights that are written down, and return its endpoint."""
    password = secrets.token_urlsafe(16)
    look = MariadbLook()
    statements = MariadbServer.grants().splitlines()
    for statement in (line for line in statements if not line.startswith("--")):
        # TLS is for the way over a network, which this server is not on.
        spelled = statement.replace("<password>", password).replace(" REQUIRE SSL", "")
        look.rows(endpoint, spelled.replace("'deduplab'@'%'", "'granted'@'127.0.0.1'"))
    return replace(endpoint, user="granted", secret=Secret(password))


@pytest.mark.parametrize("variant", ["default", "page-compressed", "myrocks", "unique-content"])
def test_every_verb_works_with_the_rights_that_are_written_down(
    workspace: Path, variant: str
) -> None:
    with instance(workspace, variant) as (_, endpoint, _adapter):
        adapter = MariadbAdapter()
        adapter.open(granted(endpoint))
        try:
            with pytest.raises(OperationFailed, match="denied"):
                adapter.create("other-lab", layout="blob", variant=variant, durability="fsync")
            adapter.create("deduplab-lab", layout="blob", variant=variant, durability="fsync")
            objects = distinct_objects(8)
            assert adapter.put_many(batch_of(objects)) == 8
            adapter.put("one", b"more")
            assert adapter.get("one") == b"more"
            assert adapter.delete(["one"]) == 1
            adapter.flush()
            adapter.reclaim("optimize")
            adapter.flush()  # pages of the table that was made anew are not in its file before
            assert adapter.engine_reading().total_bytes > 0
            assert adapter.idle_signals()
            assert adapter.counters()["rows_written"] >= 9
            assert adapter.identity().configuration["layout"] == "blob"
            for mode in ("truncate", "drop"):
                adapter.empty(mode)
                assert adapter.count() == 0
            adapter.destroy()
        finally:
            adapter.close()


def size_of(endpoint: Endpoint, namespace: str) -> tuple[int, int]:
    """Return apparent and allocated bytes of the tables' files."""
    assert endpoint.directory is not None
    directory = endpoint.directory / namespace.replace("-", "@002d")
    found = [path.stat() for path in directory.glob("*.ibd")]
    return sum(f.st_size for f in found), sum(f.st_blocks * 512 for f in found)


def test_page_compression_punches_holes_that_flush_makes_visible(workspace: Path) -> None:
    with instance(workspace, "page-compressed") as (_, endpoint, adapter):
        adapter.create("deduplab-lab", layout="blob", variant="page-compressed", durability="fsync")
        adapter.put_many(batch_of({f"k{n}": b"all alike " * 1500 for n in range(200)}))
        adapter.flush()
        apparent, allocated = size_of(endpoint, "deduplab-lab")
        assert allocated < apparent / 2
        assert adapter.engine_reading().total_bytes == allocated


def test_deleted_space_stays_until_optimize(workspace: Path) -> None:
    with instance(workspace) as (_, endpoint, adapter):
        adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
        objects = distinct_objects(600)
        adapter.put_many(batch_of(objects))
        adapter.flush()
        filled, _ = size_of(endpoint, "deduplab-lab")
        adapter.delete(list(objects))
        adapter.flush()
        assert size_of(endpoint, "deduplab-lab")[0] == filled
        adapter.reclaim("optimize")
        adapter.flush()
        assert size_of(endpoint, "deduplab-lab")[0] < filled / 10


def test_unique_content_keeps_a_copy_once_until_the_last_object_is_gone(workspace: Path) -> None:
    look = MariadbLook()
    with instance(workspace) as (_, endpoint, adapter):
        adapter.create("deduplab-lab", layout="blob", variant="unique-content", durability="fsync")
        adapter.put_many(batch_of({f"k{n}": b"payload" * (1 + n % 2) for n in range(10)}))
        adapter.put("alone", b"payload")

        def contents() -> int:
            query = "SELECT count(*) FROM `deduplab-lab`.contents"
            return int(look.rows(endpoint, query)[0][0])

        assert (adapter.count(), contents()) == (11, 2)
        adapter.delete([f"k{n}" for n in range(1, 10, 2)])
        assert contents() == 2
        adapter.reclaim("optimize")
        assert (adapter.count(), contents()) == (6, 1)


def test_a_server_that_syncs_otherwise_is_refused(workspace: Path) -> None:
    with instance(workspace, durability="interval") as (_, endpoint, adapter):
        with pytest.raises(Unsupported, match="innodb_flush_log_at_trx_commit = 1"):
            adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
        with pytest.raises(Unsupported, match="ROCKSDB"):
            adapter.create("deduplab-lab", layout="blob", variant="myrocks", durability="interval")
        assert not MariadbLook().exists(endpoint, "deduplab-lab")


def test_a_wrong_password_and_a_killed_server_are_unavailable(workspace: Path) -> None:
    with instance(workspace) as (server, endpoint, adapter):
        wrong = MariadbAdapter()
        with pytest.raises(SystemUnavailable, match="Access denied"):
            wrong.open(replace(endpoint, secret=Secret("not the password")))
        wrong.close()
        adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
        process = psutil.Process(server.processes()[0])
        assert endpoint.secret is not None
        assert endpoint.secret.reveal() not in " ".join(process.cmdline())
        process.kill()
        process.wait(timeout=10)
        with pytest.raises(SystemUnavailable):
            adapter.put_many(batch_of(distinct_objects(4)))
        with pytest.raises(SystemUnavailable):
            adapter.put("one", b"more")


def test_objects_of_64_mib_come_back_whole(workspace: Path) -> None:
    payload = random_payload(64 << 20, 5)
    with instance(workspace) as (_, _endpoint, adapter):
        adapter.create("deduplab-lab", layout="blob", variant="default", durability="fsync")
        adapter.put("alone", payload)
        assert adapter.put_many(batch_of({"in bulk": payload, "short": b"x"})) == 2
        assert adapter.get("alone") == payload
        assert adapter.get("in bulk") == payload
        assert adapter.get("short") == b"x"


def test_a_port_that_is_taken_meanwhile_is_passed_over(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], free_port()])
        monkeypatch.setattr("deduplab.servers._private_server.free_port", lambda: next(ports))
        with instance(workspace) as (_, endpoint, adapter):
            assert endpoint.port != other.getsockname()[1]
            assert adapter.identity().product == "MariaDB"


def test_a_server_that_does_not_prove_who_it_is_is_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = self_signed(workspace, "server")
    other, _ = self_signed(workspace, "other")
    arguments = MariadbServer._arguments

    def with_tls(self: MariadbServer, port: int) -> list[str]:
        return [*arguments(self, port), f"--ssl-cert={certificate}", f"--ssl-key={key}"]

    monkeypatch.setattr(MariadbServer, "_arguments", with_tls)
    with instance(workspace) as (_, endpoint, _adapter):
        trusting = MariadbAdapter()
        trusting.open(replace(endpoint, options={"ssl_ca": str(certificate)}))
        assert trusting.identity().product == "MariaDB"
        trusting.close()
        for authority in (str(other), "/etc/ssl/certs/ca-certificates.crt"):
            with pytest.raises(SystemUnavailable):
                trusting.open(replace(endpoint, options={"ssl_ca": authority}))
    monkeypatch.setattr(MariadbServer, "_arguments", arguments)
    plain = workspace / "plain"
    plain.mkdir()
    with instance(plain) as (_, endpoint, _adapter), pytest.raises(SystemUnavailable):
        trusting.open(replace(endpoint, options={"ssl_ca": str(certificate)}))
