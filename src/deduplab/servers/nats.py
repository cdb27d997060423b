"""A private NATS server with JetStream: on loopback, for one user in an account of its own.

See docs/systems/nats.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
from pathlib import Path
from typing import Final

from deduplab.server import Client, Endpoint
from deduplab.servers import _nats_rights as rights
from deduplab.servers._environment import environment_without
from deduplab.servers._nats_binaries import find, find_client
from deduplab.servers._private_server import (
    HOST,
    USER,
    PrivateServer,
    new_secret,
    write_private,
)

_SYNC: Final = {"fsync": "always", "interval": "1s"}
_MOST_PAYLOAD_BYTES: Final = 8 * 1024 * 1024 + 64 * 1024
_ANSWER_S: Final = 2.0


class NatsServer(PrivateServer):
    """One private NATS server."""

    product = "nats"
    title = "NATS"
    durabilities = tuple(_SYNC)
    stop_steps = ((signal.SIGTERM, 20.0),)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return an account for a server's configuration; its rights end at the account."""
        return rights.grants(user)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return an environment in which the product's client ``nats`` is logged in."""
        assert endpoint.secret is not None
        path = os.pathsep.join([str(find_client().parent), os.environ.get("PATH", os.defpath)])
        own = {
            "PATH": path,
            "NATS_URL": f"nats://{endpoint.address}",
            "NATS_USER": str(endpoint.user),
            "NATS_PASSWORD": endpoint.secret.reveal(),
        }
        return Client((), environment_without("NATS_", **own), rights.WORDS)

    def _prepare(self) -> None:
        self._program = find()
        if self._secret is not None:
            return
        self._make_directories(self.data)
        secret = new_secret()
        settings = {
            "server_name": f"deduplab-{secrets.token_hex(8)}",
            "host": HOST,
            "max_payload": _MOST_PAYLOAD_BYTES,
            "ping_interval": "1h",
            "jetstream": {"store_dir": str(self.data), "sync_interval": _SYNC[self.durability]},
        }
        lines = [f"{name}: {_written(value)}\n" for name, value in settings.items()]
        accounts = rights.accounts(USER, secret.reveal(), by_hand=True)
        write_private(self.configuration, "".join([*lines, accounts]))
        self._secret = secret

    def _start_once(self) -> Endpoint:
        endpoint = self._reached_at(self._port())
        self._launch(
            [str(self._program), "--config", str(self.configuration), "--port", f"{endpoint.port}"],
            lambda: _answers(endpoint),
        )
        return endpoint

    @property
    def configuration(self) -> Path:
        """The file that configures it; it holds the password, so we alone can read it."""
        return self.workspace / "nats.conf"


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _answers(endpoint: Endpoint) -> bool:
    """Whether our user can log in."""
    assert endpoint.secret is not None
    login = {"verbose": False, "user": endpoint.user, "pass": endpoint.secret.reveal()}
    try:
        with socket.create_connection((HOST, endpoint.port), timeout=_ANSWER_S) as connection:
            connection.sendall(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
            received = b""
            while b"PONG\r\n" not in received and b"-ERR" not in received:
                piece = connection.recv(4096)
                if not piece:
                    return False
                received += piece
    except OSError:
        return False
    return received.endswith(b"PONG\r\n")
