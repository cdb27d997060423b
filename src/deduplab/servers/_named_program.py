"""A server's program that the user named by a variable of the environment."""

from __future__ import annotations

import os
from pathlib import Path

from deduplab.errors import SystemUnavailable


def named_program(variable: str) -> Path | None:
    """Return the program that a variable names, None where it is not set.

    It is not resolved: one program may have several names, and do what its name says.

    Raises
    ------
    SystemUnavailable
        If it is no program.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    if not os.access(named, os.X_OK):
        raise SystemUnavailable(f"{variable} is {named!r}, which is no program")
    return Path(named).absolute()
