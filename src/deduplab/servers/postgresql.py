"""A private PostgreSQL: an instance of our own, on loopback, with a generated password.

Every instance is made by ``initdb`` (about 0.4 s), never copied from a
template: a copy would share its system identifier and its password with all
others. See docs/systems/postgresql.md for every setting that differs from the
product's default, and why.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._postgresql_binaries import choose_binaries, reachable_binaries
from deduplab.servers._process import (
    Account,
    ChildProcess,
    first_closed_directory,
    free_port,
    log_tail,
    started_on_a_free_port,
    unprivileged_account,
)

if TYPE_CHECKING:
    import psycopg

USER: Final = "deduplab"
DATABASE: Final = "postgres"
_READY_S: Final = 30.0
_INITDB_S: Final = 60.0
_CONNECT_S: Final = 5
_SPARE_SEGMENTS: Final = 16
_STOP_STEPS: Final = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))

SETTINGS: Final = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "fsync": "on",
    "full_page_writes": "on",
    "wal_init_zero": "off",
    "wal_recycle": "off",
    "min_wal_size": "'2MB'",
    "max_wal_size": "'1GB'",
    "logging_collector": "off",
    "log_destination": "'stderr'",
}
"""What the private instance sets, beside port and ``synchronous_commit``.

``max_wal_size`` is the product's default: initdb lowers it with the segment size.
"""

_SYNCHRONOUS_COMMIT: Final = {"fsync": "on", "interval": "off"}


class PostgresqlServer(Server):
    """One private PostgreSQL instance."""

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability not in _SYNCHRONOUS_COMMIT:
            raise Unsupported(
                f"postgresql has no durability {durability!r}; it has: {[*_SYNCHRONOUS_COMMIT]}"
            )
        self.data = workspace / "data"
        self.log = workspace / "postgresql.log"
        self._child: ChildProcess | None = None
        self._account: Account | None = None
        self._binaries: Path | None = None
        self._secret: Secret | None = None

    @property
    def binaries(self) -> Path:
        """The directory of the programs that this instance runs.

        Raises
        ------
        SystemUnavailable
            If there is no PostgreSQL for the variant.
        """
        if self._binaries is None:
            self._account = unprivileged_account()
            self._binaries = reachable_binaries(choose_binaries(self.variant), self._account)
        return self._binaries

    def start(self) -> Endpoint:
        """Make a cluster where there is none yet, start it and log in.

        Raises
        ------
        SystemUnavailable
            If there are no binaries, the workspace is closed to the account, or
            the server does not answer by the deadline (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the PostgreSQL in {self.workspace} runs already")
        fresh = self._secret is None
        if fresh:
            self._initialise()
        endpoint = self._start_somewhere()
        if fresh:
            try:
                _use_up_spare_segments(endpoint, self.log)
            except BaseException:
                self.stop()
                raise
        return endpoint

    def stop(self) -> None:
        """Shut down fast (with a checkpoint), then at once, then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the postmaster and of all its children."""
        return self._child.process_ids() if self._child is not None else ()

    def _initialise(self) -> None:
        binaries = self.binaries
        self._prepare_workspace()
        secret = Secret(secrets.token_urlsafe(24))
        password_file = self.workspace / "password"
        try:
            descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secret.reveal())
            if self._account:
                self._account.own(password_file)
            self._run_initdb(binaries, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        self._configure()
        self._secret = secret

    def _prepare_workspace(self) -> None:
        self.data.mkdir(mode=0o700)
        self.log.touch(mode=0o600)
        if self._account is None:
            return
        # The workspace is ours: the account may pass through it, not list it.
        self.workspace.chmod(self.workspace.stat().st_mode | 0o011)
        closed = first_closed_directory(self.workspace, self._account)
        if closed is not None:
            raise SystemUnavailable(
                f"PostgreSQL refuses root and runs as {self._account.name}, which can't enter "
                f"{closed}; choose a working directory below /tmp or /var/tmp, or run as a user"
            )
        self._account.own(self.data)

    def _run_initdb(self, binaries: Path, password_file: Path) -> None:
        command = [
            str(binaries / "initdb"),
            f"--pgdata={self.data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
        ]
        child = ChildProcess(
            "initdb",
            command,
            log=self.log,
            account=self._account,
            environment=_environment(),
            directory=self.workspace,
        )
        try:
            code = child.wait(deadline_s=_INITDB_S)
        finally:
            child.stop(())
        if code != 0:
            raise SystemUnavailable(
                f"initdb ended with exit code {code}; its log {self.log} ends:\n"
                f"{log_tail(self.log)}"
            )

    def _configure(self) -> None:
        settings = {**SETTINGS, "synchronous_commit": _SYNCHRONOUS_COMMIT[self.durability]}
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(["\n# deduplab\n", *lines])

    def _start_somewhere(self) -> Endpoint:
        return started_on_a_free_port(
            lambda: self._start_at(free_port()), lambda: _address_taken(self.log)
        )

    def _start_at(self, port: int) -> Endpoint:
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(port)]
        self._child = ChildProcess(
            "postgresql",
            command,
            log=self.log,
            account=self._account,
            environment=_environment(),
            directory=self.data,
            death_signal="QUIT",
        )
        endpoint = Endpoint(
            directory=self.data,
            host="127.0.0.1",
            port=port,
            user=USER,
            secret=self._secret,
            database=DATABASE,
        )
        try:
            self._child.wait_ready(lambda: _answers(endpoint), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        return endpoint


def _environment() -> dict[str, str]:
    """Return our environment without PG* variables, which would change what the programs do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _address_taken(log: Path) -> bool:
    return bool(re.search(r"could not bind .*127\.0\.0\.1", log_tail(log)))


def _connect(endpoint: Endpoint) -> psycopg.Connection[tuple[Any, ...]]:
    try:
        import psycopg
    except ImportError as error:
        raise driver_missing(system("postgresql"), error) from error
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.secret.reveal() if endpoint.secret else None,
        dbname=endpoint.database,
        connect_timeout=_CONNECT_S,
        autocommit=True,
    )


def _answers(endpoint: Endpoint) -> bool:
    """Whether a client can log in and gets an answer."""
    import psycopg

    try:
        with _connect(endpoint) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _use_up_spare_segments(endpoint: Endpoint, log: Path) -> None:
    """Switch segments until the spare ones that initdb left have been used and removed.

    Else an empty instance would hold more WAL than a filled one.
    """
    import psycopg

    try:
        with _connect(endpoint) as connection:
            for _ in range(_SPARE_SEGMENTS):
                connection.execute("SELECT pg_switch_wal()")
                connection.execute("CHECKPOINT")
                if connection.execute("SELECT count(*) FROM pg_ls_waldir()").fetchone() == (1,):
                    return
    except psycopg.Error as error:
        raise SystemUnavailable(
            f"the fresh PostgreSQL failed: {error}; its log {log} ends:\n{log_tail(log)}"
        ) from error
    raise SystemUnavailable("a fresh PostgreSQL keeps more than one WAL segment; see its settings")
