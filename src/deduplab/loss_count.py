"""How many events were lost on their way: one number, to which all processes of a run add.

The kernel keeps it (eventfd), so adding is one call that never waits, and what a process added
stays when it is killed.
"""

from __future__ import annotations

import os
from multiprocessing.reduction import DupFd
from typing import Any


class LossCount:
    """The number, as one process sees it; it can be handed to a process that is started.

    Parameters
    ----------
    descriptor
        Of an eventfd.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def at_zero(cls) -> LossCount:
        """Return a new one."""
        return cls(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def __reduce__(self) -> tuple[Any, ...]:
        return _handed_over, (DupFd(self._descriptor),)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def add_one(self) -> None:
        """Count one more."""
        os.eventfd_write(self._descriptor, 1)

    def take(self) -> int:
        """Return how many were counted since they were taken last, by whichever process."""
        try:
            return os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close this process's descriptor; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _handed_over(descriptor: Any) -> LossCount:
    return LossCount(descriptor.detach())
