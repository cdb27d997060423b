"""MariaDB's client library (Connector/C), as the adapter uses it: one connection, one error table.

The library is called by ``ctypes``, because the driver on top of it comes
without wheels and this needs the library alone, which every MariaDB client
brings along (Debian: ``libmariadb3``). Prepared statements, with the bulk
protocol, are in ``_mariadb_statement``. Sources: MariaDB Knowledge Base,
"MariaDB Connector/C API Functions" and "mysql_optionsv"; "MariaDB Error Codes".
"""

from __future__ import annotations

import ctypes
import ctypes.util
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final

from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._sql_transaction import transaction
from deduplab.adapters._tls import Tls, refused
from deduplab.errors import DeduplabError, DiskSpaceError, OperationFailed, SystemUnavailable
from deduplab.server import Endpoint

LIBRARY_NAMES: Final = ("libmariadb.so.3", "libmariadb.3.dylib")
"""Names by which the loader is asked, before it is asked for any ``mariadb``."""

_CONNECT_S: Final = 10
_ANSWER_S: Final = 600
_PACKET_BYTES: Final = 1 << 30

# Members of ``enum mysql_option`` (mysql.h).
_OPT_CONNECT_TIMEOUT: Final = 0
_OPT_CHARSET: Final = 7
_OPT_READ_TIMEOUT: Final = 11
_OPT_WRITE_TIMEOUT: Final = 12
_OPT_SSL_VERIFY: Final = 21
_OPT_SSL_CA: Final = 27
_OPT_SSL_ENFORCE: Final = 38
_OPT_MAX_PACKET: Final = 39

_TLS_ERROR: Final = 2026
_MISSING_RIGHT: Final = frozenset({1044, 1142, 1143, 1227, 1370})
"""Access to a database, a command, a column, an administrator's operation or a routine denied."""

UNAVAILABLE_ERRORS: Final = frozenset(
    {
        1040,  # too many connections
        1053,  # server shutdown in progress
        1077,  # normal shutdown
        1079,  # shutdown complete
        1152,  # aborted connection
        1158, 1159, 1160, 1161,  # network packets can't be read or written
        1184,  # aborted connection
        1927,  # connection was killed
        2002, 2003, 2005, 2006,  # can't connect, unknown host, server has gone away
        2012, 2013, 2026, 2055,  # handshake, lost connection, TLS, lost connection at a stage
    }
)  # fmt: skip
"""Errors that may pass on a fresh instance (the server's and the library's); others are failures.

What a login is refused with counts as unavailable too, where the connection is made.
"""


_DISK_FULL: Final = (1021, 1114)
"""Errors of a disk that is full: ER_DISK_FULL, and ER_RECORD_FILE_FULL of a table."""

_NO_LOGIN: Final = (1045, 1698)
"""Errors of a user or secret that the server does not take (ER_ACCESS_DENIED..)."""


def translated(number: int, state: str, words: str, *, connecting: bool = False) -> DeduplabError:
    """Return our error for the server's or the library's: the one place that tells them apart.

    Parameters
    ----------
    number
        The error's number, as in "MariaDB Error Codes"; from 2000 on it is the library's.
    state
        Its SQLSTATE.
    words
        What was said.
    connecting
        Whether it came of the attempt to connect: then nothing can be done but try again.
    """
    said = f"{' '.join(words.split()) or 'no reason given'} (error {number}, SQLSTATE {state})"
    if connecting or number in UNAVAILABLE_ERRORS:
        return SystemUnavailable(f"mariadb: the server can't be reached or is going down: {said}")
    if number in _DISK_FULL:
        return DiskSpaceError(f"mariadb: the server's disk is full; free some of it: {said}")
    if number in _MISSING_RIGHT:
        said += f"; {advice('mariadb')}"
    return OperationFailed(f"mariadb: the server refused: {said}")


