"""Processes of a cell: forked before its own has any thread, and ended with it in any case."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from deduplab.parent_death import die_with_parent

_ENDING_S: Final = 5.0
_LOOK_S: Final = 0.01


class ForkedProcess:
    """A child of this process, as this one sees it.

    Parameters
    ----------
    name
        Who it is, for messages.
    work
        What it does, with its end of the connection; what is raised there is told by a text.
    kept
        Descriptors that it keeps open, beside its connection and where errors go.

    Attributes
    ----------
    connection
        The way to it; it is closed where the process has ended.
    process_id
        Its number; None once it was ended.
    """

    def __init__(
        self, name: str, work: Callable[[Connection], None], kept: Iterable[int] = ()
    ) -> None:
        self.connection, theirs = Pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of threads that are no Python's: those of numpy wait for work.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process_id: int | None = os.fork()
        if not self.process_id:
            _be_child(name, work, theirs, kept)
        theirs.close()

    def close(self) -> None:
        """End the process, whatever it does; safe to call twice."""
        self.connection.close()
        if self.process_id is not None:
            os.kill(self.process_id, signal.SIGKILL)
            os.waitpid(self.process_id, 0)
        self.process_id = None

    def how_it_ended(self) -> str:
        """Return how the process ended whose end of the connection is closed."""
        deadline = time.monotonic() + _ENDING_S
        while self.process_id is not None and time.monotonic() < deadline:
            ended, status = os.waitpid(self.process_id, os.WNOHANG)
            if ended:
                self.process_id = None
                code = os.waitstatus_to_exitcode(status)
                return (
                    f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                )
            time.sleep(_LOOK_S)
        return "it hangs"


def _be_child(
    name: str, work: Callable[[Connection], None], connection: Connection, kept: Iterable[int]
) -> None:
    """Do the work of the forked process, which ends here."""
    status = 1
    try:
        die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the cell's process decides
        # What was inherited would seem open to whoever waits for the cell's process to end.
        left_open = sorted((2, connection.fileno(), *kept))
        for before, after in pairwise((*left_open, os.sysconf("SC_OPEN_MAX"))):
            os.closerange(before + 1, after)
        work(connection)
        status = 0
    except (EOFError, BrokenPipeError):
        status = 0  # the cell has ended
    except Exception as error:
        words = " ".join(str(error).split())
        with suppress(OSError):
            connection.send(f"{name} failed: {type(error).__name__}: {words}")
    finally:
        # Nothing of the parent's is flushed, closed or removed a second time.
        os._exit(status)
