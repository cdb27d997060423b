from __future__ import annotations

import io
import threading
import time
from types import SimpleNamespace

import pytest

from deduplab.cli import scan_progress
from deduplab.units import MIB


def test_a_log_gets_lines_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((100.0, 101.0, 111.0, 112.0))
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("deduplab.cli.scan_progress.time", clock)
    stream = io.StringIO()
    with scan_progress.shown_progress(stream, "scanning", 22 * MIB) as advance:
        advance(MIB)
        advance(10 * MIB)
        advance(MIB)
    lines = stream.getvalue().splitlines()
    assert lines == ["11.0 MiB scanned of 22.0 MiB, 11.0 s left, 1 MB/s"]


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    before = set(threading.enumerate())  # other tests may have left some that end meanwhile
    with scan_progress.shown_progress(stream, "scanning", 2 * MIB) as advance:
        assert not set(threading.enumerate()) - before
        advance(MIB)
        time.sleep(0.11)  # longer than between two pictures
        advance(MIB // 2)
    assert "scanning" in stream.getvalue()
    assert "1.5/2.0 MiB" in stream.getvalue()
