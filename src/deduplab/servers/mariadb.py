"""A private MariaDB: an instance of our own, on loopback, with a generated password.

The data directory is made by ``mariadb-install-db`` (about half a second), never
copied. See docs/systems/mariadb.md for every setting that differs from the
product's default, and why.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._mariadb_binaries import Programs, find
from deduplab.servers._process import (
    Account,
    ChildProcess,
    first_closed_directory,
    free_port,
    log_tail,
    started_on_a_free_port,
    unprivileged_account,
)

USER: Final = "deduplab"
_READY_S: Final = 60.0
_INSTALL_S: Final = 120.0
_STOP_STEPS: Final = ((signal.SIGTERM, 30.0),)
_READY_LINE: Final = b"ready for connections"
_TAKEN: Final = re.compile(r"Can't start server: Bind on TCP/IP port|Do you already have another")

_FLUSH_AT_COMMIT: Final = {"fsync": "1", "interval": "2", "none": "0"}
_MYROCKS: Final = "myrocks"

GRANTS: Final = (
    "CREATE USER 'deduplab'@'%' IDENTIFIED BY '<password>' REQUIRE SSL",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, LOCK TABLES "
    "ON `deduplab%`.* TO 'deduplab'@'%'",
    "GRANT RELOAD, PROCESS ON *.* TO 'deduplab'@'%'",
    "GRANT SUPER ON *.* TO 'deduplab'@'%' -- for the variant myrocks only",
)
"""What a user of the lab needs on a server that runs already, for namespaces ``deduplab..``.

``RELOAD`` and ``LOCK TABLES`` are for ``FLUSH TABLES .. FOR EXPORT``, ``PROCESS`` for the
sizes and signals of InnoDB and MyRocks, ``UPDATE`` for ``ON DUPLICATE KEY``, ``SUPER`` for
``SET GLOBAL rocksdb_force_flush_memtable_now``.
"""


class MariadbServer(Server):
    """One private MariaDB instance."""

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability not in _FLUSH_AT_COMMIT:
            raise Unsupported(
                f"mariadb has no durability {durability!r}; it has: {[*_FLUSH_AT_COMMIT]}"
            )
        self.data = workspace / "data"
        self.log = workspace / "mariadb.log"
        self._temporary = workspace / "tmp"
        self._first_statements = workspace / "first.sql"
        self._child: ChildProcess | None = None
        self._account: Account | None = None
        self._secret: Secret | None = None

    def start(self) -> Endpoint:
        """Make a data directory where there is none yet, and start the server.

        Raises
        ------
        SystemUnavailable
            If there are no programs, the workspace is closed to the account, or
            the server is not ready by the deadline (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the MariaDB in {self.workspace} runs already")
        programs = find()
        fresh = self._secret is None
        if not fresh:
            return self._start_somewhere(programs, [])
        self._account = unprivileged_account()
        self._prepare_workspace()
        self._install(programs)
        secret = Secret(secrets.token_urlsafe(24))
        try:
            self._write_first_statements(secret)
            self._secret = secret
            return self._start_somewhere(programs, [f"--init-file={self._first_statements}"])
        except BaseException:
            self._secret = None
            raise
        finally:
            self._first_statements.unlink(missing_ok=True)

    def stop(self) -> None:
        """Shut down in order (InnoDB's fast shutdown), then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the server and of all its children."""
        return self._child.process_ids() if self._child is not None else ()

    def _prepare_workspace(self) -> None:
        self.log.touch(mode=0o600)
        for directory in (self.data, self._temporary):
            directory.mkdir(mode=0o700)
        if self._account is None:
            return
        # The workspace is ours: the account may pass through it, not list it.
        self.workspace.chmod(self.workspace.stat().st_mode | 0o011)
        closed = first_closed_directory(self.workspace, self._account)
        if closed is not None:
            raise SystemUnavailable(
                f"MariaDB refuses root and runs as {self._account.name}, which can't enter "
                f"{closed}; choose a working directory below /tmp or /var/tmp, or run as a user"
            )
        for directory in (self.data, self._temporary):
            self._account.own(directory)

    def _install(self, programs: Programs) -> None:
        # The account root may log in by a local socket alone, and there is none.
        command = [
            str(programs.installer),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--tmpdir={self._temporary}",
            "--auth-root-authentication-method=socket",
            "--auth-root-socket-user=root",
            "--skip-test-db",
            "--skip-name-resolve",
            "--cross-bootstrap",
        ]
        child = ChildProcess(
            "mariadb-install-db",
            command,
            log=self.log,
            account=self._account,
            environment=_environment(),
            directory=self.workspace,
        )
        try:
            code = child.wait(deadline_s=_INSTALL_S)
        finally:
            child.stop(())
        if code != 0:
            raise SystemUnavailable(
                f"mariadb-install-db ended with exit code {code}; its log {self.log} ends:\n"
                f"{log_tail(self.log)}"
            )

    def _write_first_statements(self, secret: Secret) -> None:
        user = f"{USER}@'127.0.0.1'"
        descriptor = os.open(self._first_statements, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            # A statement a line, as the server reads them.
            file.write(f"CREATE USER {user} IDENTIFIED BY '{secret.reveal()}';\n")
            file.write(f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n")
        if self._account:
            self._account.own(self._first_statements)

    def _start_somewhere(self, programs: Programs, options: list[str]) -> Endpoint:
        return started_on_a_free_port(
            lambda: self._start_at(programs, free_port(), options),
            lambda: _TAKEN.search(log_tail(self.log, 40)) is not None,
        )

    def _start_at(self, programs: Programs, port: int, options: list[str]) -> Endpoint:
        begin = self.log.stat().st_size
        self._child = ChildProcess(
            "mariadb",
            [str(programs.server), *self._arguments(port), *options],
            log=self.log,
            account=self._account,
            environment=_environment(),
            directory=self.data,
        )
        try:
            self._child.wait_ready(lambda: _is_ready(self.log, begin), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        return Endpoint(
            directory=self.data, host="127.0.0.1", port=port, user=USER, secret=self._secret
        )

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
        return arguments


def _environment() -> dict[str, str]:
    """Return our environment without MYSQL* and MARIADB* variables, which change programs' ways."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MYSQL", "MARIADB"))
    }
    return {**kept, "LC_ALL": "C"}


def _is_ready(log: Path, begin: int) -> bool:
    """Whether the server has said, since this place in its log, that it takes connections.

    It says so after the file of first statements, so the login exists by then.
    """
    with log.open("rb") as file:
        file.seek(begin)
        return _READY_LINE in file.read()
