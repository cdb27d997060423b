"""A front that ends TLS before a PostgreSQL that was built without it, as a pooler does.

The client asks for TLS in the protocol's own words, is answered, and is then
spoken to by TLS; what it says goes on to the server as it is. It is a process
of its own, since libpq holds the interpreter's lock while it connects.
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_WAIT_S = 30.0


@contextmanager
def tls_front(behind: int, certificate: tuple[Path, Path]) -> Iterator[int]:
    """Listen before a port of 127.0.0.1 until the end; yield the front's port."""
    command = [sys.executable, __file__, str(behind), *map(str, certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _serve(client: socket.socket, context: ssl.SSLContext, behind: int) -> None:
    client.settimeout(_WAIT_S)
    with suppress(OSError), client:
        if client.recv(8) != _SSL_REQUEST:
            return
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as proven,
            socket.create_connection(("127.0.0.1", behind), _WAIT_S) as server,
        ):
            _relay(proven, server)


def _relay(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Copy both ways until either side ends, in one thread: two must not share a TLS connection."""
    poller = select.poll()
    for end in (client, server):
        poller.register(end, select.POLLIN)
    ways = {client.fileno(): (client, server), server.fileno(): (server, client)}
    while True:
        ready = [client.fileno()] if client.pending() else [fd for fd, _ in poller.poll()]
        for source, target in map(ways.__getitem__, ready):
            piece = source.recv(1 << 16)
            if not piece:
                return
            target.sendall(piece)


def _main(behind: str, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            client, _ = listener.accept()
            threading.Thread(
                target=_serve, args=(client, context, int(behind)), daemon=True
            ).start()


if __name__ == "__main__":
    _main(*sys.argv[1:])
