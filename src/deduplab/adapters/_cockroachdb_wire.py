"""CockroachDB's side of the wire: PostgreSQL's protocol, with errors and settings of its own.

Sources: CockroachDB documentation, "Transaction Retry Error Reference", "Common
Errors and Solutions", "SHOW {session variable}", "COPY".
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.adapters._pgwire import Wire
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable, Unsupported
from deduplab.server import Endpoint

RETRY_SQLSTATES: Final = (
    "40001",  # serialization failure: the client is to retry the transaction
    "40003",  # statement completion unknown: it may have been committed or not
)
"""SQLSTATEs of a transaction that lost against another one, or whose end nobody knows."""

_WANTED: Final = {
    # Since 26.1 the internals are closed by default, and cluster id and metrics are among them.
    "allow_unsafe_internals": "on",
    # A batch is acknowledged whole or not at all, not in pieces of a hundred rows.
    "copy_from_atomic_enabled": "on",
}
_NEEDED: Final = ("copy_from_atomic_enabled",)


class CockroachWire(Wire):
    """One blocking connection to a node of a CockroachDB cluster."""

    product: ClassVar[str] = "cockroachdb"

    @classmethod
    def told(cls, sqlstate: str | None, words: str, *, connected: bool) -> DeduplabError:
        """Return our error for the server's.

        A transaction that CockroachDB asks to retry has stored nothing that counts.
        Adapters never retry, so it is the cell that is measured again: this is what
        may pass on a fresh instance.
        """
        if connected and sqlstate in RETRY_SQLSTATES:
            said = " ".join(words.split())
            return SystemUnavailable(
                f"the server asks to try again (SQLSTATE {sqlstate}): {said}; other clients "
                "change the same rows, or a node is in trouble"
            )
        return super().told(sqlstate, words, connected=connected)


def connected(endpoint: Endpoint) -> Wire:
    """Connect, log in, see that it is CockroachDB, and set the session up.

    Raises
    ------
    SystemUnavailable
        If nobody answers, the login is refused, or another product answers.
    Unsupported
        If it is too old to load a batch as one transaction (before 22.2).
    """
    wire = CockroachWire.connect(endpoint)
    try:
        _set_up(wire, endpoint)
    except BaseException:
        wire.close()
        raise
    return wire


def _set_up(wire: Wire, endpoint: Endpoint) -> None:
    version = wire.scalar("SELECT version()") or "nothing"
    if "CockroachDB" not in version:
        raise SystemUnavailable(
            f"{endpoint.host}:{endpoint.port} is no CockroachDB, it says: {version}"
        )
    for name, value in _WANTED.items():
        # Versions differ in which of these settings they have.
        try:
            wire.query(f"SET {name} = {value}")
        except OperationFailed as error:
            if name in _NEEDED:
                raise Unsupported(
                    f"cockroachdb {version} has no {name}; take version 23.2 or later"
                ) from error
