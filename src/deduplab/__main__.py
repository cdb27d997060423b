"""What the installed program calls, and ``python -m deduplab``.

As long as the command line is being imported, Ctrl-C ends the process at once and
without a word: nothing has begun that somebody would have to be told about.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Import the command line and run it."""
    # Where it is ignored, as in the background of a script, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from deduplab.cli.main import main as command_line

    command_line()


def _end(signal_number: int, frame: FrameType | None) -> None:
    # An exception could be caught, or reported, by what is being imported.
    os._exit(128 + signal_number)


if __name__ == "__main__":
    main()
