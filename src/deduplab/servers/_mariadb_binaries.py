"""Which MariaDB is run: where its programs are looked for, and how they are obtained."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._debian_packages import install_packages

BINARIES_VARIABLE: Final = "DEDUPLAB_MARIADB_BIN"
PACKAGES: Final = ("mariadb-server", "mariadb-plugin-rocksdb", "libmariadb3")
SOURCE: Final = "Debian packages " + ", ".join(PACKAGES)
"""Where the software comes from, for people."""

_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
_SERVER: Final = "mariadbd"
_INSTALLER: Final = "mariadb-install-db"


@dataclass(frozen=True, slots=True)
class Programs:
    """The server and the program that makes its data directory."""

    server: Path
    installer: Path

    @property
    def version(self) -> str:
        """Return what the server says of its version, in one line.

        Raises
        ------
        SystemUnavailable
            If it can't be run.
        """
        try:
            answer = subprocess.run(
                [str(self.server), "--no-defaults", "--version"],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SystemUnavailable(f"{self.server} can't be run: {error}") from error
        return answer.stdout.strip()


def find() -> Programs:
    """Return the programs: of ``DEDUPLAB_MARIADB_BIN``, else of the search path and the system's.

    Raises
    ------
    SystemUnavailable
        If they are not there; the message says what to install.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    places = named or os.pathsep.join((os.environ.get("PATH", ""), _SYSTEM_PATH))
    server, installer = (shutil.which(name, path=places) for name in (_SERVER, _INSTALLER))
    if server and installer:
        return Programs(Path(server).resolve(), Path(installer).resolve())
    if named:
        raise SystemUnavailable(
            f"{BINARIES_VARIABLE} is {named!r}, which holds no {_SERVER!r} and {_INSTALLER!r}"
        )
    raise SystemUnavailable(
        f"no MariaDB server found; install one with: apt-get install {' '.join(PACKAGES)}, "
        f"or set {BINARIES_VARIABLE} to the directories of its programs"
    )


def find_client() -> Path:
    """Return the program ``mariadb``, looked for where the server is.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    places = (os.environ.get(BINARIES_VARIABLE), os.environ.get("PATH"), _SYSTEM_PATH)
    found = shutil.which("mariadb", path=os.pathsep.join(place for place in places if place))
    if found is None:
        raise SystemUnavailable(
            "MariaDB's client mariadb is missing; install it with: apt-get install mariadb-client"
        )
    return Path(found)


def install(progress: Callable[[str], None]) -> Path:
    """Install server, MyRocks and client library by Debian's packages; return the server's path.

    Raises
    ------
    SystemUnavailable
        If they can't be installed.
    """
    install_packages(PACKAGES, progress)
    return find().server
