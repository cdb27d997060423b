"""The seam: what takes the messages of a run somewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from deduplab.sinks.message import Message


class Sink(ABC):
    """Takes messages somewhere; used by one thread, which may wait for it.

    Attributes
    ----------
    name
        What it is called in a file of sinks.
    lost
        Messages that it was given and did not get rid of; at the end that is what was lost.
    reason
        Why the last of them was lost, or the last try failed; empty if none did.
    """

    name: str = ""

    def __init__(self) -> None:
        self.lost = 0
        self.reason = ""

    @abstractmethod
    def open(self) -> None:
        """Reach what it sends to, and prove that it may.

        Raises
        ------
        SystemUnavailable
            If it can't be reached or refuses the login.
        PlanError
            If its settings can't be right.
        """

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages, maybe none; they are lost unless the sink says otherwise."""
        self.lost += len(messages)
        self._send(messages)

    def _got_rid_of(self, count: int) -> None:
        """Note that so many messages arrived."""
        self.lost -= count

    @abstractmethod
    def _send(self, messages: Sequence[Message]) -> None:
        """Send messages, or keep them to be sent soon.

        Called about twice a second even if there are none, for what is due by then. What can't
        be sent is told by ``reason``; nothing is raised.
        """

    @abstractmethod
    def close(self, deadline_s: float) -> None:
        """Send what is left, in so many seconds at most; what is left then is lost."""

    @abstractmethod
    def sent(self) -> str:
        """Return in a few words what was sent."""
