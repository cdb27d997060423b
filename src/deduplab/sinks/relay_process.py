"""The relay as the run sees it: started before the first cell, asked in the end."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deduplab import errors
from deduplab.errors import SystemUnavailable
from deduplab.feed import Feed
from deduplab.sinks.outlet import Delivery
from deduplab.sinks.relay import END_S, Ended, Opened

_RELAY: Final = (sys.executable, "-P", "-m", "deduplab.sinks.relay")
_OPEN_S: Final = 60.0
_GRACE_S: Final = 10.0


class RelayProcess:
    """A relay that has its sinks open.

    Attributes
    ----------
    feed
        The end to write to.
    deliveries
        What came of it, once it has ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], feed: Feed) -> None:
        self.feed = feed
        self.deliveries: tuple[Delivery, ...] = ()
        self._process = process

    def end(self) -> None:
        """Close the feed and wait until the sinks have what is left, or their time is over."""
        self.feed.close()
        line = _line(self._process, END_S + _GRACE_S)
        if line:
            self.deliveries = msgspec.json.decode(line, type=Ended).deliveries
        _take_down(self._process)


@contextmanager
def relayed(path: Path, room_s: float = 0.0) -> Iterator[RelayProcess]:
    """Have a relay for the sinks of a file, and end it.

    ``room_s`` is how long an event may wait for a sink that is full of others: 0 where something
    is measured meanwhile.

    Raises
    ------
    PlanError
        If the file is wrong.
    SystemUnavailable
        If a sink can't be reached, or its login is refused.
    """
    feed, theirs = Feed.pair()
    try:
        with theirs:
            handed = theirs.fileno(), feed.losses.fileno()
            process = subprocess.Popen(
                (*_RELAY, *map(str, handed), path, str(room_s)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal is for the run alone
                pass_fds=handed,
            )
        try:
            _require_open(_line(process, _OPEN_S))
            relay = RelayProcess(process, feed)
            try:
                yield relay
            finally:
                relay.end()
        finally:
            _take_down(process)
    finally:
        feed.close()


def _require_open(line: bytes) -> None:
    if not line:
        raise SystemUnavailable(f"the sinks were not open within {_OPEN_S:.0f} s")
    opened = msgspec.json.decode(line, type=Opened)
    if opened.error:
        raise getattr(errors, opened.error)(opened.words)


def _line(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """Return the next line that a relay says; empty if it says none by the deadline."""
    assert process.stdout is not None
    said = select.poll()  # not by select(), which knows no descriptor above 1023
    said.register(process.stdout, select.POLLIN)
    if not said.poll(deadline_s * 1000):
        return b""
    return process.stdout.readline()


def _take_down(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.close()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
