"""A question to a private Redis, over a connection of its own: whether it is ready."""

from __future__ import annotations

import socket
from typing import Final

from deduplab.server import Endpoint

_ANSWER_S: Final = 2.0


def answer(endpoint: Endpoint, *commands: str) -> bytes:
    """Return what a server answers to the last command after our login, without the line's end.

    A text of several lines is returned whole. Empty where nobody answers, or the login is
    refused. Commands before the last have answers of one line.
    """
    assert endpoint.secret is not None
    login = f"AUTH {endpoint.user} {endpoint.secret.reveal()}"
    where = ("127.0.0.1", endpoint.port)
    try:
        with (
            socket.create_connection(where, timeout=_ANSWER_S) as connection,
            connection.makefile("rb") as answers,
        ):
            connection.sendall("".join(f"{line}\r\n" for line in (login, *commands)).encode())
            if answers.readline() != b"+OK\r\n":
                return b""
            for _ in commands[1:]:
                answers.readline()
            line = answers.readline().removesuffix(b"\r\n")
            return answers.read(int(line[1:])) if line.startswith(b"$") else line
    except OSError:
        return b""
