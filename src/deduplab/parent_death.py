"""A process that ends with its parent, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent dies, however that happens (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal_number) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if _is_orphan():
        os._exit(1)


def _is_orphan() -> bool:
    """Whether the parent had died before the kernel could be asked.

    Process 1 adopts orphans. In a container it may be the parent itself, which then is of
    our session, unlike an init.
    """
    return os.getppid() == 1 and os.getsid(1) != os.getsid(0)
