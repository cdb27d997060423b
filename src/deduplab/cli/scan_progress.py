"""Progress of a scan: how much was read, how fast, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from deduplab.units import format_bytes, format_seconds

_PLAIN_EVERY_S: Final = 10.0
_DRAWN_EVERY_S: Final = 0.1


@contextmanager
def shown_progress(
    stream: TextIO, what: str, expected_bytes: int | None
) -> Iterator[Callable[[int], None]]:
    """Show rate and time left: a live bar on a terminal, a line every ten seconds elsewhere."""
    if not stream.isatty():
        yield _PlainProgress(stream, expected_bytes).advance
        return
    from rich.console import Console  # late, as most of a short scan is its start

    from deduplab.cli.byte_bar import byte_bar

    # No thread that draws: while one runs, processes that scan can't be forked.
    bar = byte_bar(Console(file=stream), auto_refresh=False)
    with bar:
        task = bar.add_task(what, total=expected_bytes)
        drawn = time.monotonic()

        def advance(done_bytes: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            bar.update(task, advance=done_bytes, refresh=now - drawn >= _DRAWN_EVERY_S)
            if now - drawn >= _DRAWN_EVERY_S:
                drawn = now

        yield advance


class _PlainProgress:
    """Lines instead of a bar, for logs."""

    def __init__(self, stream: TextIO, expected_bytes: int | None) -> None:
        self._stream = stream
        self._expected_bytes = expected_bytes
        self._done_bytes = 0
        self._began = self._last = time.monotonic()

    def advance(self, done_bytes: int) -> None:
        self._done_bytes += done_bytes
        now = time.monotonic()
        if now - self._last < _PLAIN_EVERY_S:
            return
        self._last = now
        rate = self._done_bytes / (now - self._began)
        left = ""
        if self._expected_bytes and rate:
            left_s = max(0, self._expected_bytes - self._done_bytes) / rate
            left = f" of {format_bytes(self._expected_bytes)}, {format_seconds(left_s)} left"
        self._stream.write(
            f"{format_bytes(self._done_bytes)} scanned{left}, {rate / 1e6:.0f} MB/s\n"
        )
        self._stream.flush()
