"""Rest: when a size counts as settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from deduplab.cell import RestSettings
from deduplab.model import Rest

_QUIET_PAUSE_S: Final = 0.002  # between two looks at a system that does nothing on its own
_MOST_CURVE_POINTS: Final = 2000


def wait_for_rest(
    size_bytes: Callable[[], int | None],
    idle_signals: Callable[[], Mapping[str, int]],
    settings: RestSettings,
    *,
    background_work: bool,
) -> Rest:
    """Wait until a system has come to rest, or until the deadline (then: censored).

    A system with background work is at rest when its size stayed the same and
    all its idle signals were zero through the whole window. A system that
    does nothing on its own is at rest after two equal sizes in a row with zero
    signals.

    Parameters
    ----------
    size_bytes
        Returns the allocated bytes of the system's files now; None where no layer tells a
        size (a remote system that does not say its own): then the signals alone decide.
    idle_signals
        Returns the system's counts of work under way; all zero is idle.

    Returns
    -------
    Rest
        With the curve of (nanoseconds since the call, bytes), thinned where
        nothing changed; empty where no layer tells a size.
    """
    began = time.perf_counter_ns()
    window_ns = int(settings.window_s * 1e9) if background_work else 0
    deadline_ns = int(settings.deadline_s * 1e9)
    pause_s = settings.interval_s if background_work else _QUIET_PAUSE_S
    curve: list[tuple[int, int]] = []
    quiet_since: int | None = None
    while True:
        busy = {name: value for name, value in idle_signals().items() if value}
        current_bytes = size_bytes()
        now = time.perf_counter_ns() - began
        changed = current_bytes is not None and (not curve or curve[-1][1] != current_bytes)
        if changed or busy:
            quiet_since = None if busy else now
        elif quiet_since is None:
            quiet_since = now
        if current_bytes is not None:
            _extend(curve, now, current_bytes)
        if not busy and not changed and quiet_since is not None and now - quiet_since >= window_ns:
            return Rest(settled=True, waited_ns=now, curve=tuple(curve))
        if now >= deadline_ns:
            return Rest(settled=False, waited_ns=now, curve=tuple(curve), busy=busy)
        time.sleep(pause_s)


def _extend(curve: list[tuple[int, int]], now_ns: int, current_bytes: int) -> None:
    """Append a point, replacing the last one in a flat run, so that a long rest stays short."""
    flat = len(curve) >= 2 and curve[-1][1] == curve[-2][1] == current_bytes
    if flat or len(curve) >= _MOST_CURVE_POINTS:
        curve[-1] = (now_ns, current_bytes)
    else:
        curve.append((now_ns, current_bytes))
