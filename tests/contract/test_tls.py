"""A server proves who it is by its certificate: trusted, or refused.

Redis, Kafka, NATS and MinIO speak TLS themselves; PostgreSQL, whose build in the wheel does not,
and the REST server stand behind a front that does.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.adapter import Adapter
from deduplab.cell import RemoteAddress
from deduplab.errors import SystemUnavailable
from deduplab.remote import RemoteServer
from deduplab.server import Endpoint, Secret
from deduplab.servers._minio_binaries import find as find_minio
from deduplab.servers._nats_binaries import find as find_nats
from deduplab.servers._nats_rights import accounts
from deduplab.servers._process import ChildProcess, free_port
from deduplab.servers._redis_binaries import find_redis
from deduplab.servers.postgresql import PostgresqlServer
from deduplab.servers.rest import RestServer
from deduplab.testing import batch_of, distinct_objects
from tests.contract.certificates import issued
from tests.contract.gate import gate
from tests.contract.kafka_by_tls import KafkaByTls
from tests.contract.tls_front import tls_front

pytestmark = pytest.mark.server

Certificate = tuple[Path, Path]
HOST = "127.0.0.1"


@contextmanager
def postgresql(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    server = PostgresqlServer(workspace, variant="default", durability="fsync")
    try:
        behind = server.start()
        assert behind.port is not None
        with tls_front(behind.port, certificate) as port:
            yield replace(behind, port=port)
    finally:
        server.stop()


@contextmanager
def redis(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    port = free_port()
    words = {
        "port": "0", "tls-port": str(port), "tls-auth-clients": "no", "bind": HOST,
        "tls-cert-file": str(certificate[0]), "tls-key-file": str(certificate[1]),
        "dir": str(workspace), "appendonly": "yes", "appendfsync": "always",
    }  # fmt: skip
    arguments = [word for name, value in words.items() for word in (f"--{name}", value)]
    child = ChildProcess("redis", [str(find_redis()), *arguments], log=workspace / "log")
    try:
        child.wait_ready(
            lambda: b"ready to accept" in child.log.read_bytes().lower(), deadline_s=10
        )
        yield Endpoint(host=HOST, port=port)
    finally:
        child.stop(())


@contextmanager
def minio(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    folder = workspace / "certificates"
    folder.mkdir()
    for path, name in zip(certificate, ("public.crt", "private.key"), strict=True):
        shutil.copy(path, folder / name)
    port, secret = free_port(), secrets.token_urlsafe(18)
    (workspace / "secret").write_text(secret)
    child = ChildProcess(
        "minio",
        [str(find_minio()), "server", "--address", f"{HOST}:{port}", "--certs-dir", str(folder),
         str(workspace / "data")],
        log=workspace / "log",
        environment={**os.environ, "HOME": str(workspace), "MINIO_ROOT_USER": "administrator",
                     "MINIO_ROOT_PASSWORD": secret, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
                     "MINIO_FS_OSYNC": "on"},
        directory=workspace,
    )  # fmt: skip
    address = RemoteAddress(
        HOST,
        port,
        "administrator",
        None,
        f"file:{workspace / 'secret'}",
        ssl_ca=str(workspace.parent / "own-authority.crt"),
    )
    endpoint = RemoteServer(address, workspace, "fsync").start()
    try:
        child.wait_ready(lambda: _opens("minio", endpoint), deadline_s=30)
        yield endpoint
    finally:
        child.stop(())


@contextmanager
def rest(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    """Behind a proxy that speaks TLS, and below a path of its own."""
    server = RestServer(workspace, variant="default", durability="fsync")
    try:
        behind = server.start()
        with gate(behind, base_path="/lab/one", certificate=certificate) as opened:
            assert behind.secret is not None
            opened.tokens[behind.secret.reveal()] = {
                "PUT",
                "GET",
                "DELETE",
                "below",
                "GET /v1/health",
            }
            yield replace(behind, port=opened.server_address[1], options={"base_path": "/lab/one/"})
    finally:
        server.stop()


@contextmanager
def kafka(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    server = KafkaByTls(workspace, certificate)
    try:
        yield replace(server.start(), port=server.tls_port)
    finally:
        server.stop()


@contextmanager
def nats(workspace: Path, certificate: Certificate) -> Iterator[Endpoint]:
    port, secret = free_port(), Secret(secrets.token_urlsafe(18))
    files = f'cert_file: "{certificate[0]}", key_file: "{certificate[1]}"'
    settings = f"""\
