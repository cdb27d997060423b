"""A process that is known again: its id alone is given to another one some day."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STARTED_FIELD: Final = 22  # of /proc/PID/stat, see proc(5); counted from 1
_FIRST_AFTER_NAME: Final = 3


@dataclass(frozen=True, slots=True)
class ProcessId:
    """The id of a process, and when it started.

    Parameters
    ----------
    pid
        Its number.
    started_ticks
        Clock ticks from the machine's start to the process'; no clock that is set changes them.
    """

    pid: int
    started_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the identity of the process that has this number now; None if there is none."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        # The name stands in brackets, and may hold anything.
        behind = text.rpartition(")")[2].split()
        if behind[0] in "ZX":
            return None
        return cls(pid, int(behind[_STARTED_FIELD - _FIRST_AFTER_NAME]))

    @classmethod
    def own(cls) -> ProcessId:
        """Return the identity of this process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    def lives(self) -> bool:
        """Whether it has not ended; a zombie has."""
        return ProcessId.of(self.pid) == self

    def send(self, signal_number: int) -> None:
        """Send it a signal; nothing happens where it has ended, or its number is another's."""
        if not self.lives():
            return
        try:
            os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return