@cache
def library() -> ctypes.CDLL:
    """Return Connector/C, with its functions described.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    found = ctypes.util.find_library("mariadb")
    for name in (*LIBRARY_NAMES, *([found] if found else [])):
        try:
            loaded = ctypes.CDLL(name)
        except OSError:
            continue
        _describe(loaded)
        return loaded
    raise SystemUnavailable(
        "mariadb: MariaDB's client library (Connector/C 3, libmariadb.so.3) is not installed; "
        "on Debian: apt-get install libmariadb3"
    )


def _describe(loaded: ctypes.CDLL) -> None:
    """Tell ctypes the types of the functions (mysql.h, mariadb_stmt.h)."""
    pointer, number, text, long = ctypes.c_void_p, ctypes.c_uint, ctypes.c_char_p, ctypes.c_ulong
    count, flag = ctypes.c_ulonglong, ctypes.c_char
    functions: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "mysql_init": (pointer, (pointer,)),
        "mysql_close": (None, (pointer,)),
        "mysql_optionsv": (ctypes.c_int, (pointer, ctypes.c_int, pointer)),
        "mysql_real_connect": (
            pointer,
            (pointer, text, text, text, text, number, text, long),
        ),
        "mysql_real_query": (ctypes.c_int, (pointer, text, long)),
        "mysql_store_result": (pointer, (pointer,)),
        "mysql_free_result": (None, (pointer,)),
        "mysql_fetch_row": (ctypes.POINTER(pointer), (pointer,)),
        "mysql_fetch_lengths": (ctypes.POINTER(long), (pointer,)),
        "mysql_num_fields": (number, (pointer,)),
        "mysql_field_count": (number, (pointer,)),
        "mysql_affected_rows": (count, (pointer,)),
        "mysql_errno": (number, (pointer,)),
        "mysql_sqlstate": (text, (pointer,)),
        "mysql_error": (text, (pointer,)),
        "mysql_stmt_init": (pointer, (pointer,)),
        "mysql_stmt_prepare": (ctypes.c_int, (pointer, text, long)),
        "mysql_stmt_attr_set": (flag, (pointer, ctypes.c_int, pointer)),
        "mysql_stmt_bind_param": (flag, (pointer, pointer)),
        "mysql_stmt_bind_result": (flag, (pointer, pointer)),
        "mysql_stmt_execute": (ctypes.c_int, (pointer,)),
        "mysql_stmt_fetch": (ctypes.c_int, (pointer,)),
        "mysql_stmt_fetch_column": (ctypes.c_int, (pointer, pointer, number, long)),
        "mysql_stmt_free_result": (flag, (pointer,)),
        "mysql_stmt_affected_rows": (count, (pointer,)),
        "mysql_stmt_errno": (number, (pointer,)),
        "mysql_stmt_sqlstate": (text, (pointer,)),
        "mysql_stmt_error": (text, (pointer,)),
        "mysql_stmt_close": (flag, (pointer,)),
    }
    for name, (returns, takes) in functions.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = returns, takes


class Connection:
    """One blocking connection that is logged in; an answer is waited for ten minutes, or less."""

    def __init__(self, handle: int) -> None:
        self.library = library()
        self.handle: int | None = handle

    @classmethod
    def connect(cls, endpoint: Endpoint, *, answer_s: int = _ANSWER_S) -> Connection:
        """Connect to an endpoint and log in.

        Whether the server must prove who it is, the endpoint's options say: ``_tls``.

        Parameters
        ----------
        answer_s
            How long an answer is waited for at most.

        Raises
        ------
        SystemUnavailable
            If the library is missing, nobody answers within ten seconds, or the
            login is refused.
        """
        if endpoint.host is None or endpoint.port is None:
            raise SystemUnavailable("mariadb needs the host and the port of a server")
        loaded = library()
        handle = loaded.mysql_init(None)
        if not handle:
            raise SystemUnavailable("mariadb: the client library has no memory for a connection")
        connection = cls(handle)
        connection._set_options(endpoint, answer_s)
        opened = loaded.mysql_real_connect(
            handle,
            endpoint.host.encode(),
            (endpoint.user or "").encode(),
            endpoint.secret.reveal().encode() if endpoint.secret else None,
            endpoint.database.encode() if endpoint.database else None,
            endpoint.port,
            None,
            0,
        )
        if not opened:
            error = connection._error(connecting=True)
            number = loaded.mysql_errno(handle)
            is_tls = number == _TLS_ERROR
            connection.close()
            if number in _NO_LOGIN:
                raise login_refused("mariadb", endpoint, error)
            raise refused("mariadb", endpoint.host, str(error)) if is_tls else error
        return connection

    def _set_options(self, endpoint: Endpoint, answer_s: int) -> None:
        number = ctypes.c_uint
        settings: list[tuple[int, Any]] = [
            (_OPT_CONNECT_TIMEOUT, ctypes.byref(number(min(_CONNECT_S, answer_s)))),
            (_OPT_READ_TIMEOUT, ctypes.byref(number(answer_s))),
            (_OPT_WRITE_TIMEOUT, ctypes.byref(number(answer_s))),
            (_OPT_MAX_PACKET, ctypes.byref(ctypes.c_size_t(_PACKET_BYTES))),
            (_OPT_CHARSET, ctypes.c_char_p(b"utf8mb4")),
        ]
        tls = Tls.of(endpoint)
        if tls is not None and tls.authority is not None:
            settings.append((_OPT_SSL_CA, ctypes.c_char_p(tls.authority.encode())))
        if tls is not None:
            yes = ctypes.c_char(1)
            settings += [
                (_OPT_SSL_ENFORCE, ctypes.byref(yes)),
                (_OPT_SSL_VERIFY, ctypes.byref(yes)),
            ]
        for option, value in settings:
            if self.library.mysql_optionsv(self.handle, option, value):
                raise self._error(connecting=True)

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        if self.handle is not None:
            self.library.mysql_close(self.handle)
        self.handle = None

    def query(self, statement: str) -> list[tuple[str, ...]]:
        """Run one statement and return its rows as text; NULL is ``''``, without rows none."""
        loaded, handle = self.library, self.handle
        text = statement.encode()
        if loaded.mysql_real_query(handle, text, len(text)):
            raise self._error()
        result = loaded.mysql_store_result(handle)
        if not result:
            if loaded.mysql_field_count(handle):
                raise self._error()
            return []
        try:
            rows: list[tuple[str, ...]] = []
            width = loaded.mysql_num_fields(result)
            while row := loaded.mysql_fetch_row(result):
                lengths = loaded.mysql_fetch_lengths(result)
                rows.append(
                    tuple(
                        ctypes.string_at(row[place], lengths[place]).decode() if row[place] else ""
                        for place in range(width)
                    )
                )
            return rows
        finally:
            loaded.mysql_free_result(result)

    def scalar(self, statement: str) -> str | None:
        """Return the first value of a statement's first row as text, None without a row."""
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def transaction(self) -> AbstractContextManager[None]:
        """Run what is inside as one transaction; an error rolls it back."""
        return transaction(self.query, "START TRANSACTION")

    def affected_rows(self) -> int:
        """Return how many rows the last statement changed."""
        return int(self.library.mysql_affected_rows(self.handle))

    def _error(self, *, connecting: bool = False) -> DeduplabError:
        loaded, handle = self.library, self.handle
        return translated(
            loaded.mysql_errno(handle),
            loaded.mysql_sqlstate(handle).decode(),
            loaded.mysql_error(handle).decode("utf-8", "replace"),
            connecting=connecting,
        )
