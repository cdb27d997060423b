"""Exceptions that a signal's handler raises, and Python may swallow: then they are raised again.

A handler runs between any two instructions. Where that is in a callback of a weak reference or
in ``__del__``, Python reports what it raises ("Exception ignored in ...") and goes on, and who
was told to end never hears of it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_OUTSIDE_S: Final = 0.01  # so long until the callback has returned; if it has not, once more


@contextmanager
def raised_again(*kinds: type[BaseException]) -> Iterator[None]:
    """Raise exceptions of these kinds again that are swallowed meanwhile; in the main thread.

    By a timer's signal (SIGALRM): where it was swallowed nothing can be raised.
    """
    reported = sys.unraisablehook
    before = signal.getsignal(signal.SIGALRM)

    def look(swallowed: UnraisableHookArgs) -> None:
        if not issubclass(swallowed.exc_type, kinds):
            reported(swallowed)
            return
        kind = swallowed.exc_type  # what was raised itself would keep its frames alive

        def again(signal_number: int, frame: FrameType | None) -> None:
            raise kind

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _OUTSIDE_S)

    sys.unraisablehook = look
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        sys.unraisablehook = reported
