"""Which NATS server and client are run, and how both are built from their Go modules.

Debian's package is older than what is needed (2.9 in bookworm), and no wheel has them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._go_module import GoModule, Progress
from deduplab.servers._named_program import named_program

PROGRAM_VARIABLE: Final = "DEDUPLAB_NATS_SERVER"

SERVER: Final = GoModule(
    "NATS",
    "github.com/nats-io/nats-server/v2",
    "v2.15.2",
    "h1:yLsgt2kslgymvxvjFq1WGWck5hkat2YYfbXvQ145tzU=",
    (1, 26),
    "nats-server",
)
CLIENT: Final = GoModule(
    "the client of NATS",
    "github.com/nats-io/natscli",
    "v0.5.0",
    "h1:3DTd7Lt3GmaOxrB9V1upxE28JSu9bqa3QmsvadOsAkM=",
    (1, 26),
    "nats",
    package="nats",
)


def find() -> Path:
    """Return ``nats-server``: of ``DEDUPLAB_NATS_SERVER``, the installed one, of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to do.
    """
    named = named_program(PROGRAM_VARIABLE)
    if named is not None:
        return named
    return _installed(SERVER, f", or set {PROGRAM_VARIABLE} to the program")


def find_client() -> Path:
    """Return ``nats``, the product's client: the installed one, or of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to do.
    """
    return _installed(CLIENT)


def install(progress: Progress) -> Path:
    """Build server and client from their Go modules; return the server.

    Raises
    ------
    SystemUnavailable
        If one can't be built.
    """
    program = SERVER.install(progress)
    CLIENT.install(progress)
    return program


def _installed(module: GoModule, otherwise: str = "") -> Path:
    program = module.installed_program()
    if program.exists():
        return program
    found = shutil.which(module.program)
    if found is None:
        raise SystemUnavailable(
            f"no {module.program} found; install it with: deduplab systems install nats "
            f"(built by Go {module.least} or newer){otherwise}"
        )
    return Path(found).absolute()
