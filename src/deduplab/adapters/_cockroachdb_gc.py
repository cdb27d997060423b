"""Waiting for CockroachDB's background work: removal of old versions, and of expired rows.

No statement does either; both are brought about by settings, and their end is
seen in sizes and rows. The pauses between two looks, and the clock of the
deadlines, are the server's (``pg_sleep``, ``clock_timestamp``). Sources:
CockroachDB documentation, "Replication Controls" (``gc.ttlseconds``), "Storage
Layer" (garbage collection), "Row-Level TTL", "SHOW RANGES".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from deduplab.adapters import _cockroachdb_reports as reports
from deduplab.adapters._cockroachdb_tables import Statements, zone, zone_restored
from deduplab.adapters._pgwire import Wire
from deduplab.errors import DeduplabError, OperationFailed

GC_DEADLINE_S: Final = 900.0
TTL_DEADLINE_S: Final = 480.0
LEFT_BYTES: Final = 4096
"""Garbage below this many bytes counts as gone."""

_SHORTEST_TTL_S: Final = 1


def collect(wire: Wire, namespace: str, variant: str, *, enqueue: bool) -> None:
    """Lower ``gc.ttlseconds`` to a second, wait until old versions are gone, and set it back.

    Parameters
    ----------
    enqueue
        Also ask the garbage collector to look at each range, by an internal function
        (``crdb_internal.kv_enqueue_replica``); it sees ranges that the node leads which
        we are connected to. Without it, its own round is waited for: some ten minutes.

    Raises
    ------
    OperationFailed
        If they are not gone by the deadline: a backup, a changefeed or an open
        transaction may hold them.
    """

    def is_collected() -> bool:
        if reports.garbage_bytes(wire, namespace) < LEFT_BYTES:
            return True
        if enqueue:
            wire.query(
                "SELECT crdb_internal.kv_enqueue_replica(range_id, 'mvccGC', true) "  # noqa: S608
                f'FROM [SHOW RANGES FROM DATABASE "{namespace}" WITH DETAILS] '
                "WHERE lease_holder = crdb_internal.node_id()"
            )
        return False

    with altered(wire, zone(namespace, _SHORTEST_TTL_S), zone_restored(variant, namespace)):
        wait_until(
            wire,
            is_collected,
            f"database {namespace!r}: removal of old versions "
            "(a backup, a changefeed or an open transaction may hold them)",
            GC_DEADLINE_S,
        )


def expire(wire: Wire, statements: Statements) -> None:
    """Let all rows of the table expire, wait until the TTL job deleted them, and set it back.

    Raises
    ------
    OperationFailed
        If there are rows left at the deadline.
    """
    assert statements.expire is not None
    assert statements.keep is not None
    with altered(wire, statements.expire, statements.keep):
        wait_until(
            wire,
            lambda: not wire.query(statements.occupied),
            "deletion of expired rows by the TTL job",
            TTL_DEADLINE_S,
        )


@contextlib.contextmanager
def altered(wire: Wire, change: str, restore: str) -> Iterator[None]:
    """Change a setting for what is inside, and restore it, also after an error."""
    wire.query(change)
    try:
        yield
    except BaseException:
        with contextlib.suppress(DeduplabError):  # what went wrong first is what counts
            wire.query(restore)
        raise
    wire.query(restore)


def wait_until(wire: Wire, is_done: Callable[[], bool], what: str, deadline_s: float) -> None:
    """Look every second until something is done, by the server's clock.

    Raises
    ------
    OperationFailed
        If it is not done by the deadline; ``what`` says what was waited for.
    """
    end_s = reports.clock_s(wire) + deadline_s
    while not is_done():
        if reports.clock_s(wire) >= end_s:
            raise OperationFailed(f"cockroachdb: {what} was not done in {deadline_s:g} s")
        wire.query("SELECT pg_sleep(1)")
