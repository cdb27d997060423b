"""A private reference server of the REST contract, on loopback, with a generated token.

It ships with deduplab, so there is nothing to install. See docs/systems/rest.md.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._process import ChildProcess

USER: Final = "deduplab"
GRANTS: Final = (
    "Issue a bearer token that may, for databases whose names begin with 'deduplab' alone:",
    "  PUT, GET, DELETE /v1/databases/{database}, and everything below it;",
    "and GET /v1/health. Nothing else is asked for.",
)
"""For an administrator of a system behind the contract: what the lab's token must be able to do."""

_READY_S: Final = 30.0
_STOP_STEPS: Final = ((signal.SIGTERM, 30.0),)


class RestServer(Server):
    """One private instance of the reference server; variant and durability are a database's."""

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self.data = workspace / "data"
        self.log = workspace / "rest.log"
        self._token_file = workspace / "token"
        self._port_file = workspace / "port"
        self._child: ChildProcess | None = None

    def start(self) -> Endpoint:
        """Start the server at a free port, which it tells by a file, and see that it answers.

        Raises
        ------
        SystemUnavailable
            If it does not answer by the deadline, with the end of its log.
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the REST server in {self.workspace} runs already")
        secret = self._secret()
        self._port_file.unlink(missing_ok=True)
        words = ["--directory", self.data, "--token-file", self._token_file]
        self._child = ChildProcess(
            "the REST server",
            [sys.executable, "-P", "-m", "deduplab.rest_server", *map(str, words),
             "--announce", str(self._port_file)],
            log=self.log,
            environment={**os.environ, "PYTHONUNBUFFERED": "1"},
            directory=self.workspace,
        )  # fmt: skip
        try:
            self._child.wait_ready(lambda: self._answers(secret), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        return Endpoint(
            directory=self.data, host="127.0.0.1", port=self._port(), user=USER, secret=secret
        )

    def stop(self) -> None:
        """Have the databases closed in order, then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the id of the server."""
        return self._child.process_ids() if self._child is not None else ()

    def _secret(self) -> Secret:
        """Return the token, which is written into a file of ours at the first start."""
        if not self._token_file.exists():
            self.data.mkdir(mode=0o700)
            descriptor = os.open(self._token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return Secret(self._token_file.read_text(encoding="ascii"))

    def _port(self) -> int | None:
        try:
            return int(self._port_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def _answers(self, secret: Secret) -> bool:
        """Whether our token is taken."""
        port = self._port()
        if port is None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            headers = {"Authorization": f"Bearer {secret.reveal()}"}
            connection.request("GET", "/v1/health", headers=headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
