"""``deduplab scan`` called in this process, with its exit code and what it printed."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deduplab.cli.main import main

Scan = Callable[..., "Outcome"]


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def grain(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {one["grain"]: one for one in self.document["grains"]}[name]
        return found


@contextmanager
def scanning(m: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Scan]:
    """Give a function that calls the command; what ``main`` changes is put back."""
    before = signal.getsignal(signal.SIGTERM)
    m.setenv("COLUMNS", "100")

    def call(*arguments: str | Path) -> Outcome:
        m.setattr(sys, "argv", ["deduplab", "scan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        out, err = capfd.readouterr()
        return Outcome(ended.value.code, out, err)

    yield call
    signal.signal(signal.SIGTERM, before)
