"""Debian's packages: the way in which some products' software is obtained."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

from deduplab.errors import SystemUnavailable

_INSTALL_S = 900
_QUERY_S = 60


def install_packages(names: Sequence[str], progress: Callable[[str], None]) -> None:
    """Install packages by ``apt-get``, which checks their signatures; no service is started.

    Those that are there already are left as they are, and take no rights.

    Parameters
    ----------
    names
        The packages.
    progress
        Told the command before it runs.

    Raises
    ------
    SystemUnavailable
        If this is not Debian, we are not root, or ``apt-get`` fails; with its last words.
    """
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    shown = " ".join(command)
    if shutil.which("apt-get") is None:
        raise SystemUnavailable(
            f"this system has no apt-get; install by hand: {', '.join(missing)}"
        )
    if os.geteuid() != 0:
        raise SystemUnavailable(f"packages are installed by root; run: sudo {shown}")
    progress(shown)
    # RUNLEVEL=1 keeps the packages' own scripts from starting their service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        answer = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SystemUnavailable(f"{shown} has not ended after {_INSTALL_S} s") from error
    if answer.returncode != 0:
        last = "\n".join((answer.stdout + answer.stderr).splitlines()[-6:])
        raise SystemUnavailable(f"{shown} failed; run apt-get update first? It ended:\n{last}")


def _is_installed(name: str) -> bool:
    """Return whether Debian's package manager has a package; without one it has none."""
    try:
        answer = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_QUERY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout == "installed"
