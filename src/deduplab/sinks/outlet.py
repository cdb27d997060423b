"""An outlet: a sink with a thread of its own and what waits for it, within a bound."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Final

import msgspec

from deduplab.sinks.message import Message
from deduplab.sinks.sink import Sink

MOST_WAITING: Final = 5_000
"""Messages that may wait for a sink, of some KB each: eight minutes of samples at 10 Hz."""
_AT_ONCE: Final = 1_000
_BEAT_S: Final = 0.5


class Delivery(msgspec.Struct, frozen=True):
    """What came of a sink's messages.

    Attributes
    ----------
    sink
        Its name.
    told
        Messages that there were for it, also those that were lost before anybody had them.
    lost
        How many of them did not arrive.
    sent
        In words what it sent.
    reason
        Why the last one was lost, or the last try failed; empty if none did.
    """

    sink: str
    told: int
    lost: int
    sent: str
    reason: str


class Outlet:
    """Gives a sink its messages.

    Parameters
    ----------
    sink
        An open one.
    room_s
        How long whoever offers a message waits for room, where too many wait already; 0 where
        something is measured meanwhile.
    """

    def __init__(self, sink: Sink, room_s: float = 0.0) -> None:
        self._sink = sink
        self._room_s = room_s
        self._waiting: deque[Message] = deque()
        self._told = self._overflown = self._missed = 0
        self._wanted = threading.Condition()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._work, name=sink.name, daemon=True)
        self._thread.start()

    def offer(self, message: Message) -> None:
        """Let a message wait for the sink, or count it as lost where too many do already."""
        with self._wanted:
            self._told += 1
            if self._wanted.wait_for(lambda: len(self._waiting) < MOST_WAITING, self._room_s):
                self._waiting.append(message)
            else:
                self._overflown += 1
            self._wanted.notify()

    def miss(self, count: int) -> None:
        """Count messages as lost that were told, and did not come so far."""
        with self._wanted:
            self._told += count
            self._missed += count

    def end(self, deadline_s: float) -> None:
        """Have the sink send what is left, in so many seconds; do not wait for that."""
        with self._wanted:
            self._deadline = time.monotonic() + deadline_s
            self._wanted.notify()

    def delivery(self) -> Delivery:
        """Wait until the sink has ended, at most its deadline, and return what came of it."""
        assert self._deadline is not None
        self._thread.join(max(0.0, self._deadline - time.monotonic()) + _BEAT_S)
        with self._wanted:
            waiting = len(self._waiting)
        lost = self._overflown + waiting + self._sink.lost
        reasons = [self._sink.reason] if self._sink.reason else []
        if lost and not reasons:
            reasons.append("it took messages more slowly than they came")
        if self._missed:
            reasons.append(f"{self._missed} found no room on the way to the relay")
        lost += self._missed
        return Delivery(self._sink.name, self._told, lost, self._sink.sent(), "; ".join(reasons))

    def _work(self) -> None:
        try:
            self._serve()
        except Exception as error:  # a fault of a sink costs its own messages, and is told
            self._sink.reason = f"{type(error).__name__}: {error}"

    def _serve(self) -> None:
        deadline = None
        while deadline is None:
            with self._wanted:
                if not self._waiting and self._deadline is None:
                    self._wanted.wait(_BEAT_S)
                batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                self._wanted.notify()
                if not self._waiting or time.monotonic() > (self._deadline or math.inf):
                    deadline = self._deadline
            self._sink.take(batch)
        self._sink.close(max(0.0, deadline - time.monotonic()))
