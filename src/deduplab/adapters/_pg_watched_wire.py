"""A connection to a primary, on which nothing is waited for once a standby has ended.

A commit waits for its standbys without a deadline, and no timeout of the server's reaches that
wait. So the client waits at its connections to the standbys, too: that of one that ends, however
it ends, is closed by the kernel. Sources: PostgreSQL documentation, "Synchronous Replication",
and libpq's "Asynchronous Command Processing".
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from deduplab.adapters._pgwire import Wire
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

_LAST_MS: Final = 5_000
"""So long the primary may still answer after a standby has ended: it may not wait for that one."""
_BINARY: Final = 1


class WatchedWire(Wire):
    """A connection to a primary; those to its standbys are there to be seen closed."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self._standbys: dict[int, tuple[str, Wire]] = {}
        self._ended = ""
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)

    def watch(self, standbys: Sequence[Endpoint]) -> None:
        """Connect to the standbys; from then on no answer is waited for once one has ended.

        Raises
        ------
        SystemUnavailable
            If one does not answer.
        """
        for number, endpoint in enumerate(standbys, 1):
            wire = Wire.connect(endpoint)
            name = f"standby {number} of {len(standbys)} ({endpoint.address})"
            self._standbys[wire.descriptor] = name, wire
            self._poll.register(wire.descriptor, select.POLLIN)

    def close(self) -> None:
        """Disconnect from all; safe to call twice."""
        for _, wire in self._standbys.values():
            wire.close()
        self._standbys = {}
        super().close()

    def _run(self, statement: bytes) -> PGresult | None:
        self._pgconn.send_query_params(statement, None)
        return self._last_result()

    def _run_prepared(self, name: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        values: Any = parameters  # as in the base
        self._pgconn.send_query_prepared(name, values, [_BINARY] * len(parameters), _BINARY)
        result = self._last_result()
        if result is None:
            raise self.told(None, "no answer", connected=False)
        return result

    def _last_result(self) -> PGresult | None:
        found = None
        while (result := self._next_result()) is not None:
            found = result
        return found

    def _next_result(self) -> PGresult | None:
        pgconn = self._pgconn
        while pgconn.is_busy():
            self._wait()
            pgconn.consume_input()
        return pgconn.get_result()

    def _wait(self) -> None:
        """Wait until the primary says something.

        Raises
        ------
        SystemUnavailable
            If a standby has ended and the primary said nothing in time; the connection is closed
            then, for what it waits for may still come to be.
        """
        primary = self.descriptor
        while True:
            ready = [found for found, _ in self._poll.poll(_LAST_MS if self._ended else None)]
            if primary in ready:
                return
            if not ready:
                self.close()
                raise SystemUnavailable(
                    f"{self.product}: {self._ended} has ended, and the primary waits for it; see "
                    "the standby's log"
                )
            for descriptor in ready:
                name, wire = self._standbys[descriptor]
                if wire.has_ended():
                    self._ended = self._ended or name
                    self._poll.unregister(descriptor)


def connected(primary: Endpoint) -> Wire:
    """Connect and log in; where there are standbys, have them watched.

    Raises
    ------
    SystemUnavailable
        If one does not answer or refuses the login.
    """
    if not primary.members:
        return Wire.connect(primary)
    wire = WatchedWire.connect(primary)
    try:
        wire.watch(primary.members)
    except BaseException:
        wire.close()
        raise
    return wire
