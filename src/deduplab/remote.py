"""A server that is there already: described by a plan, neither started nor stopped by us.

Its files can't be seen from here, so the FILES layer is missing and the
system's own sizes (ENGINE) are all there is. Only the lab's namespace is touched.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

from deduplab.cell import RemoteAddress
from deduplab.errors import PlanError, Unsupported
from deduplab.server import Endpoint, Secret, Server


class RemoteServer(Server):
    """Gives an adapter the way to a server that runs already."""

    def __init__(self, address: RemoteAddress, workspace: Path, durability: str) -> None:
        super().__init__(workspace, variant="", durability=durability)
        self._address = address

    def start(self) -> Endpoint:
        """Return the address, with the secret looked up where the plan refers to.

        Raises
        ------
        PlanError
            If the secret is not there, or the authorities to trust can't be read.
        """
        address = self._address
        options = dict(address.options) | {"tls": address.tls}
        if address.ssl_ca is not None:
            options["ssl_ca"] = str(authorities(address.ssl_ca))
        return Endpoint(
            host=address.host,
            port=address.port,
            user=address.user,
            secret=resolve(address.secret) if address.secret else None,
            database=address.database,
            options=options,
        )

    def stop(self) -> None:
        """Do nothing: it is not ours to stop."""

    def restart(self, while_down: Callable[[], None] = lambda: None) -> Endpoint:
        """Refuse: others may use it.

        Raises
        ------
        Unsupported
            Always.
        """
        raise Unsupported("a server that runs already is not ours to restart")

    def processes(self) -> tuple[int, ...]:
        """Return nothing: its processes can't be seen from here."""
        return ()


def authorities(path: str) -> Path:
    """Return the file of the authorities to trust, after reading it as such.

    Raises
    ------
    PlanError
        If it is not there, or holds no certificate.
    """
    file = Path(path).expanduser()
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:  # an SSLError is one
        raise PlanError(f"ssl_ca: the certificates in {file} can't be used: {error}") from error
    return file


def resolve(reference: str) -> Secret:
    """Look a secret up: ``env:NAME`` is an environment variable, ``file:PATH`` a file's first line.

    Raises
    ------
    PlanError
        If the reference is of no known form, or nothing is there.
    """
    kind, _, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where)
        if not value:
            raise PlanError(f"the secret's environment variable {where} is not set")
        return Secret(value, reference)
    if kind == "file":
        try:
            return Secret(Path(where).expanduser().read_text().splitlines()[0], reference)
        except (OSError, IndexError) as error:
            raise PlanError(f"the secret's file {where} can't be read: {error}") from error
    raise PlanError("a secret is given by reference: 'env:NAME' or 'file:PATH', never itself")
