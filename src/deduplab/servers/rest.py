"""A private reference server of the REST contract, on loopback, with a generated token.

It ships with deduplab, so there is nothing to install. See docs/systems/rest.md.
"""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from typing import Final

from deduplab.server import Client, Endpoint, Secret
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)

_GRANTS: Final = """\
# Issue a bearer token <password> to {user} that may, for databases "{namespace}..." alone:
PUT, GET, DELETE /v1/databases/{{database}}, and everything below it
# and, for the server's identity:
GET /v1/health
# Nothing else is asked for.
"""

_WORDS: Final = """\
$LAB_URL is the server's address, $LAB_CURL a configuration of curl with the token, as in:
  curl -K "$LAB_CURL" "$LAB_URL/v1/health"
"""


class RestServer(PrivateServer):
    """One private instance of the reference server; variant and durability are a database's."""

    product = "rest"
    title = "the REST server"

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._token_file = workspace / "token"
        self._port_file = workspace / "port"

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return in words what the token must allow: the contract has no statements for that."""
        return _GRANTS.format(user=user, namespace=namespace)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return an environment with the address, and a file by which curl sends the token."""
        assert endpoint.secret is not None
        # Past any proxy: it would be told the token.
        settings = f'header = "Authorization: Bearer {endpoint.secret.reveal()}"\n'
        settings += f'noproxy = "{endpoint.host}"\n'
        added = {
            "LAB_URL": f"http://{endpoint.host}:{endpoint.port}",
            "LAB_CURL": str(write_private(directory / "curl.conf", settings)),
        }
        return Client((), environment_without("LAB_", **added), _WORDS)

    def _prepare(self) -> None:
        self._port_file.unlink(missing_ok=True)
        if not self._token_file.exists():
            self.data.mkdir(mode=0o700)
            write_private(self._token_file, new_secret().reveal())
        self._secret = Secret(self._token_file.read_text(encoding="ascii"))

    def _start_once(self) -> Endpoint:
        """Start the server at a free port, which it tells by a file, or at the one it had."""
        assert self._secret is not None
        secret = self._secret
        words = ["--directory", self.data, "--token-file", self._token_file]
        words += ["--announce", self._port_file]
        if self._keeps_ports and self.endpoint is not None:
            words += ["--port", self.endpoint.port]
        self._launch(
            [sys.executable, "-P", "-m", "deduplab.rest_server", *map(str, words)],
            lambda: self._answers(secret),
            environment=server_environment(PYTHONUNBUFFERED="1"),
        )
        port = self._announced_port()
        assert port is not None
        return self._reached_at(port)

    def _announced_port(self) -> int | None:
        try:
            return int(self._port_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def _answers(self, secret: Secret) -> bool:
        """Whether our token is taken."""
        port = self._announced_port()
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
