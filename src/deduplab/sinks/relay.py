"""The relay: the process that gives a run's events to its sinks.

Started by ``relay_process``. It says on standard output whether all sinks are open, reads events
until no process has the feed open any more (the run has ended, or was killed with all that it
began), gives sinks some seconds for what is left, says what came of it, and ends. Signals that
end a run are not for it: it has to tell of that end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deduplab.errors import DeduplabError
from deduplab.event import decoded
from deduplab.feed import LARGEST_BYTES
from deduplab.loss_count import LossCount
from deduplab.sinks import sinks_file
from deduplab.sinks.message import Context
from deduplab.sinks.outlet import Delivery, Outlet
from deduplab.sinks.sink import Sink

END_S: Final = 10.0
"""What sinks have for what is left in the end, together."""


class Opened(msgspec.Struct, frozen=True):
    """The first line that a relay says: why its sinks can't be used, or nothing.

    ``error`` names a class of ``deduplab.errors``.
    """

    error: str = ""
    words: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The last line that a relay says."""

    deliveries: tuple[Delivery, ...]


def relay(
    feed: socket.socket, losses: LossCount, sinks: list[Sink], room_s: float
) -> tuple[Delivery, ...]:
    """Give all events of a feed to open sinks; return what came of it.

    ``losses`` counts what found no room in the feed: no sink has got that. ``room_s`` is how
    long an event may wait for a sink that is full of others.
    """
    outlets = [Outlet(sink, room_s) for sink in sinks]
    context = Context()
    while content := feed.recv(LARGEST_BYTES):
        message = context.message(decoded(content))
        for outlet in outlets:
            outlet.offer(message)
    unheard = losses.take()  # all who could add to them have ended
    for outlet in outlets:
        outlet.miss(unheard)
        outlet.end(END_S)
    return tuple(outlet.delivery() for outlet in outlets)


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    descriptor, counter, path, room_s = sys.argv[1:]
    feed = socket.socket(fileno=int(descriptor))
    losses = LossCount(int(counter))
    try:
        sinks = [settings.sink() for settings in sinks_file.load(Path(path))]
        for sink in sinks:
            sink.open()
    except DeduplabError as error:
        _say(Opened(type(error).__name__, str(error)))
        os._exit(1)
    _say(Opened())
    _say(Ended(relay(feed, losses, sinks, float(room_s))))
    os._exit(0)  # a sink that still tries is not waited for


def _say(line: Opened | Ended) -> None:
    with suppress(BrokenPipeError):  # the run was killed
        os.write(1, msgspec.json.encode(line) + b"\n")


if __name__ == "__main__":
    _main()
