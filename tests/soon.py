"""Waiting for what must come true within seconds, and not at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

DEADLINE_S: Final = 60.0
_POLL_S: Final = 0.05


def soon(found: Callable[[], Any], what: str) -> Any:
    """Return what is found as soon as it is something; it is an error if it never is."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(_POLL_S)
    return value
