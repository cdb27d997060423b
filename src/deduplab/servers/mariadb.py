"""A private MariaDB: an instance of our own, on loopback, with a generated password.

The data directory is made by ``mariadb-install-db`` (about half a second), never
copied. See docs/systems/mariadb.md for every setting that differs from the
product's default, and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.server import Client, Endpoint, Secret, Server
from deduplab.servers import _mariadb_rights as rights
from deduplab.servers._account import unprivileged_account
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._mariadb_binaries import Programs, find, find_client
from deduplab.servers._mariadb_replication import Replication, replicated
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)
from deduplab.servers._process import log_tail

_INSTALL_S: Final = 120.0
_READY_LINE: Final = b"ready for connections"
_ERROR: Final = re.compile(r"\[ERROR\]|[Ff]atal error")
_TAKEN: Final = re.compile(r"Can't start server: Bind on TCP/IP port|Do you already have another")

_FLUSH_AT_COMMIT: Final = {"fsync": "1", "interval": "2", "none": "0"}
_MYROCKS: Final = "myrocks"


class MariadbServer(PrivateServer):
    """One private MariaDB instance.

    Parameters
    ----------
    replication
        Where it is a member of a replicated system.
    """

    product = "mariadb"
    title = "MariaDB"
    durabilities = tuple(_FLUSH_AT_COMMIT)
    ready_s = 60.0

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        replication: Replication | None = None,
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._replication = replication
        self._temporary = workspace / "tmp"
        self._first_statements = workspace / "first.sql"

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return a primary with ``replicas - 1`` replicas that apply its binary log."""
        return replicated(cls, workspace, variant=variant, durability=durability, replicas=replicas)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return statements for ``mariadb``, for databases whose names begin with ``namespace``."""
        return rights.grants(user, namespace)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return ``mariadb`` with a file of options of its own.

        It is the only file that is read: the user's ``~/.my.cnf`` would come after an
        extra one, and its login would be taken.
        """
        assert endpoint.secret is not None
        options = write_private(
            directory / "client.cnf",
            f"[client]\nhost={endpoint.host}\nport={endpoint.port}\nprotocol=tcp\n"
            f"user={endpoint.user}\npassword={endpoint.secret.reveal()}\nloose-skip-ssl\n",
        )
        return Client(
            (str(find_client()), f"--defaults-file={options}"),
            environment_without("MYSQL", "MARIADB"),
        )

    def start(self) -> Endpoint:
        """Make a data directory where there is none yet, and start the server.

        Raises
        ------
        SystemUnavailable
            If there are no programs, the workspace is closed to the account, or
            the server is not ready by the deadline (with the end of its log).
        """
        fresh = self._secret is None
        try:
            return super().start()
        except BaseException:
            if fresh:
                self._secret = None
            raise
        finally:
            self._first_statements.unlink(missing_ok=True)

    def _prepare(self) -> None:
        self._programs = find()
        follow = self._replication.statements() if self._replication else ""
        if self._secret is not None:
            self._write_statements(follow)
            return
        self._account = unprivileged_account()
        self._make_directories(self.data, self._temporary)
        self._install(self._programs)
        secret = new_secret()
        self._write_statements(self._login(secret) + follow)
        self._secret = secret

    def _install(self, programs: Programs) -> None:
        # The account root may log in by a local socket alone, and there is none.
        command = [
            str(programs.installer),
            "--no-defaults",
            f"--datadir={self.data}",
            "--auth-root-authentication-method=socket",
            "--auth-root-socket-user=root",
            "--skip-test-db",
            "--skip-name-resolve",
            "--cross-bootstrap",
        ]
        # Not as an option: it is a shell's script, which takes a path with blanks for several.
        environment = {**_environment(), "TMPDIR": str(self._temporary)}
        try:
            self._run_tool(
                "mariadb-install-db", command, deadline_s=_INSTALL_S, environment=environment
            )
        except SystemUnavailable as error:
            raise SystemUnavailable(_with_errors(str(error), self.log)) from error

    def _login(self, secret: Secret) -> str:
        """Return the statements that make our user."""
        before = self._replication.first_statements() if self._replication else ""
        user = f"{USER}@'127.0.0.1'"
        return (
            f"{before}CREATE USER {user} IDENTIFIED BY '{secret.reveal()}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
        )

    def _write_statements(self, statements: str) -> None:
        """Write what the server runs at its start, a statement a line, as it reads them."""
        if not statements:
            return
        write_private(self._first_statements, statements)
        if self._account:
            self._account.own(self._first_statements)

    def _start_once(self) -> Endpoint:
        port, begin = self._port(), self.log.stat().st_size
        command = [str(self._programs.server), *self._arguments(port)]
        if self._first_statements.exists():
            command.append(f"--init-file={self._first_statements}")
        self._launch(
            command,
            lambda: self._is_ready(begin),
            environment=_environment(),
            directory=self.data,
        )
        return self._reached_at(port)

    def _port_is_taken(self) -> bool:
        return _TAKEN.search(log_tail(self.log, 40)) is not None

    def _is_ready(self, begin: int) -> bool:
        """Whether the server has said, since this place in its log, that it takes connections.

        It says so after the file of first statements, so the login exists by then. A replica
        has said, too, that it is connected to the primary.
        """
        with self.log.open("rb") as file:
            file.seek(begin)
            said = file.read()
        follows = self._replication is None or self._replication.is_ready(said)
        return _READY_LINE in said and follows

    def _arguments(self, port: int) -> list[str]:
        level = _FLUSH_AT_COMMIT[self.durability]
        arguments = [
            "--no-defaults",
            f"--datadir={self.data}",
            f"--tmpdir={self._temporary}",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            "--socket=",
            "--skip-name-resolve",
            "--max-allowed-packet=1G",
            f"--innodb-flush-log-at-trx-commit={level}",
        ]
        if self.variant == _MYROCKS:
            arguments += [
                "--plugin-load-add=ha_rocksdb",
                f"--rocksdb-flush-log-at-trx-commit={level}",
            ]
        if self._replication is not None:
            arguments += self._replication.arguments(self.variant, self.durability)
        return arguments


def _with_errors(words: str, log: Path) -> str:
    """Add the errors of a log, which ends with advice that hides them."""
    errors = [line for line in log_tail(log, 60).splitlines() if _ERROR.search(line)]
    return "\n".join([words, *(["its errors:", *errors] if errors else [])])


def _environment() -> Mapping[str, str]:
    return server_environment(LC_ALL="C")
