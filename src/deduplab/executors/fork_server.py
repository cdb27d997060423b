"""The fork server of a run: started so that it ends with the run, and before anything it imports.

The pipe by which ``multiprocessing`` would have it end is held open by the cell's process,
too, so a cell whose run was killed would go on to the end of its stage, beside the cells of
whoever goes on with the run. So the kernel ends the fork server with the run.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from typing import Final

_PRELOADED_FIRST: Final = "deduplab.executors._ends_with_run"


def context(modules: Sequence[str]) -> ForkServerContext:
    """Return the context whose fork server will have these modules imported."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([_PRELOADED_FIRST, *modules])
    return found


def ensure_running() -> None:
    """Start the fork server if it does not run, deaf to Ctrl-C: the run decides what that ends.

    It would be interrupted in its imports otherwise, with a traceback, since a terminal
    tells all processes of the run. So it begins with the signal blocked, which is ignored there
    before it is let through. What comes to the run meanwhile waits, and is not lost.
    """
    # First, as its own start lets the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
