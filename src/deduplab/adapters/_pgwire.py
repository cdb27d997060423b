"""PostgreSQL's wire protocol, as adapters of its family use it.

One blocking libpq connection (psycopg's ``pq`` layer, without its cursors),
COPY of pieces that somebody else frames (``_pg_binary``), prepared statements with
binary parameters, and one table that translates errors. Sources: PostgreSQL
documentation, "libpq", "Command Execution Functions" and "Functions Associated
with the COPY Command"; "PostgreSQL Error Codes" (appendix A).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._sql_transaction import transaction
from deduplab.adapters._tls import WITHOUT_TLS, Tls, refused
from deduplab.errors import DeduplabError, DiskSpaceError, OperationFailed, SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

APPLICATION_NAME: Final = "deduplab"
_CONNECT_S: Final = 10
_NOT_PROVEN: Final = re.compile(
    r"certificate verify failed|server certificate for .* does not match"
)
"""What libpq says of a certificate that it does not take."""
_NO_LOGIN: Final = re.compile(
    r"authentication failed|no password supplied|role \S+ does not exist|no pg_hba\.conf entry"
)
"""What the server says of a user or secret that it does not take: libpq tells no SQLSTATE then."""
_ALONE: Final = b"wait for synchronous replication"
"""Of the warning that a commit was ended before all standbys had it: it would look acknowledged."""
_DISK_FULL: Final = "53100"
_STATEMENT_MS: Final = 600_000
_BINARY: Final = 1

INSUFFICIENT_PRIVILEGE: Final = "42501"

UNAVAILABLE_SQLSTATES: Final = (
    "08",  # connection exceptions
    "53300",  # too many connections
    "57P01",  # administrator command: shutdown
    "57P02",  # crash shutdown
    "57P03",  # cannot connect now
    "58030",  # I/O error below the server
)
"""SQLSTATEs, or classes of them, that may pass on a fresh instance; all others are failures."""


def translated(sqlstate: str | None, words: str, *, connected: bool = True) -> DeduplabError:
    """Return our error for the server's: the one place where they are told apart.

    Parameters
    ----------
    sqlstate
        The five characters of the server's error, None where the client library failed.
    words
        What the server or the library said.
    connected
        Whether the connection still stands; without it the system is unavailable.
    """
    said = " ".join(words.split()) or "no reason given"
    if sqlstate is not None:
        said = f"{said} (SQLSTATE {sqlstate})"
    if not connected or (sqlstate or "").startswith(UNAVAILABLE_SQLSTATES):
        return SystemUnavailable(f"the server can't be reached or is going down: {said}")
    if sqlstate == _DISK_FULL:
        return DiskSpaceError(f"the server's disk is full; free some of it: {said}")
    return OperationFailed(f"the server refused: {said}")


class Wire:
    """One blocking connection. Statements end after ten minutes at the latest.

    Attributes
    ----------
    product
        The system's name, for messages.
    """

    product: ClassVar[str] = "postgresql"

    def __init__(self, pgconn: PGconn) -> None:
        from psycopg import errors, pq

        self._pgconn = pgconn
        self._driver_error: type[Exception] = errors.Error
        self._ready = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
        self._copying = pq.ExecStatus.COPY_IN
        self._good = pq.ConnStatus.OK
        self._field = pq.DiagnosticField
        self._is_alone = False
        # libpq would print the server's notices on our standard error.
        pgconn.notice_handler = self._noticed

    @classmethod
    def connect(cls, endpoint: Endpoint) -> Self:
        """Connect to an endpoint and log in.

        Raises
        ------
        SystemUnavailable
            If the driver is missing, nobody answers within ten seconds, or the
            login is refused.
        """
        try:
            from psycopg import pq
            from psycopg.conninfo import make_conninfo
        except ImportError as error:
            raise driver_missing(system(cls.product), error) from error
        described: dict[str, Any] = {
            "host": endpoint.host,
            "port": endpoint.port,
            "user": endpoint.user,
            "password": endpoint.secret.reveal() if endpoint.secret else None,
            "dbname": endpoint.database,
            **_tls_of(endpoint),
        }
        given = {name: value for name, value in described.items() if value is not None}
        conninfo = make_conninfo(
            **given,
            application_name=APPLICATION_NAME,
            client_encoding="UTF8",
            connect_timeout=_CONNECT_S,
            tcp_user_timeout=30_000,
        )
        pgconn = pq.PGconn.connect(conninfo.encode())
        if pgconn.status != pq.ConnStatus.OK:
            words = pgconn.get_error_message()
            pgconn.finish()
            if _NOT_PROVEN.search(words):
                raise refused(cls.product, endpoint.host, words)
            if _NO_LOGIN.search(words):
                raise login_refused(cls.product, endpoint, words)
            if "does not support SSL" in words:
                words = f"{words.strip()}; {WITHOUT_TLS}"
            if "permission denied" in words:  # of the right CONNECT, without an SQLSTATE
                words = f"{words.strip()}; {advice(cls.product)}"
            raise cls.told(None, words, connected=False)
        wire = cls(pgconn)
        wire.query(f"SET statement_timeout = {_STATEMENT_MS}")
        return wire

    @classmethod
    def told(cls, sqlstate: str | None, words: str, *, connected: bool) -> DeduplabError:
        """Return our error for the server's; a member of the family may tell more apart."""
        error = translated(sqlstate, words, connected=connected)
        if sqlstate == INSUFFICIENT_PRIVILEGE:
            return OperationFailed(f"{error}; {advice(cls.product)}")
        return error

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        self._pgconn.finish()

    def query(self, statement: str) -> list[tuple[str, ...]]:
        """Run one statement without parameters and return its rows as text; NULL is ``''``."""
        with self._translating():
            result = self._checked(self._run(statement.encode()))
            return [
                tuple(
                    (result.get_value(row, column) or b"").decode()
                    for column in range(result.nfields)
                )
                for row in range(result.ntuples)
            ]

    def scalar(self, statement: str) -> str | None:
        """Return the first value of a statement's first row as text, None without a row."""
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def prepare(self, name: bytes, statement: str) -> None:
        """Prepare a statement under a name that is not taken yet."""
        with self._translating():
            self._checked(self._pgconn.prepare(name, statement.encode()))

    def execute(self, statement: str) -> int:
        """Run one statement without parameters; return the rows that it changed."""
        with self._translating():
            result = self._checked(self._run(statement.encode()))
            return result.command_tuples or 0

    def transaction(self) -> AbstractContextManager[None]:
        """Run what is inside as one transaction; an error rolls it back."""
        return transaction(self.query, "BEGIN")

    def execute_prepared(self, name: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        """Run a prepared statement with binary parameters (None: NULL) and a binary result."""
        try:
            result = self._run_prepared(name, parameters)
        except self._driver_error as error:
            raise self._lost(error) from error
        if result.status not in self._ready:
            raise self._refused(result)
        if self._is_alone:
            raise self._not_replicated()
        return result

    def copy_in(self, statement: str, chunks: Iterable[bytes]) -> int:
        """Run ``COPY .. FROM STDIN`` with these pieces; return the rows that the server took."""
        pgconn = self._pgconn
        with self._translating():
            result = pgconn.exec_(statement.encode())
            if result.status != self._copying:
                raise self._refused(result)
            put = pgconn.put_copy_data
            for chunk in chunks:
                put(chunk)
            pgconn.put_copy_end()
            return self._checked(self._last_result()).command_tuples or 0

    def has_ended(self) -> bool:
        """Whether the server has closed the connection; what else it said unasked is dropped."""
        try:
            self._pgconn.consume_input()
        except self._driver_error:
            return True
        return self._pgconn.status != self._good

    @property
    def descriptor(self) -> int:
        """The socket, to be waited at."""
        return self._pgconn.socket

    def _run(self, statement: bytes) -> PGresult | None:
        """Run a statement without parameters, and wait for its end."""
        return self._pgconn.exec_params(statement, None)

    def _run_prepared(self, name: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        """Run a prepared statement, and wait for its end."""
        # The driver's own types do not tell that None is NULL.
        values: Any = parameters
        return self._pgconn.exec_prepared(name, values, [_BINARY] * len(parameters), _BINARY)

    def _last_result(self) -> PGresult | None:
        """Wait for the end of what was sent; return its result, the last of several."""
        found = None
        while (result := self._pgconn.get_result()) is not None:
            found = result
        return found

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except self._driver_error as error:
            raise self._lost(error) from error

    def _checked(self, result: PGresult | None) -> PGresult:
        if result is None:
            raise self.told(None, "no answer", connected=False)
        if result.status not in self._ready:
            raise self._refused(result)
        if self._is_alone:
            raise self._not_replicated()
        return result

    def _noticed(self, notice: PGresult) -> None:
        """Drop a notice of the server; one says that a commit was not waited for any longer."""
        if _ALONE in (notice.error_field(self._field.MESSAGE_PRIMARY) or b""):
            self._is_alone = True

    def _not_replicated(self) -> DeduplabError:
        self._is_alone = False
        return SystemUnavailable(
            f"{self.product}: a commit is on the primary alone, for a standby has not acknowledged "
            "it; is one of them down or stopped? See its log"
        )

    def _refused(self, result: PGresult) -> DeduplabError:
        def words(field: int) -> str:
            return (result.error_field(field) or b"").decode("utf-8", "replace")

        said = words(self._field.MESSAGE_PRIMARY) or result.get_error_message()
        detail = words(self._field.MESSAGE_DETAIL)
        return self.told(
            words(self._field.SQLSTATE) or None,
            f"{said}: {detail}" if detail else said,
            connected=self._pgconn.status == self._good,
        )

    def _lost(self, error: Exception) -> DeduplabError:
        return self.told(None, str(error), connected=self._pgconn.status == self._good)


def _tls_of(endpoint: Endpoint) -> dict[str, str]:
    """Return libpq's words for how the server proves who it is."""
    tls = Tls.of(endpoint)
    if tls is None:
        return {"sslmode": "disable"}
    return {"sslmode": "verify-full", "sslrootcert": tls.authority or "system"}
