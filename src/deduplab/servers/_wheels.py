"""Wheels of this environment: the way in which some products' software is obtained."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from deduplab.errors import SystemUnavailable

_INSTALL_S: Final = 600.0
_TAIL_LINES: Final = 4


def install_wheel(requirement: str, progress: Callable[[str], None]) -> None:
    """Install a wheel by ``pip`` into this environment.

    Parameters
    ----------
    requirement
        Name and versions, as ``pip`` has them.
    progress
        Told the command before it runs.

    Raises
    ------
    SystemUnavailable
        If ``pip`` can't be run or fails; with its last words.
    """
    command = [sys.executable, "-m", "pip", "install", "--only-binary=:all:", requirement]
    shown = " ".join(command)
    progress(shown)
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemUnavailable(f"{shown} can't be run: {error}") from error
    if answer.returncode != 0:
        last = "\n".join(answer.stderr.splitlines()[-_TAIL_LINES:])
        raise SystemUnavailable(f"{shown} failed:\n{last}")
    importlib.invalidate_caches()
