"""A member of a replicated system that is asked for itself, beside the one that is driven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint


class _Closable(Protocol):
    def close(self) -> None:
        """Disconnect."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=_Closable)


class AskedMember(Generic[ConnectionT]):
    """Connected when it is asked first, and anew after it did not answer.

    Parameters
    ----------
    endpoint
        Where it is.
    connect
        Makes a connection, on which a question that is not answered ends soon.
    """

    def __init__(self, endpoint: Endpoint, connect: Callable[[Endpoint], ConnectionT]) -> None:
        self.endpoint = endpoint
        self._connect = connect
        self._connection: ConnectionT | None = None

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def asked(self) -> Iterator[ConnectionT]:
        """Give the connection; it is closed if no answer comes.

        Raises
        ------
        SystemUnavailable
            If the member does not answer.
        """
        try:
            if self._connection is None:
                self._connection = self._connect(self.endpoint)
            yield self._connection
        except SystemUnavailable:
            self.close()
            raise
