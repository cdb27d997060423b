"""A private CockroachDB node, where its program is installed already; else the reason why not.

The program is not obtained here: the vendor gives it under its own licence, to
those who accept it. With a ``cockroach`` on the search path, one node is started
as the vendor documents it: certificates of its own, on loopback, one store.
Written from the documentation ("cockroach start-single-node", "cockroach cert",
"Node Shutdown", "Diagnostics Reporting") and not run here; see
docs/systems/cockroachdb.md.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from deduplab.errors import SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Client, Endpoint
from deduplab.servers import _cockroachdb_rights as rights
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._private_server import (
    HOST,
    USER,
    PrivateServer,
    new_secret,
)

if TYPE_CHECKING:
    import psycopg

DATABASE: Final = "defaultdb"
PROGRAM: Final = "cockroach"
_CERTIFICATE_S: Final = 60.0
_CONNECT_S: Final = 5

NOT_HERE: Final = (
    "there is no 'cockroach' on the search path, and deduplab does not obtain it: the vendor gives "
    "it under its own licence, which is yours to accept. Either put the program on the search "
    "path, or give the address of a running cluster in the plan, in [systems.cockroachdb.remote]"
)
"""Why CockroachDB can't be brought up, and what to do."""


def find() -> Path:
    """Return the program ``cockroach`` of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says why it is not obtained, and what to do.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise SystemUnavailable(f"cockroachdb can't be started: {NOT_HERE}")
    return Path(found)


class CockroachdbServer(PrivateServer):
    """One private node of CockroachDB, which is a cluster of its own."""

    product = "cockroachdb"
    title = "CockroachDB"
    durabilities = ("fsync",)
    stop_steps = ((signal.SIGTERM, 60.0),)
    ready_s = 120.0

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self.certificates = workspace / "certificates"
        self._program = Path(PROGRAM)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return statements for ``cockroach sql``; databases have no rights by name."""
        return rights.grants(user)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return ``cockroach sql``, which takes address and login by ``COCKROACH_URL``.

        See the vendor's documentation, "Client Connection Parameters".
        """
        assert endpoint.secret is not None
        login = f"{quote(str(endpoint.user))}:{quote(endpoint.secret.reveal(), safe='')}"
        trusted = {"sslmode": "verify-full", "sslrootcert": endpoint.options["ssl_ca"]}
        url = (
            f"postgresql://{login}@{endpoint.host}:{endpoint.port}/{endpoint.database}"
            f"?{urlencode(trusted)}"
        )
        environment = environment_without("COCKROACH_", "PG", COCKROACH_URL=url)
        return Client((str(find()), "sql"), environment)

    def start(self) -> Endpoint:
        """Make certificates where there are none yet, start the node, and make the lab's user.

        Raises
        ------
        SystemUnavailable
            If there is no program, or the node does not answer by the deadline (with
            the end of its log).
        """
        fresh = self._secret is None
        endpoint = super().start()
        if fresh:
            with self._stopped_on_error():
                self._make_user(endpoint)
        return endpoint

    def certificate_commands(self, program: Path) -> tuple[tuple[str, ...], ...]:
        """Return what makes the authority, the node's certificate, and root's, in order."""
        key = self.workspace / "authority.key"
        where = (f"--certs-dir={self.certificates}", f"--ca-key={key}")
        cert = (str(program), "cert")
        return (
            (*cert, "create-ca", *where),
            (*cert, "create-node", HOST, "localhost", *where),
            (*cert, "create-client", "root", *where),
        )

    def command(self, program: Path, port: int, console_port: int) -> tuple[str, ...]:
        """Return what starts the node: on loopback, with certificates, on one store."""
        return (
            str(program),
            "start-single-node",
            f"--certs-dir={self.certificates}",
            f"--store=path={self.data}",
            f"--listen-addr={HOST}:{port}",
            f"--http-addr={HOST}:{console_port}",
            f"--log-dir={self.workspace / 'logs'}",
            "--external-io-dir=disabled",
        )

    def _prepare(self) -> None:
        self._program = find()
        if self._secret is not None:
            return
        self._make_directories(self.certificates)
        for command in self.certificate_commands(self._program):
            self._run_tool(
                f"cockroach cert {command[2]}",
                command,
                deadline_s=_CERTIFICATE_S,
                environment=_environment(),
            )
        self._secret = new_secret()

    def _start_once(self) -> Endpoint:
        port = self._port()
        authority = {"ssl_ca": str(self.certificates / "ca.crt")}
        endpoint = self._reached_at(port, database=DATABASE, options=authority)
        command = self.command(self._program, port, self._port("console"))
        self._launch(command, lambda: self._answers(endpoint), environment=_environment())
        return endpoint

    def _answers(self, endpoint: Endpoint) -> bool:
        """Whether the administrator can log in by certificate and gets an answer."""
        connection_error = _psycopg().OperationalError
        try:
            with self._administrator(endpoint) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except connection_error:
            return False

    def _make_user(self, endpoint: Endpoint) -> None:
        """Make the lab's user with exactly the rights that are written down."""
        assert self._secret is not None
        text = rights.grants(USER).replace("<password>", self._secret.reveal())
        error_type = _psycopg().Error
        try:
            with self._administrator(endpoint) as connection:
                for line in text.splitlines():
                    if not line.startswith("--"):
                        connection.execute(line.encode())
        except error_type as error:
            raise SystemUnavailable(
                f"the fresh CockroachDB refused to make the lab's user: {error}"
            ) from error

    def _administrator(self, endpoint: Endpoint) -> psycopg.Connection[tuple[Any, ...]]:
        connection: psycopg.Connection[tuple[Any, ...]] = _psycopg().connect(
            host=endpoint.host,
            port=endpoint.port,
            user="root",
            dbname=endpoint.database,
            sslmode="verify-full",
            sslrootcert=str(self.certificates / "ca.crt"),
            sslcert=str(self.certificates / "client.root.crt"),
            sslkey=str(self.certificates / "client.root.key"),
            connect_timeout=_CONNECT_S,
            autocommit=True,
        )
        return connection


def _environment() -> Mapping[str, str]:
    """Return what the program is told: to send no reports."""
    return server_environment(COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING="true")


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise driver_missing(system("cockroachdb"), error) from error
    return psycopg
