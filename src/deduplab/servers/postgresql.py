"""A private PostgreSQL: an instance of our own, on loopback, with a generated password.

Every instance is made by ``initdb`` (about 0.4 s), never copied from a
template: a copy would share its system identifier and its password with all
others. See docs/systems/postgresql.md for every setting that differs from the
product's default, and why.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Client, Endpoint, Server
from deduplab.servers import _postgresql_rights as rights
from deduplab.servers import _postgresql_segments as segments
from deduplab.servers import _shared_memory as shared_memory
from deduplab.servers._account import unprivileged_account
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._postgresql_binaries import (
    choose_binaries,
    find_client,
    reachable_binaries,
)
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)
from deduplab.servers._process import log_tail

if TYPE_CHECKING:
    import psycopg

DATABASE: Final = "postgres"
_INITDB_S: Final = 60.0
_CONNECT_S: Final = 5
_SPARE_SEGMENTS: Final = 16

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


class PostgresqlServer(PrivateServer):
    """One private PostgreSQL instance.

    Parameters
    ----------
    standbys
        How many standbys its commits wait for.
    """

    product = "postgresql"
    title = "PostgreSQL"
    durabilities = tuple(_SYNCHRONOUS_COMMIT)
    stop_steps = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))

    def __init__(
        self, workspace: Path, *, variant: str, durability: str, standbys: int = 0
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._standbys = standbys
        self._binaries: Path | None = None

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return a primary with ``replicas - 1`` standbys that replay its log."""
        from deduplab.servers._postgresql_standby import replicated  # it builds on this module

        return replicated(workspace, variant=variant, durability=durability, replicas=replicas)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return statements for ``psql``; schemas have no rights by name, so by database."""
        return rights.grants(user)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return ``psql``, which logs in by variables, as do the product's other programs."""
        assert endpoint.secret is not None
        program = find_client()
        login = {
            # Its other programs lie beside it, of the server's version.
            "PATH": os.pathsep.join([str(program.parent), os.environ.get("PATH", os.defpath)]),
            "PGHOST": str(endpoint.host),
            "PGPORT": str(endpoint.port),
            "PGUSER": str(endpoint.user),
            "PGDATABASE": str(endpoint.database),
            "PGPASSWORD": endpoint.secret.reveal(),
        }
        return Client((str(program),), environment_without("PG", **login))

    @classmethod
    def sweep(cls) -> None:
        """Remove shared memory of instances that are gone."""
        shared_memory.sweep()

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
            If there are no binaries, the driver is missing, the workspace is closed to the
            account, or the server does not answer by the deadline (with the end of its log).
        """
        _psycopg()  # before anything is brought up
        fresh = self._secret is None
        endpoint = super().start()
        if fresh:
            with self._stopped_on_error():
                self._use_up_spare_segments(endpoint)
        return endpoint

    def _prepare(self) -> None:
        if self._secret is not None:
            return
        _ = self.binaries  # which find the account that directories are made for
        self._make_directories(self.data)
        self._make_cluster()

    def _make_cluster(self) -> None:
        """Make the cluster, with a password of its own."""
        secret = new_secret()
        password_file = self.workspace / "password"
        try:
            write_private(password_file, secret.reveal())
            if self._account:
                self._account.own(password_file)
            self._run_initdb(password_file)
        finally:
            password_file.unlink(missing_ok=True)
        self._configure()
        self._secret = secret

    def _run_initdb(self, password_file: Path) -> None:
        command = [
            str(self.binaries / "initdb"),
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
        try:
            self._run_tool("initdb", command, deadline_s=_INITDB_S, environment=_environment())
        finally:
            segments.remove(self.data)  # of its backends, where it was killed

    def _configure(self) -> None:
        settings = {**SETTINGS, "synchronous_commit": _SYNCHRONOUS_COMMIT[self.durability]}
        if self._standbys:
            settings["synchronous_standby_names"] = f"'{self._standbys} (*)'"
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(["\n# deduplab\n", *lines])

    def stop(self) -> None:
        """Shut down fast, then at once, then by force; its shared memory goes with it."""
        super().stop()
        segments.remove(self.data)  # where it was killed; else it has removed them itself
        shared_memory.remove(self.workspace)

    def _segments_apart(self) -> list[str]:
        """Put shared memory segments into a directory of ours in memory; return options for that.

        As files of the data directory they would be written to disk and measured; by
        names of the server's own they would stay when it is killed.
        """
        place = shared_memory.make(self.workspace, self._account)
        if place is None:
            return []
        link = self.data / "pg_dynshmem"
        if link.is_symlink():
            link.unlink()
        else:
            link.rmdir()
        link.symlink_to(place)
        return ["-c", "dynamic_shared_memory_type=mmap"]

    def _start_once(self) -> Endpoint:
        port = self._port()
        endpoint = self._reached_at(port, database=DATABASE)
        where = ["-D", str(self.data), "-p", str(port)]
        self._launch(
            [str(self.binaries / "postgres"), *where, *self._segments_apart()],
            lambda: self._is_ready(endpoint),
            environment=_environment(),
            directory=self.data,
            death_signal="QUIT",
        )
        return endpoint

    def _is_ready(self, endpoint: Endpoint) -> bool:
        """Whether a client can log in and gets an answer."""
        return answers_with(endpoint, "SELECT 1", 1)

    def _use_up_spare_segments(self, endpoint: Endpoint) -> None:
        """Switch segments until the spare ones that initdb left have been used and removed.

        Else an empty instance would hold more WAL than a filled one.
        """
        error_type = _psycopg().Error
        try:
            with _connect(endpoint) as connection:
                for _ in range(_SPARE_SEGMENTS):
                    connection.execute("SELECT pg_switch_wal()")
                    connection.execute("CHECKPOINT")
                    if connection.execute("SELECT count(*) FROM pg_ls_waldir()").fetchone() == (1,):
                        return
        except error_type as error:
            raise SystemUnavailable(
                f"the fresh PostgreSQL failed: {error}; its log {self.log} ends:\n"
                f"{log_tail(self.log)}"
            ) from error
        raise SystemUnavailable(
            "a fresh PostgreSQL keeps more than one WAL segment; see its settings"
        )

    def _port_is_taken(self) -> bool:
        return bool(re.search(r"could not bind .*127\.0\.0\.1", log_tail(self.log)))


def _environment() -> Mapping[str, str]:
    return server_environment(LC_ALL="C")


def _connect(endpoint: Endpoint) -> psycopg.Connection[tuple[Any, ...]]:
    connection: psycopg.Connection[tuple[Any, ...]] = _psycopg().connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.secret.reveal() if endpoint.secret else None,
        dbname=endpoint.database,
        connect_timeout=_CONNECT_S,
        autocommit=True,
    )
    return connection


def answers_with(endpoint: Endpoint, question: str, answer: object) -> bool:
    """Whether a client can log in, and a question has this one answer."""
    unreachable = _psycopg().OperationalError
    try:
        with _connect(endpoint) as connection:
            return connection.execute(question).fetchone() == (answer,)
    except unreachable:
        return False


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise driver_missing(system("postgresql"), error) from error
    return psycopg