host: {HOST}
port: {port}
tls {{ {files} }}
jetstream {{ store_dir: "{workspace}", sync_interval: always }}
{accounts("lab", secret.reveal())}
"""
    configuration = workspace / "nats.conf"
    configuration.write_text(settings)
    child = ChildProcess("nats", [str(find_nats()), "-c", str(configuration)],
                         log=workspace / "log")  # fmt: skip
    try:
        child.wait_ready(lambda: b"Server is ready" in child.log.read_bytes(), deadline_s=10)
        yield Endpoint(host=HOST, port=port, user="lab", secret=secret)
    finally:
        child.stop(())


PRODUCTS = {
    "postgresql": postgresql,
    "redis": redis,
    "kafka": kafka,
    "nats": nats,
    "minio": minio,
    "rest": rest,
}


@pytest.fixture(scope="module", params=[*PRODUCTS])
def proven(
    request: pytest.FixtureRequest, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[tuple[str, Endpoint, Path]]:
    """A product that speaks TLS, how it is reached, and the folder of the certificates."""
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-contract-"))
    workspace.chmod(0o755)
    (_, own), _other = (issued(workspace, name) for name in ("own", "other"))
    folder = workspace / "instance"
    folder.mkdir()
    try:
        with ExitStack() as stack:
            try:
                endpoint = stack.enter_context(PRODUCTS[request.param](folder, own))
            except SystemUnavailable as error:
                not_brought_up(request.param, error)
            yield request.param, replace(endpoint, directory=None), workspace
    finally:
        shutil.rmtree(workspace)


def trusting(endpoint: Endpoint, **tls: str) -> Endpoint:
    kept = {name: value for name, value in endpoint.options.items() if name == "base_path"}
    return replace(endpoint, options=kept | tls)


def adapter_of(name: str) -> Adapter:
    return registry.system(name).adapter_class()()


def _opens(name: str, endpoint: Endpoint) -> bool:
    adapter = adapter_of(name)
    try:
        adapter.open(endpoint)
    except SystemUnavailable:
        return False
    finally:
        adapter.close()
    return True


def test_a_trusted_certificate_is_taken(proven: tuple[str, Endpoint, Path]) -> None:
    name, endpoint, folder = proven
    adapter = adapter_of(name)
    variant = adapter.capabilities.variant_names()[0]
    objects = distinct_objects(4)
    try:
        adapter.open(trusting(endpoint, tls="verify", ssl_ca=str(folder / "own-authority.crt")))
        adapter.create("tls", layout="blob", variant=variant, durability="fsync")
        assert adapter.put_many(batch_of(objects)) == 4
        for key, payload in objects.items():
            assert adapter.get(key) == payload
        adapter.destroy()
    finally:
        adapter.close()


@pytest.mark.parametrize("authority", ["other-authority.crt", None])
def test_a_certificate_that_nobody_trusted_signed_is_refused(
    proven: tuple[str, Endpoint, Path], authority: str | None
) -> None:
    """Neither is it signed by the named authority, nor by one of the system's."""
    name, endpoint, folder = proven
    adapter = adapter_of(name)
    chosen = {"ssl_ca": str(folder / authority)} if authority else {}
    try:
        with pytest.raises(SystemUnavailable, match=r"did not prove who it is.*ssl_ca"):
            adapter.open(trusting(endpoint, tls="verify", **chosen))
    finally:
        adapter.close()


def test_a_certificate_of_another_name_is_refused(proven: tuple[str, Endpoint, Path]) -> None:
    """It is trusted, but it says 127.0.0.1."""
    name, endpoint, folder = proven
    adapter = adapter_of(name)
    elsewhere = replace(endpoint, host="localhost")
    try:
        with pytest.raises(SystemUnavailable, match="did not prove who it is"):
            adapter.open(
                trusting(elsewhere, tls="verify", ssl_ca=str(folder / "own-authority.crt"))
            )
    finally:
        adapter.close()
